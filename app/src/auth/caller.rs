//! Where a request comes from, as the list of sessions and the audit log show it.

use std::{
    future::{Ready, ready},
    net::IpAddr,
};

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload};

use super::browser;
use crate::{error::ApiError, server::RequestId};

/// The default is the command line.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    pub ip: Option<IpAddr>,
    pub user_agent: String,
    /// The cookie of a known device, as it came.
    pub device: Option<String>,
    pub request_id: Option<String>,
}

impl Caller {
    pub fn of(request: &HttpRequest) -> Self {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let id = request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned());
        Self {
            // Only nginx reaches the socket, and it sets this to one address.
            ip: header("x-forwarded-for").and_then(|ip| ip.parse().ok()),
            user_agent: header("user-agent").unwrap_or_default().chars().take(256).collect(),
            device: browser::device(request),
            request_id: id,
        }
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}
