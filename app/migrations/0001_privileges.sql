-- The application's role works with the rows of what the owner makes, and makes and removes nothing itself. TRUNCATE is
-- not given: it passes by row locks and triggers. Where the role does not exist, one user does everything.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'roadstead_app') THEN
        GRANT USAGE ON SCHEMA public TO roadstead_app;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public
            GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO roadstead_app;
        ALTER DEFAULT PRIVILEGES IN SCHEMA public
            GRANT USAGE, SELECT ON SEQUENCES TO roadstead_app;
        -- What has been applied is for the runner to say; readiness reads it.
        REVOKE ALL ON schema_migrations FROM roadstead_app;
        GRANT SELECT ON schema_migrations TO roadstead_app;
    END IF;
END $$;
