//! What all workers of a process share.

use std::{sync::Arc, time::Instant};

use crate::{config::Settings, server::life::Life};

pub struct AppState {
    pub settings: Settings,
    pub life: Arc<Life>,
    /// Names this process among those that ever filled its slot.
    pub instance: String,
    pub started: Instant,
}

impl AppState {
    pub fn new(settings: Settings, life: Arc<Life>) -> Self {
        Self {
            settings,
            life,
            instance: uuid::Uuid::new_v4().simple().to_string(),
            started: Instant::now(),
        }
    }
}
