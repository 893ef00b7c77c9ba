//! The server's life: workers, the guard around every request, sockets, and the hand-over.

use std::rc::Rc;

use actix_service::ServiceFactory;
use actix_web::{
    App, Error,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::Data,
};

use crate::{api, auth::cache::TokenCache, state::AppState};

pub mod dev;
mod guard;
mod handover;
pub mod life;
pub mod probe;
pub mod production;
pub mod signals;
pub mod slot;
mod socket;
pub mod workers;

pub use guard::RequestId;

/// What each worker serves.
fn app(
    state: Data<AppState>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let mut routes = api::routes(&state.settings);
    if state.dev.is_some() {
        routes.extend(dev::routes());
    }
    App::new()
        .app_data(state.clone())
        .app_data(Rc::<TokenCache>::default())
        .wrap(from_fn(guard::guard))
        .configure(|config| {
            if let Some(pages) = &state.dev {
                pages.configure(config);
            }
            api::configure(config, routes);
        })
}
