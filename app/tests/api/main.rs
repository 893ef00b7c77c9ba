//! The application server as its neighbours see it: real processes on real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod failures;
mod handover;
mod serve;
mod support;
