//! The child: one worker on the socket that is its standard input.

use std::{
    io,
    net::TcpListener,
    os::{fd::AsFd as _, unix::net::UnixListener},
};

use actix_web::web::Data;
use rustix::net::{AddressFamily, getsockname};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::{ORIGIN, Pages, SIGN_IN, STATIC};
use crate::{
    config::Settings,
    server::{
        life::{Life, Phase},
        workers,
    },
    state::{AppState, StateError},
};

#[derive(Debug, thiserror::Error)]
pub enum DevServeError {
    #[error("{0} is not set: this is a part of `roadstead dev`")]
    Alone(&'static str),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("cannot serve: {0}")]
    Io(#[from] io::Error),
}

pub fn serve(settings: Settings) -> Result<(), DevServeError> {
    // Whatever ends the parent ends this too.
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(io::Error::from)?;
    let variable = |name| std::env::var(name).map_err(|_| DevServeError::Alone(name));
    let (pages, origin, sign_in) = (variable(STATIC)?, variable(ORIGIN)?, variable(SIGN_IN)?);
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let tcp = matches!(
        getsockname(&socket).map(|a| a.address_family()),
        Ok(AddressFamily::INET | AddressFamily::INET6)
    );

    // Nobody told `signals` of it: a signal ends it at once, and no drain holds up a restart.
    let life = Life::new();
    let instance = uuid::Uuid::new_v4().simple().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let workers = runtime.block_on(async {
        let mut state = AppState::prepare(settings, life.clone(), instance, origin).await?;
        state.dev = Some(Pages::new(pages.into(), sign_in));
        let state = Data::new(state);
        let _companions = AppState::companions(&state).await;
        let workers = match tcp {
            true => workers::start(&TcpListener::from(socket), 1, &state)?,
            false => workers::start(&UnixListener::from(socket), 1, &state)?,
        };
        life.enter(Phase::Ready);
        life.reached(Phase::Ended).await;
        Ok::<_, DevServeError>(workers)
    })?;
    drop(workers);
    Ok(())
}
