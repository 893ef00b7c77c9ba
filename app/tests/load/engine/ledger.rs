//! The file in which every request has its line, whatever became of it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

pub const COLUMNS: &str = "n\tstart_us\tlatency_us\tprotocol\trequest\tstatus\tresult\tid\tresends";

/// Threads write whole lines, many at a time. An error is kept until the end of the run, which it
/// fails.
pub struct Ledger(Mutex<(File, io::Result<()>)>);

impl Ledger {
    pub fn create(path: &Path) -> io::Result<Self> {
        let said =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let mut file = File::create(path).map_err(said)?;
        writeln!(file, "{COLUMNS}").map_err(said)?;
        Ok(Self(Mutex::new((file, Ok(())))))
    }

    pub fn write(&self, lines: &mut Vec<u8>) {
        let (file, result) = &mut *self.0.lock().expect("no holder panics");
        if result.is_ok() {
            *result = file.write_all(lines);
        }
        lines.clear();
    }

    pub fn close(&self) -> io::Result<()> {
        let (_, result) = &mut *self.0.lock().expect("no holder panics");
        std::mem::replace(result, Ok(()))
    }
}
