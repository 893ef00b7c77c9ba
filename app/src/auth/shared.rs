//! A value that all workers read, and that is replaced as a whole now and then.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

pub struct Shared<T> {
    value: RwLock<Arc<T>>,
    version: AtomicU64,
}

impl<T> Shared<T> {
    pub fn new(value: T) -> Self {
        Self { value: RwLock::new(Arc::new(value)), version: AtomicU64::new(0) }
    }

    pub fn get(&self) -> Arc<T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, value: T) {
        *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Goes up with every `set`. Read it before `get`: then it is never newer than the value.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}
