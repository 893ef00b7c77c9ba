-- Once, when the cluster is made, in the database roadstead: the app role works with what the owner makes,
-- and makes and removes nothing. TRUNCATE is not given: it would skip row locks and triggers.

REVOKE ALL ON SCHEMA public FROM PUBLIC;

GRANT USAGE ON SCHEMA public TO roadstead_app;

ALTER SCHEMA public OWNER TO roadstead_owner;

ALTER DEFAULT PRIVILEGES FOR ROLE roadstead_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO roadstead_app;

ALTER DEFAULT PRIVILEGES FOR ROLE roadstead_owner IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO roadstead_app;

ALTER DEFAULT PRIVILEGES FOR ROLE roadstead_owner
  REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

ALTER DEFAULT PRIVILEGES FOR ROLE roadstead_owner IN SCHEMA public
  GRANT EXECUTE ON FUNCTIONS TO roadstead_app;

