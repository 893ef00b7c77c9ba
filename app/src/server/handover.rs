//! The end of a slot, without a request lost.
//!
//! On TERM the slot's name is pointed at its sibling, so there is always a live path. The process
//! goes on accepting on its socket, for whoever looked the name up before; answers with
//! `Connection: close`; and ends when nothing has been open for a moment. If the sibling dies
//! meanwhile, the name comes back. With no sibling to take over, it keeps the name until what began
//! before TERM is finished.

use std::time::{Duration, Instant};

use super::{
    life::{Life, Phase},
    slot::{Sibling, SlotSocket},
};

const STEP: Duration = Duration::from_millis(50);
/// nginx may hold a path it has looked up, and connect a little later.
const QUIET: Duration = Duration::from_millis(250);

/// Who has the slot's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// The sibling, which serves.
    Given,
    /// We, until what began before TERM is finished.
    Kept,
    /// We, since the sibling was killed after the hand-over; it will be back.
    TakenBack,
}

/// Returns when the process may end.
pub async fn drain(socket: &SlotSocket, life: &Life, limit: Duration) {
    let deadline = Instant::now() + limit;
    let mut name = give(socket, Name::Kept).await;
    let mut quiet = Quiet::new(life);
    while !(quiet.lasts(life) || name == Name::Kept && life.open_before_drain() == 0) {
        if Instant::now() >= deadline {
            tracing::warn!(
                open_connections = life.open(),
                "the drain ends at its limit of {} s",
                limit.as_secs()
            );
            break;
        }
        tokio::time::sleep(STEP).await;
        name = match (name, socket.sibling().await) {
            (Name::Given, Sibling::Dead) => take_back(socket, Name::TakenBack),
            // It was stopped too, and so nobody is to be waited for.
            (Name::Given, Sibling::Gone) => take_back(socket, Name::Kept),
            (Name::Kept | Name::TakenBack, Sibling::Serving) => give(socket, name).await,
            _ => name,
        };
        if name == Name::TakenBack {
            quiet = Quiet::new(life);
        }
    }
    socket.withdraw();
    close(life, deadline).await;
}

async fn give(socket: &SlotSocket, otherwise: Name) -> Name {
    match socket.hand_over().await {
        Ok(Sibling::Serving) => {
            tracing::info!("draining: the sibling takes over");
            Name::Given
        }
        Ok(sibling) => {
            tracing::warn!(
                "draining: no sibling to take over ({sibling:?}); the slot keeps its name until it ends"
            );
            otherwise
        }
        Err(error) => {
            tracing::error!("draining: the hand-over failed, the slot keeps its name: {error}");
            otherwise
        }
    }
}

fn take_back(socket: &SlotSocket, name: Name) -> Name {
    match socket.publish() {
        Ok(()) => {
            tracing::warn!("draining: the sibling is gone; this slot has its name back");
            name
        }
        Err(error) => {
            tracing::error!(
                "draining: the sibling is gone, and the name does not come back: {error}"
            );
            Name::Given
        }
    }
}

/// Takes what is queued, and waits for the last reply.
async fn close(life: &Life, deadline: Instant) {
    life.enter(Phase::Closing);
    while (life.accepting() > 0 || life.open() > 0) && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Since when nothing has been open and nothing has come.
struct Quiet {
    since: Instant,
    accepted: u64,
}

impl Quiet {
    fn new(life: &Life) -> Self {
        Self { since: Instant::now(), accepted: life.accepted() }
    }

    fn lasts(&mut self, life: &Life) -> bool {
        if life.open() > 0 || life.accepted() != self.accepted {
            *self = Self::new(life);
        }
        self.since.elapsed() >= QUIET
    }
}
