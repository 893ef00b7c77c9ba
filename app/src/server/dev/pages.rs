//! Pages and assets straight from `static/`, with a script in each page that reloads it.

use std::path::PathBuf;

use actix_files::Files;
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, LOCATION},
    },
    web::{Bytes, Data, Query, ServiceConfig},
};
use futures_util::stream;
use notify::RecommendedWatcher;
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};

use super::database::EMAIL;
use crate::{
    api::route::{Route, route},
    auth::{
        access::Public,
        browser,
        caller::Caller,
        session::{Kind, begin},
    },
    db::users,
    error::ApiError,
    state::AppState,
};

/// What nginx says in production, so that a page that breaks it breaks here.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const SCRIPT: &str = r#"<script type="module" src="/dev/reload.js"></script>"#;
const RELOAD: &str = r#"// Of the development server: reloads the page when something has changed.
let first;
new EventSource("/dev/reload").onmessage = ({ data }) => {
  first ??= data;
  if (data !== first) location.reload();
};
"#;
pub const STREAM: &str = "/dev/reload";

/// What only the development server has.
pub struct Pages {
    folder: PathBuf,
    sign_in: String,
    /// One request at a time: whoever has the permit.
    pub turn: Semaphore,
    changes: watch::Receiver<u64>,
    _watcher: Option<RecommendedWatcher>,
}

impl Pages {
    pub fn new(folder: PathBuf, sign_in: String) -> Self {
        let (sender, changes) = watch::channel(0);
        let count = move || {
            sender.send_modify(|count| *count += 1);
            true
        };
        let watcher = super::watch::watch(&[&folder], count);
        Self { folder, sign_in, turn: Semaphore::new(1), changes, _watcher: watcher }
    }

    pub fn configure(&self, config: &mut ServiceConfig) {
        config.service(Files::new("/static", &self.folder).use_last_modified(true));
    }
}

#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    vec![
        route(Method::GET, "/",               page),
        route(Method::GET, "/sign-in",        page),
        route(Method::GET, "/account",        page),
        route(Method::GET, "/notes",          page),
        route(Method::GET, "/api-keys",       page),
        route(Method::GET, "/users",          page),
        route(Method::GET, "/invitation",     page),
        route(Method::GET, "/dev/sign-in",    sign_in),
        route(Method::GET, "/dev/reload.js",  script),
        route(Method::GET, STREAM,            reload),
    ]
}

fn pages(state: &AppState) -> &Pages {
    state.dev.as_ref().expect("these routes are the development server's")
}

/// Ports share a cookie jar: on `localhost` this one would overwrite the stack's cookie.
async fn page(
    _: Public,
    request: HttpRequest,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| host.starts_with("localhost:")) && state.origin.contains("127.0.0.1")
    {
        let there = format!("{}{}", state.origin, request.uri());
        return Ok(HttpResponse::TemporaryRedirect().insert_header((LOCATION, there)).finish());
    }
    let name = match request.path() {
        "/" => "index",
        path => &path[1..],
    };
    let file = pages(&state).folder.join(name).with_extension("html");
    let page = tokio::fs::read_to_string(file).await.map_err(|_| ApiError::NotFound)?;
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(page.replacen("</head>", &format!("{SCRIPT}</head>"), 1)))
}

async fn script(_: Public) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().content_type("text/javascript; charset=utf-8").body(RELOAD))
}

/// Says what the page is of, now and after each change; a restart ends it, and the browser asks anew.
async fn reload(_: Public, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let mut changes = pages(&state).changes.clone();
    changes.mark_changed();
    let events = stream::unfold((changes, state), |(mut changes, state)| async move {
        changes.changed().await.ok()?;
        let event = format!("data: {}-{}\n\n", state.instance, *changes.borrow_and_update());
        Some((Ok::<_, ApiError>(Bytes::from(event)), (changes, state)))
    });
    Ok(HttpResponse::Ok().content_type("text/event-stream").streaming(Box::pin(events)))
}

#[derive(Deserialize)]
struct Ticket {
    key: String,
}

/// Signs in the account that is there for it. The key is on the developer's screen only.
async fn sign_in(
    _: Public,
    caller: Caller,
    ticket: Query<Ticket>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    if ticket.key != pages(&state).sign_in {
        return Err(ApiError::NotFound);
    }
    let client = state.db.get().await?;
    let user = users::find_by_email(&client, EMAIL).await?.ok_or(ApiError::NotFound)?;
    drop(client);
    let issued = begin(&state, &user, Kind::Browser, &caller).await?;
    let issued = issued.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::SeeOther()
        .insert_header((LOCATION, "/account"))
        .cookie(browser::keep(issued.refresh_token))
        .finish())
}
