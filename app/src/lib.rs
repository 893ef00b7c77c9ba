//! The map of the house. A request walks one corridor:
//!
//! `server` (workers, the guard) → `api` (the route table) → `auth` (the handler's first argument)
//! → `api/<resource>` → `db/<resource>` → reply; failures leave by `error`.

pub mod api;
pub mod auth;
pub mod commands;
pub mod config;
pub mod db;
pub mod error;
pub mod housekeeping;
pub mod server;
pub mod state;
pub mod telemetry;
