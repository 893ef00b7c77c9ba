CREATE TABLE audit_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_events_pkey PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    -- A word of OWASP's logging vocabulary, such as authn_token_reuse.
    event text NOT NULL
        CONSTRAINT audit_events_event_word CHECK (event ~ '^[a-z_]{1,64}$'),
    -- No foreign keys: an account's history outlives the account.
    user_id uuid,
    session_id uuid,
    request_id text
        CONSTRAINT audit_events_request_id_length CHECK (char_length(request_id) <= 64),
    ip inet,
    details jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX audit_events_at ON audit_events (at);
CREATE INDEX audit_events_user_id ON audit_events (user_id, at DESC);

-- Written once; old ones may be removed.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'roadstead_app') THEN
        REVOKE UPDATE ON audit_events FROM roadstead_app;
    END IF;
END $$;
