//! The guarded way to register a route, and the only one: clippy forbids the others.

use actix_web::{
    Handler, Resource, Responder, guard,
    http::Method,
    web::{self, ServiceConfig},
};

use crate::{auth::access::Access, error::ApiError};

/// A row of the route table.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    /// Who may come in.
    pub who: &'static str,
    route: actix_web::Route,
    /// Answers 405, after the same question of who may come in.
    refuse: fn(Vec<Method>) -> actix_web::Route,
}

/// Arguments of a handler whose first is an `Access`.
pub trait Guarded {
    type Access: Access;
}

macro_rules! guarded {
    ($($rest:ident)*) => {
        impl<A: Access, $($rest),*> Guarded for (A, $($rest,)*) {
            type Access = A;
        }
    };
}
guarded!();
guarded!(B);
guarded!(B C);
guarded!(B C D);
guarded!(B C D E);

/// The first argument of a handler says who may come in:
///
/// ```
/// use actix_web::{HttpResponse, http::Method};
/// use roadstead::{api::route::route, auth::access::CurrentUser, error::ApiError};
///
/// async fn berth(_: CurrentUser) -> Result<HttpResponse, ApiError> {
///     Ok(HttpResponse::NoContent().finish())
/// }
/// route(Method::GET, "/api/v1/berth", berth);
/// ```
///
/// Without one it does not compile:
///
/// ```compile_fail,E0277
/// use actix_web::{HttpResponse, http::Method};
/// use roadstead::{api::route::route, error::ApiError};
///
/// async fn berth() -> Result<HttpResponse, ApiError> {
///     Ok(HttpResponse::NoContent().finish())
/// }
/// route(Method::GET, "/api/v1/berth", berth);
/// ```
///
/// Nor does one that has it in another place:
///
/// ```compile_fail,E0277
/// use actix_web::{HttpResponse, http::Method, web::Bytes};
/// use roadstead::{api::route::route, auth::access::CurrentUser, error::ApiError};
///
/// async fn berth(_: Bytes, _: CurrentUser) -> Result<HttpResponse, ApiError> {
///     Ok(HttpResponse::NoContent().finish())
/// }
/// route(Method::GET, "/api/v1/berth", berth);
/// ```
#[expect(clippy::disallowed_methods, reason = "the one place where a route is made")]
pub fn route<F, Args>(method: Method, path: &'static str, handler: F) -> Route
where
    F: Handler<Args>,
    Args: Guarded + actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let methods = guard::fn_guard({
        let method = method.clone();
        // RFC 9110 section 9.3.2: HEAD is GET without the body, which the encoder leaves out.
        move |context| {
            let asked = &context.head().method;
            *asked == method || (*asked == Method::HEAD && method == Method::GET)
        }
    });
    Route {
        method,
        path,
        who: Args::Access::WHO,
        route: web::route().guard(methods).to(handler),
        refuse: refuse::<Args::Access>,
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where a route is made")]
fn refuse<A: Access>(allowed: Vec<Method>) -> actix_web::Route {
    let refusal = move |_: A| {
        let allowed = allowed.clone();
        async move { Err::<web::Bytes, _>(ApiError::MethodNotAllowed(allowed)) }
    };
    web::to(refusal)
}

async fn not_found() -> Result<web::Bytes, ApiError> {
    Err(ApiError::NotFound)
}

/// A path, with all that is registered on it.
struct Path {
    path: &'static str,
    resource: Resource,
    methods: Vec<Method>,
    refuse: fn(Vec<Method>) -> actix_web::Route,
}

/// Groups the table by path, so that a path knows which methods it allows.
#[expect(clippy::disallowed_methods, reason = "the one place where a route is made")]
pub fn register(config: &mut ServiceConfig, routes: Vec<Route>) {
    let mut paths: Vec<Path> = Vec::new();
    for Route { method, path, route, refuse, .. } in routes {
        let known = match paths.iter().position(|known| known.path == path) {
            Some(index) => paths.remove(index),
            None => Path { path, resource: web::resource(path), methods: Vec::new(), refuse },
        };
        let mut methods = known.methods;
        if method == Method::GET {
            methods.push(Method::HEAD);
        }
        methods.push(method);
        paths.push(Path { resource: known.resource.route(route), methods, ..known });
    }
    for Path { resource, methods, refuse, .. } in paths {
        config.service(resource.default_service(refuse(methods)));
    }
    config.default_service(web::to(not_found));
}
