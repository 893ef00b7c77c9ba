-- Once, when the cluster is made, in the database postgres. A blank line ends a statement (postgres --single -j).

CREATE ROLE roadstead_owner LOGIN;

CREATE ROLE roadstead_app LOGIN;

CREATE DATABASE roadstead OWNER roadstead_owner;

REVOKE ALL ON DATABASE roadstead, postgres, template1 FROM PUBLIC;

GRANT CONNECT ON DATABASE roadstead TO roadstead_app;

