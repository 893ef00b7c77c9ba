//! Every URL on one screen.

use actix_web::{
    http::Method,
    web::{self, ServiceConfig},
};

use crate::{config::Settings, error};
use route::{Route, route};

mod drill;
mod health;
mod route;

/// The largest JSON body, in bytes; nginx refuses earlier only what is over 1 MiB.
pub const JSON_LIMIT: usize = 256 * 1024;

#[rustfmt::skip]
pub fn routes(settings: &Settings) -> Vec<Route> {
    let mut routes = vec![
        route(Method::GET,    "/health/live",                  health::live),
        route(Method::GET,    "/health/ready",                 health::ready),
    ];
    if settings.server.drill {
        routes.extend([
            route(Method::GET,    "/api/v1/drill/sleep",           drill::sleep),
            route(Method::GET,    "/api/v1/drill/block",           drill::block),
            route(Method::POST,   "/api/v1/drill/panic",           drill::panic),
        ]);
    }
    routes
}

pub fn configure(config: &mut ServiceConfig, routes: Vec<Route>) {
    config
        .app_data(web::JsonConfig::default().limit(JSON_LIMIT).error_handler(error::from_json))
        .app_data(web::FormConfig::default().limit(JSON_LIMIT).error_handler(error::from_form))
        .app_data(web::QueryConfig::default().error_handler(error::from_query))
        .app_data(web::PathConfig::default().error_handler(error::from_path))
        .app_data(web::PayloadConfig::default().limit(JSON_LIMIT));
    route::register(config, routes);
}
