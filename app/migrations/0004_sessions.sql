-- One row a session. A refresh is one UPDATE of it: `generation` goes up, by the database's clock.
CREATE TABLE sessions (
    -- The claim `sid`.
    id uuid CONSTRAINT sessions_pkey PRIMARY KEY,
    user_id uuid NOT NULL
        CONSTRAINT sessions_user_id_fkey REFERENCES users ON DELETE CASCADE,
    kind text NOT NULL
        CONSTRAINT sessions_kind_known CHECK (kind IN ('browser', 'program')),
    -- Of the newest refresh token, and since when: the one before is good for ten seconds more.
    generation integer NOT NULL DEFAULT 1
        CONSTRAINT sessions_generation_positive CHECK (generation > 0),
    rotated_at timestamptz NOT NULL DEFAULT now(),
    -- How and when the person proved who they are (RFC 8176 words).
    amr text[] NOT NULL DEFAULT '{pwd}',
    auth_time timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Moves with every refresh …
    idle_expires_at timestamptz NOT NULL,
    -- … but never beyond this one, which stays.
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text
        CONSTRAINT sessions_revoked_reason_known CHECK (
            revoked_reason IN ('signed_out', 'reuse', 'by_user', 'by_admin', 'password_changed', 'user_disabled')
        ),
    -- For the list of one's own sessions.
    ip inet,
    user_agent text
        CONSTRAINT sessions_user_agent_length CHECK (char_length(user_agent) <= 400),
    CONSTRAINT sessions_expires_later CHECK (expires_at > created_at AND idle_expires_at <= expires_at),
    CONSTRAINT sessions_revoked_for_a_reason CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
)
-- Room in each page for the new version of a row, so that a refresh touches no index (a heap-only update): what a
-- refresh changes is in none.
WITH (fillfactor = 70);

CREATE INDEX sessions_user_id ON sessions (user_id, created_at DESC);
CREATE INDEX sessions_expires_at ON sessions (expires_at);
