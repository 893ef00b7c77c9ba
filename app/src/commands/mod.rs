//! What the one binary can do, a file per command.

pub mod healthcheck;
pub mod init;
pub mod migrate;
pub mod publish;
pub mod user;
