//! The application server as its neighbours see it: real processes on real sockets, a real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod access;
mod api_keys;
mod auth;
mod authorize;
mod database;
mod database_tls;
mod dev;
mod failures;
mod handover;
mod keys;
mod limits;
mod migrate;
mod notes;
mod openapi;
mod purge;
mod revocation;
mod serve;
mod sessions;
mod simplejwt;
mod support;
mod throwaway;
