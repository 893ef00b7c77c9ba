//! Passwords: Argon2id with a pepper, on a few threads of low priority with short queues, so that
//! a storm of sign-ins is refused instead of slowing everything else.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use argon2::{
    Algorithm, Argon2, KeyId, Params, ParamsBuilder, PasswordHasher as _, PasswordVerifier as _,
    Version, password_hash::phc::PasswordHash,
};
use prometheus_client::metrics::counter::Counter;
use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::{
    key_file::KeyFile,
    secret::{self, Key, Keys},
};
use crate::error::ApiError;

/// 64 MiB, two passes, one lane: 50 to 100 ms, above OWASP's and ASVS' floors.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 2;
/// Sign-ins that may wait for a thread, in each queue.
const QUEUE: usize = 32;
const NICE: i32 = 10;

/// In characters; the upper one is generous, and hashing never truncates.
const SHORTEST: usize = 12;
const LONGEST: usize = 128;
pub const LONGEST_BYTES: usize = 1024;

/// What is wrong with a new password.
pub fn check(password: &str, email: &str) -> Result<(), &'static str> {
    let name = email.split('@').next().unwrap_or_default();
    if !(SHORTEST..=LONGEST).contains(&password.chars().count()) {
        Err("must have 12 to 128 characters")
    } else if name.len() > 3 && password.to_lowercase().contains(name) {
        Err("must not contain the e-mail address")
    } else {
        Ok(())
    }
}

/// An e-mail address as we store and compare it; `None` for what cannot be one.
pub fn email(text: &str) -> Option<String> {
    let email = text.trim().to_lowercase();
    let (name, domain) = email.rsplit_once('@')?;
    let sound = !name.is_empty()
        && !domain.is_empty()
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && email.chars().count() <= 254
        && !email.contains(|c: char| c.is_whitespace() || c.is_control());
    sound.then_some(email)
}

type Job = Box<dyn FnOnce(&Hasher) + Send>;

pub struct Passwords {
    queues: Arc<Queues>,
    hashes: Counter,
}

/// Who waits with whom: strangers who guess fill one queue, and all others are served before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    Known,
    Strangers,
}

#[derive(Default)]
struct Queues {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    known: VecDeque<Job>,
    strangers: VecDeque<Job>,
    closed: bool,
}

impl Queues {
    /// False when it is full.
    fn push(&self, queue: Queue, job: Job) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = match queue {
            Queue::Known => &mut waiting.known,
            Queue::Strangers => &mut waiting.strangers,
        };
        let room = queue.len() < QUEUE;
        if room {
            queue.push_back(job);
            self.changed.notify_one();
        }
        room
    }

    /// Waits for one; `None` at the end.
    fn pop(&self) -> Option<Job> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let job = waiting.known.pop_front().or_else(|| waiting.strangers.pop_front());
            if job.is_some() || waiting.closed {
                return job;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Passwords {
    fn drop(&mut self) {
        self.queues.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.queues.changed.notify_all();
    }
}

/// Whether a password is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// Right, and its hash should be made anew with today's parameters and pepper.
    Outdated,
    Wrong,
}

impl Passwords {
    pub fn start(peppers: Arc<KeyFile>, cores: usize) -> Self {
        let queues = Arc::new(Queues::default());
        // Eight hold 512 MiB, half of a slot's memory limit.
        for number in 0..(cores / 2).clamp(1, 8) {
            let (queues, peppers) = (queues.clone(), peppers.clone());
            thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&queues, &peppers))
                .expect("a thread at the start");
        }
        Self { queues, hashes: Counter::default() }
    }

    /// So far.
    pub fn hashes(&self) -> &Counter {
        &self.hashes
    }

    /// For somebody who has proved something already.
    pub async fn hash(&self, password: String) -> Result<String, ApiError> {
        self.run(Queue::Known, move |hasher| hasher.hash(&password)).await
    }

    /// For an account that does not exist, `hash` is `None`: the same work, and never right.
    pub async fn verify(
        &self,
        password: String,
        hash: Option<String>,
        queue: Queue,
    ) -> Result<Verdict, ApiError> {
        self.run(queue, move |hasher| match hash {
            Some(hash) => hasher.verify(&password, &hash),
            None => hasher.hash(&password).map(|_| Verdict::Wrong),
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        queue: Queue,
        job: impl FnOnce(&Hasher) -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (reply, answer) = oneshot::channel();
        let hashes = self.hashes.clone();
        let job = move |hasher: &Hasher| {
            // Whoever has gone meanwhile need not be served.
            if !reply.is_closed() {
                hashes.inc();
                let _ = reply.send(job(hasher));
            }
        };
        if !self.queues.push(queue, Box::new(job)) {
            return Err(ApiError::Overloaded);
        }
        answer
            .await
            .map_err(|_| ApiError::internal("a password thread ended"))?
            .map_err(|error| ApiError::internal(error.to_string()))
    }
}

/// With the peppers as they are now.
struct Hasher {
    peppers: Arc<Keys>,
    now: i64,
}

impl Hasher {
    fn hash(&self, password: &str) -> Result<String, argon2::password_hash::Error> {
        let (id, pepper) = self.peppers.current(self.now);
        Ok(argon2(id, pepper).hash_password(password.as_bytes())?.to_string())
    }

    fn verify(&self, password: &str, hash: &str) -> Result<Verdict, argon2::password_hash::Error> {
        let hash = PasswordHash::new(hash)?;
        let params = Params::try_from(&hash)?;
        let id = secret::encode(params.keyid());
        let pepper = match params.keyid() {
            [] => Some(self.peppers.oldest()),
            _ => self.peppers.find(&id),
        };
        let Some(pepper) = pepper else {
            tracing::error!(
                "a password cannot be verified: its pepper {id} is not in ROADSTEAD_AUTH__PEPPER any more; bring that \
                 line back"
            );
            return self.hash(password).map(|_| Verdict::Wrong);
        };
        let (current, _) = self.peppers.current(self.now);
        match argon2(&id, pepper).verify_password(password.as_bytes(), &hash) {
            Ok(()) if id == current && costs(&params) == [MEMORY_KIB, PASSES, 1] => {
                Ok(Verdict::Right)
            }
            Ok(()) => Ok(Verdict::Outdated),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
            Err(error) => Err(error),
        }
    }
}

/// Its hashes carry the pepper's id.
fn argon2<'a>(id: &str, pepper: &'a Key) -> Argon2<'a> {
    let id = secret::decode(id).and_then(|id| KeyId::new(&id).ok());
    let params = ParamsBuilder::new()
        .m_cost(MEMORY_KIB)
        .t_cost(PASSES)
        .keyid(id.expect("four bytes, or none"))
        .build()
        .expect("valid parameters");
    Argon2::new_with_secret(pepper.bytes(), Algorithm::Argon2id, Version::V0x13, params)
        .expect("a pepper of 32 bytes")
}

fn costs(params: &Params) -> [u32; 3] {
    [params.m_cost(), params.t_cost(), params.p_cost()]
}

fn work(queues: &Queues, peppers: &KeyFile) {
    // On Linux a thread has a nice value of its own. Without the right to it: as important as all.
    let _ = rustix::process::nice(NICE);
    while let Some(job) = queues.pop() {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        job(&Hasher { peppers: peppers.get(), now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper() -> String {
        secret::encode(&secret::random::<32>())
    }

    fn start(peppers: &str) -> Passwords {
        Passwords::start(Arc::new(Keys::parse(peppers).expect("keys").into()), 1)
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(work)
    }

    #[test]
    fn the_right_password_is_right_and_its_72_byte_twin_is_not() {
        let passwords = start(&pepper());
        let others = start(&pepper());
        block_on(async {
            let long = "x".repeat(72);
            let hash = passwords.hash(format!("{long}a")).await.expect("hash");
            let verdict = async |password: String| {
                passwords.verify(password, Some(hash.clone()), Queue::Known).await.expect("verdict")
            };
            assert_eq!(verdict(format!("{long}a")).await, Verdict::Right);
            assert_eq!(verdict(format!("{long}b")).await, Verdict::Wrong);
            let nobody =
                passwords.verify(format!("{long}a"), None, Queue::Known).await.expect("verdict");
            assert_eq!(nobody, Verdict::Wrong);
            let elsewhere = others.verify(format!("{long}a"), Some(hash), Queue::Known).await;
            assert_eq!(elsewhere.expect("verdict"), Verdict::Wrong, "another pepper");
        });
    }

    #[test]
    fn a_hash_with_older_costs_is_right_but_outdated() {
        let pepper = pepper();
        let key = Keys::parse(&pepper).expect("a key");
        let params = Params::new(19 * 1024, 2, 1, None).expect("valid");
        let older = Argon2::new_with_secret(
            key.oldest().bytes(),
            Algorithm::Argon2id,
            Version::V0x13,
            params,
        );
        let hash = older.expect("valid").hash_password(b"correct horse").expect("hash").to_string();
        let verdict =
            block_on(start(&pepper).verify("correct horse".into(), Some(hash), Queue::Known));
        assert_eq!(verdict.expect("verdict"), Verdict::Outdated);
    }

    #[test]
    fn a_hash_with_an_older_pepper_or_of_a_time_without_names_is_right_but_outdated() {
        let (old, new) = (pepper(), pepper());
        let both = format!("{old}\n2026-01-31T12:00:00Z {new}");
        let password = || "correct horse".to_owned();
        block_on(async {
            let of_old = start(&old).hash(password()).await.expect("hash");
            let of_both = start(&both).hash(password()).await.expect("hash");
            assert!(of_old.contains(",keyid="), "{of_old}");
            // As releases wrote it that knew one pepper only.
            let (head, tail) = of_old.split_once(",keyid=").expect("its id");
            let nameless = format!("{head}${}", tail.split_once('$').expect("salt").1);
            for (peppers, hash, verdict) in [
                (&old, &of_old, Verdict::Right),
                (&old, &nameless, Verdict::Outdated),
                (&both, &of_old, Verdict::Outdated),
                (&both, &nameless, Verdict::Outdated),
                (&both, &of_both, Verdict::Right),
                (&new, &of_both, Verdict::Right),
                (&new, &of_old, Verdict::Wrong),
            ] {
                let found =
                    start(peppers).verify(password(), Some(hash.clone()), Queue::Known).await;
                assert_eq!(found.expect("verdict"), verdict, "{hash}");
            }
        });
    }

    #[test]
    fn a_storm_beyond_the_queue_is_refused_at_once() {
        let passwords = start(&pepper());
        let storm =
            (0..QUEUE + 20).map(|_| passwords.verify("guess".into(), None, Queue::Strangers));
        let storm = futures_util::future::join_all(storm);
        // Comes last, and is not last.
        let known = async {
            passwords.verify("known".into(), None, Queue::Known).await.expect("its own queue");
            passwords.hashes().get()
        };
        let (answers, before) = block_on(async { tokio::join!(storm, known) });
        assert!(before < 20, "{before} were served before it");
        let refused = answers.iter().filter(|answer| matches!(answer, Err(ApiError::Overloaded)));
        assert!((18..=20).contains(&refused.count()), "one may be taken by the thread meanwhile");
    }
}
