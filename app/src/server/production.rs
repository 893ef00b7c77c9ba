//! `roadstead serve`: one process fills one slot.

use std::{io, os::unix::net::UnixListener, time::Duration};

use actix_web::web::Data;

use super::{
    handover,
    life::{Life, Phase},
    signals,
    slot::{SlotError, SlotSocket},
    workers::{self, Listener},
};
use crate::{
    config::Settings,
    state::{AppState, StateError},
};

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{0}: is for `roadstead dev`; production does not run with it")]
    Development(String),
    #[error("ROADSTEAD_SLOT: say which slot to fill, blue or green")]
    NoSlot,
    #[error(transparent)]
    Slot(#[from] SlotError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

pub fn serve(settings: Settings) -> Result<(), ServeError> {
    serve_by(settings, |listener| listener)
}

/// The same by way of another listener on that socket.
pub fn serve_by<L: Listener>(
    settings: Settings,
    listen: impl FnOnce(UnixListener) -> L,
) -> Result<(), ServeError> {
    let development = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    if let Some(name) = development.into_iter().find(|name| name.starts_with("ROADSTEAD_DEV_")) {
        return Err(ServeError::Development(name));
    }
    let slot = settings.slot.ok_or(ServeError::NoSlot)?;
    let count = settings.workers();
    let server = settings.server.clone();
    let life = Life::new();
    signals::drain_on_signal(life.clone(), Duration::from_secs(server.hard_exit_s));

    // The workers have runtimes of their own: this one stays free for the hand-over.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let workers = runtime.block_on(async {
        let instance = uuid::Uuid::new_v4().simple().to_string();
        // First the slot: whoever holds it already should not be kept waiting for a database.
        let (socket, listener) = SlotSocket::claim(&settings.socket_dir, slot, &instance)?;
        let origin = settings.origin();
        let state = AppState::prepare(settings, life.clone(), instance, origin).await?;
        let state = Data::new(state);
        let companions = AppState::companions(&state).await;
        let listener = listen(listener);
        let workers = workers::start(&listener, count, &state)?;
        drop(listener);

        // In this order: from `Ready` on, TERM is a drain.
        if !life.enter(Phase::Ready) {
            return Ok(workers);
        }
        socket.publish()?;
        tracing::info!(%slot, instance = state.instance, workers = count, "ready");

        life.reached(Phase::Draining).await;
        handover::drain(&socket, &life, Duration::from_secs(server.drain_s)).await;
        life.enter(Phase::Ended);
        drop(companions);
        let _ = state.last_use.write(&state.db).await;
        state.db.close().await;
        Ok::<_, ServeError>(workers)
    })?;
    for worker in workers {
        // A blocked worker is left to the hard exit.
        let _ = worker.join();
    }
    tracing::info!(%slot, "ended");
    Ok(())
}
