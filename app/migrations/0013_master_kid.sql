-- The id of the master key that a signing key is sealed under: so that one replaces another, and it shows when the old one
-- is needed no more. Null: sealed by a release that did not write it.
ALTER TABLE signing_keys ADD COLUMN master_kid text
    CONSTRAINT signing_keys_master_kid_length CHECK (char_length(master_kid) BETWEEN 1 AND 64);

-- What is long over ends no token: its row goes without a word, or a purge would flood the feed.
CREATE OR REPLACE TRIGGER sessions_deleted AFTER DELETE ON sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND OLD.idle_expires_at > now() - interval '1 hour')
    EXECUTE FUNCTION tell_session_ended();

CREATE OR REPLACE TRIGGER api_keys_deleted AFTER DELETE ON api_keys
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now() - interval '1 hour')
    EXECUTE FUNCTION tell_session_ended();

INSERT INTO jobs (name) VALUES ('keys'), ('purge');
