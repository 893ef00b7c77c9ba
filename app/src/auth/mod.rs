//! Who is asking, and what they may do.

pub mod access;
pub mod browser;
pub mod keys;
pub mod password;
pub mod refresh;
pub mod secret;
pub mod session;
pub mod token;
