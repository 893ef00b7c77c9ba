//! Access tokens from a file, one a line, dealt out to the connections and streams in turn.
//! The file is looked at each second, so that whoever renews the tokens writes it anew.

use std::path::PathBuf;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

pub struct Bearer {
    file: PathBuf,
    tokens: RwLock<(Option<SystemTime>, Vec<String>)>,
    edition: AtomicU64,
}

impl Bearer {
    pub fn open(file: PathBuf) -> Result<Self, String> {
        let bearer = Self { file, tokens: RwLock::default(), edition: AtomicU64::new(0) };
        bearer.reload()?;
        Ok(bearer)
    }

    /// A file that cannot be read or is empty (it is being written) leaves the old tokens in use.
    pub fn reload(&self) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", self.file.display());
        let written =
            std::fs::metadata(&self.file).and_then(|meta| meta.modified()).map_err(|e| said(&e))?;
        if self.tokens.read().expect("no holder panics").0 == Some(written) {
            return Ok(());
        }
        let text = std::fs::read_to_string(&self.file).map_err(|e| said(&e))?;
        let tokens: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
        if tokens.is_empty() {
            return Err(said(&"holds no token"));
        }
        if !tokens.iter().all(|token| token.bytes().all(|c| c.is_ascii_graphic())) {
            return Err(said(&"holds what cannot stand in a header"));
        }
        *self.tokens.write().expect("no holder panics") = (Some(written), tokens);
        self.edition.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Changes when the tokens do.
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    pub fn value(&self, worker: usize) -> String {
        let tokens = &self.tokens.read().expect("no holder panics").1;
        format!("Bearer {}", tokens[worker % tokens.len()])
    }
}
