//! The first argument of every handler, which says who may come in.

use std::future::{Ready, ready};

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload};

/// Implemented only here: a handler's first argument is one of these, or it is no route.
pub trait Access: FromRequest + 'static {
    /// For the route table: who may come in.
    const WHO: &'static str;
}

/// Everyone, whatever their Authorization header says.
pub struct Public;

impl Access for Public {
    const WHO: &'static str = "everyone";
}

impl FromRequest for Public {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self))
    }
}
