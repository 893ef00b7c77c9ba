-- What makes tokens invalid before their time writes itself into the feed, so that no statement can forget it, also one
-- that somebody types by hand.
--
-- A row is kept longer than any token lives (15 minutes at the most): an hour more, so that a clock that is set back by an
-- hour brings nobody back.
CREATE FUNCTION revocation_expiry() RETURNS timestamptz
    LANGUAGE sql STABLE
    RETURN now() + interval '80 minutes';

-- Of a session, and of whatever else has tokens or a secret of its own and an id.
CREATE FUNCTION tell_session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO revocations (kind, session_id, expires_at) VALUES ('session', OLD.id, revocation_expiry());
    RETURN NULL;
END $$;

CREATE TRIGGER sessions_revoked AFTER UPDATE OF revoked_at ON sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
    EXECUTE FUNCTION tell_session_ended();

CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL)
    EXECUTE FUNCTION tell_session_ended();

-- Whoever changes what an account may do raises its version, whether they think of it or not.
CREATE FUNCTION raise_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := greatest(NEW.version, OLD.version + 1);
    RETURN NEW;
END $$;

CREATE TRIGGER users_rights BEFORE UPDATE OF admin, permissions, disabled_at ON users
    FOR EACH ROW WHEN (
        (OLD.admin, OLD.permissions, OLD.disabled_at IS NULL)
        IS DISTINCT FROM (NEW.admin, NEW.permissions, NEW.disabled_at IS NULL)
    )
    EXECUTE FUNCTION raise_version();

-- A deleted account has outlived every version.
CREATE FUNCTION tell_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO revocations (kind, user_id, version, expires_at)
    VALUES ('user', OLD.id, CASE TG_OP WHEN 'DELETE' THEN 2147483647 ELSE NEW.version END, revocation_expiry());
    RETURN NULL;
END $$;

-- Not UPDATE OF version: what a BEFORE trigger changes does not count for that.
CREATE TRIGGER users_version AFTER UPDATE ON users
    FOR EACH ROW WHEN (OLD.version <> NEW.version)
    EXECUTE FUNCTION tell_version();

CREATE TRIGGER users_deleted AFTER DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION tell_version();

CREATE FUNCTION tell_keys_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO revocations (kind, expires_at) VALUES ('keys', revocation_expiry());
    RETURN NULL;
END $$;

CREATE TRIGGER signing_keys_changed AFTER INSERT OR UPDATE OR DELETE ON signing_keys
    FOR EACH STATEMENT EXECUTE FUNCTION tell_keys_changed();
