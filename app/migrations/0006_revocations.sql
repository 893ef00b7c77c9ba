-- The feed: what makes tokens invalid before their time. Each process polls it; a row lives as long as a token may.
--
-- A reader that asks for `id > last` misses a row whose transaction took a lower id and commits later. So it asks for
-- `xid >= $1`, with $1 = pg_snapshot_xmin(pg_current_snapshot()) of its last read: what was not yet committed then has
-- that number or a higher one. It sees some rows twice, and none never.
CREATE TABLE revocations (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT revocations_pkey PRIMARY KEY,
    kind text NOT NULL,
    session_id uuid,
    user_id uuid,
    -- Tokens of this user with a lower `ver` are dead.
    version integer,
    -- Of the transaction that wrote the row: 64 bits, does not wrap around.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    -- No foreign keys: a row outlives what it speaks of. `keys`: the set of signing keys has changed.
    CONSTRAINT revocations_subject CHECK (
        CASE kind
            WHEN 'session' THEN session_id IS NOT NULL AND user_id IS NULL AND version IS NULL
            WHEN 'user' THEN session_id IS NULL AND user_id IS NOT NULL AND version IS NOT NULL
            WHEN 'keys' THEN session_id IS NULL AND user_id IS NULL AND version IS NULL
            ELSE false
        END
    )
);

CREATE INDEX revocations_xid ON revocations (xid);
CREATE INDEX revocations_expires_at ON revocations (expires_at);
