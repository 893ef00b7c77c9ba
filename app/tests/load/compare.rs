//! Holds a ledger against the rows that it should have made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;

use serde::Serialize;

use crate::cli::Compare;
use crate::engine::{COLUMNS, Number};

/// So many of each list are shown on the screen; the JSON has all.
const SHOWN: usize = 10;

#[derive(Debug, Default, Serialize)]
pub struct Comparison {
    /// Requests answered by 2xx.
    pub acknowledged: usize,
    /// Rows with a number of this ledger's runs.
    pub rows: usize,
    /// Rows of others.
    pub foreign_rows: usize,
    /// Acknowledged, but there is no row.
    pub missing: Vec<String>,
    /// How often a row is there that should be there once.
    pub duplicates: BTreeMap<String, usize>,
    /// There is a row, but the client was not told so.
    pub unacknowledged: Vec<String>,
}

impl Comparison {
    pub fn is_right(&self) -> bool {
        self.missing.is_empty() && self.duplicates.is_empty()
    }
}

pub fn run(compare: &Compare) -> Result<Comparison, String> {
    let (mut acknowledged, mut runs) = (BTreeSet::new(), BTreeSet::new());
    let mut lines = lines(&compare.ledger)?;
    if lines.next().transpose()?.as_deref() != Some(COLUMNS.as_bytes()) {
        return Err(format!("{} is not a ledger", compare.ledger.display()));
    }
    for line in lines {
        let line = line?;
        let fields: Vec<&[u8]> = line.split(|&c| c == b'\t').collect();
        // The last line of a killed run may be cut off.
        let &[number, _, _, _, request, status, _, _, _] = &fields[..] else {
            continue;
        };
        let Some(number) = Number::find_in(number).next() else {
            continue;
        };
        runs.insert(number.run().to_vec());
        if request.starts_with(compare.only.as_bytes()) && status.starts_with(b"2") {
            acknowledged.insert(number);
        }
    }
    let mut found = Comparison { acknowledged: acknowledged.len(), ..Comparison::default() };
    let mut rows: BTreeMap<Number, usize> = BTreeMap::new();
    for line in self::lines(&compare.rows)? {
        // A row may have its number in several columns.
        let numbers: BTreeSet<_> =
            Number::find_in(&line?).filter(|number| runs.contains(number.run())).collect();
        match numbers.is_empty() {
            true => found.foreign_rows += 1,
            false => found.rows += 1,
        }
        for number in numbers {
            *rows.entry(number).or_default() += 1;
        }
    }
    found.missing = acknowledged
        .iter()
        .filter(|number| !rows.contains_key(number))
        .map(ToString::to_string)
        .collect();
    found.unacknowledged = rows
        .keys()
        .filter(|number| !acknowledged.contains(number))
        .map(ToString::to_string)
        .collect();
    found.duplicates = rows
        .iter()
        .filter(|(_, times)| **times > 1)
        .map(|(number, &times)| (number.to_string(), times))
        .collect();
    Ok(found)
}

fn lines(path: &Path) -> Result<impl Iterator<Item = Result<Vec<u8>, String>>, String> {
    let name = path.display().to_string();
    let said = move |error: std::io::Error| format!("{name}: {error}");
    let input: Box<dyn BufRead> = match path.to_str() {
        Some("-") => Box::new(stdin().lock()),
        _ => Box::new(BufReader::new(File::open(path).map_err(&said)?)),
    };
    Ok(input.split(b'\n').map(move |line| line.map_err(&said)))
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} acknowledged, {} rows ({} of others)",
            self.acknowledged, self.rows, self.foreign_rows
        )?;
        list(f, "acknowledged, but not there", &self.missing)?;
        let duplicates: Vec<_> =
            self.duplicates.iter().map(|(number, times)| format!("{number} × {times}")).collect();
        list(f, "there more than once", &duplicates)?;
        list(f, "there, but not acknowledged (no error)", &self.unacknowledged)
    }
}

fn list(f: &mut fmt::Formatter<'_>, what: &str, numbers: &[String]) -> fmt::Result {
    if numbers.is_empty() {
        return Ok(());
    }
    let more = if numbers.len() > SHOWN { ", …" } else { "" };
    writeln!(
        f,
        "{} {what}: {}{more}",
        numbers.len(),
        numbers[..numbers.len().min(SHOWN)].join(", ")
    )
}
