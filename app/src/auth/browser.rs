//! What is special about browsers: the cookie that holds the refresh token, and proof that a request
//! comes from our own pages.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
    dev::Payload,
    http::header::ORIGIN,
    web::Data,
};
use utoipa::{
    IntoParams,
    openapi::{
        Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
    },
};

use super::{device, session::ABSOLUTE_DAYS};
use crate::{error::ApiError, state::AppState};

/// `__Host-`: set by this very host over TLS, for the whole site, and by no subdomain.
pub const REFRESH: &str = "__Host-refresh";
/// Stays when somebody signs out.
const DEVICE: &str = "__Host-device";

fn cookie(name: &'static str, value: String, age: Duration) -> Cookie<'static> {
    Cookie::build(name, value)
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(age)
        .finish()
}

pub fn keep(refresh_token: String) -> Cookie<'static> {
    cookie(REFRESH, refresh_token, Duration::days(ABSOLUTE_DAYS.into()))
}

pub fn forget() -> Cookie<'static> {
    cookie(REFRESH, String::new(), Duration::ZERO)
}

/// Of a device that its account was signed in with.
pub fn know(device: String) -> Cookie<'static> {
    cookie(DEVICE, device, Duration::days(device::DAYS))
}

/// A request by one of our own pages: Fetch Metadata where the browser sends it, else Origin, else a
/// header that a foreign page cannot set without asking.
pub struct OwnPage;

impl FromRequest for OwnPage {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header = |name: &str| request.headers().get(name).map(|value| value.as_bytes());
        let state = request.app_data::<Data<AppState>>().expect("registered with the app");
        let site = header("sec-fetch-site").map(|site| site == b"same-origin");
        let origin = header(ORIGIN.as_str()).map(|origin| origin == state.origin.as_bytes());
        let own = match (site, origin) {
            (None, None) => header("x-requested-with") == Some(b"roadstead"),
            (site, origin) => site.unwrap_or(true) && origin.unwrap_or(true),
        };
        ready(if own { Ok(Self) } else { Err(ApiError::CrossSite) })
    }
}

impl IntoParams for OwnPage {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let header = |(name, description): (&str, &str)| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(description))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .build()
        };
        let headers = [
            ("Sec-Fetch-Site", "`same-origin`. Browsers set it themselves."),
            ("Origin", "This site's. Browsers set it themselves."),
            ("X-Requested-With", "`roadstead`, from whoever sends neither of the two."),
        ];
        headers.map(header).into()
    }
}

/// The refresh token that the browser holds for us; empty when there is none.
pub fn refresh_token(request: &HttpRequest) -> String {
    value(request, REFRESH).unwrap_or_default()
}

pub fn device(request: &HttpRequest) -> Option<String> {
    value(request, DEVICE)
}

fn value(request: &HttpRequest, name: &str) -> Option<String> {
    request.cookie(name).map(|cookie| cookie.value().to_owned())
}
