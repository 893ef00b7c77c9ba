-- Secrets for machines: one owner, a part of the owner's rights, an end. Shown once, and only a digest is kept: a key has
-- full entropy, so nothing slower is needed.
CREATE TABLE api_keys (
    id uuid CONSTRAINT api_keys_pkey PRIMARY KEY,
    user_id uuid NOT NULL
        CONSTRAINT api_keys_user_id_fkey REFERENCES users ON DELETE CASCADE,
    name text NOT NULL
        CONSTRAINT api_keys_name_length CHECK (char_length(name) BETWEEN 1 AND 100),
    secret_hash bytea NOT NULL
        CONSTRAINT api_keys_secret_hash_key UNIQUE
        CONSTRAINT api_keys_secret_hash_length CHECK (octet_length(secret_hash) = 32),
    -- Words of RFC 6749 section 3.3. What counts is what its owner may do, too, at the time of the request.
    scope text NOT NULL
        CONSTRAINT api_keys_scope_words CHECK (scope ~ '^[a-z:_]+( [a-z:_]+)*$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT api_keys_expires_later CHECK (expires_at > created_at)
)
WITH (fillfactor = 70);

CREATE INDEX api_keys_user_id ON api_keys (user_id, created_at DESC);

CREATE TRIGGER api_keys_revoked AFTER UPDATE OF revoked_at ON api_keys
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
    EXECUTE FUNCTION tell_session_ended();

CREATE TRIGGER api_keys_deleted AFTER DELETE ON api_keys
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL)
    EXECUTE FUNCTION tell_session_ended();
