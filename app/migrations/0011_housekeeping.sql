-- When one of its tokens was last used, about to the minute; written for many sessions at once, beside the requests.
-- In no index, so that the update stays in its page.
ALTER TABLE sessions ADD COLUMN last_used_at timestamptz;

-- What is to be done from time to time, by one process: whoever moves `due_at` on does it.
CREATE TABLE jobs (
    name text CONSTRAINT jobs_pkey PRIMARY KEY
        CONSTRAINT jobs_name_word CHECK (name ~ '^[a-z_]{1,64}$'),
    due_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz
);

-- The audit log is written once and read. Its oldest rows go after their time by way of this function, and no other way:
-- the application cannot remove a younger one.
CREATE FUNCTION purge_audit_events() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
    BEGIN ATOMIC
        WITH gone AS (
            DELETE FROM audit_events WHERE id IN (
                SELECT id FROM audit_events WHERE at < now() - interval '90 days' ORDER BY at LIMIT 10000
            )
            RETURNING 1
        )
        SELECT count(*) FROM gone;
    END;

REVOKE ALL ON FUNCTION purge_audit_events() FROM PUBLIC;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'roadstead_app') THEN
        REVOKE DELETE ON audit_events FROM roadstead_app;
        GRANT EXECUTE ON FUNCTION purge_audit_events() TO roadstead_app;
    END IF;
END $$;
