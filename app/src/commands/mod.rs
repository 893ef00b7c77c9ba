//! What the one binary can do, a file per command.

pub mod check;
pub mod healthcheck;
pub mod init;
pub mod keys;
pub mod migrate;
pub mod publish;
pub mod user;

/// An error for people, as commands return it.
pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
