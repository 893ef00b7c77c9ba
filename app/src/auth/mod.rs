//! Who is asking, and what they may do.

pub mod access;
pub mod account;
pub mod api_key;
pub mod browser;
pub mod cache;
pub mod caller;
pub mod device;
pub mod key_file;
pub mod keys;
pub mod limits;
pub mod password;
pub mod refresh;
pub mod revocation;
pub mod rotation;
pub mod secret;
pub mod session;
pub mod shared;
pub mod token;
