//! A client that treats the two sockets as our nginx does: each in turn, the other one when it
//! cannot connect, connections kept, and a request never sent twice.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::{JoinHandle, spawn},
    time::Duration,
};

use super::http::Connection;

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    answered: AtomicUsize,
    /// Sent, and no answer came.
    lost: AtomicUsize,
    /// Neither socket took the connection: what nginx answers with 502.
    refused: AtomicUsize,
}

/// Load from a few clients until `finish`.
pub struct Proxy {
    counts: Arc<Counts>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub lost: usize,
    pub refused: usize,
}

impl Outcome {
    pub const CLEAN: Self = Self { lost: 0, refused: 0 };
}

impl Proxy {
    pub fn start(blue: &Path) -> Self {
        let sockets = [blue.to_owned(), blue.with_file_name("green.sock")];
        let counts = Arc::new(Counts::default());
        let clients = (0..8)
            .map(|number| {
                let (sockets, counts) = (sockets.clone(), counts.clone());
                spawn(move || client(number, &sockets, &counts))
            })
            .collect();
        Self { counts, clients }
    }

    pub fn answered(&self) -> usize {
        self.counts.answered.load(Relaxed)
    }

    /// Lets at least so many more requests pass.
    pub fn pass(&self, requests: usize) {
        let goal = self.answered() + requests;
        while self.answered() < goal {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn finish(self) -> Outcome {
        self.counts.stop.store(true, Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        Outcome { lost: self.counts.lost.load(Relaxed), refused: self.counts.refused.load(Relaxed) }
    }
}

fn client(number: usize, sockets: &[PathBuf; 2], counts: &Counts) {
    let mut turn = number;
    let mut kept = None;
    while !counts.stop.load(Relaxed) {
        let connection = kept.take().or_else(|| {
            turn += 1;
            Connection::open(&sockets[turn % 2])
                .or_else(|_| Connection::open(&sockets[(turn + 1) % 2]))
                .ok()
        });
        let Some(mut connection) = connection else {
            counts.refused.fetch_add(1, Relaxed);
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        // 400 on purpose: a POST whose body is read, and that changes nothing.
        match connection.post("/api/v1/drill/panic", "application/json", b"{}") {
            Ok(reply) => {
                counts.answered.fetch_add(1, Relaxed);
                // Load enough to meet every gap, and the machine left to the slots.
                std::thread::sleep(Duration::from_micros(300));
                if !reply.closes() {
                    kept = Some(connection);
                }
            }
            Err(_) => {
                counts.lost.fetch_add(1, Relaxed);
            }
        }
    }
}
