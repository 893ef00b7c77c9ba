//! The steps, each in a file of its own, and all of them in this program.

use aws_lc_rs::digest::{SHA256, digest};

const NO_TRANSACTION: &str = "-- roadstead: no-transaction";
const CONTRACT: &str = "-- roadstead: contract, readers from ";

pub struct Step {
    pub version: i32,
    /// The file's name.
    pub name: &'static str,
    pub sql: &'static str,
}

impl Step {
    /// The version is in the name's first four digits.
    pub const fn new(name: &'static str, sql: &'static str) -> Self {
        let (digits, _) = name.split_at(4);
        let Ok(version) = i32::from_str_radix(digits, 10) else {
            panic!("a migration's name begins with four digits");
        };
        Self { version, name, sql }
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.sql.lines().next() != Some(NO_TRANSACTION)
    }

    /// Of a step that takes something away: the first program, by what it requires, that does
    /// without it.
    pub(super) fn readers_from(&self) -> Option<i32> {
        self.sql.lines().find_map(|line| line.strip_prefix(CONTRACT)?.trim_end().parse().ok())
    }

    pub(super) fn checksum(&self) -> String {
        let hash = digest(&SHA256, self.sql.as_bytes());
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

macro_rules! steps {
    ($($file:literal),+ $(,)?) => {
        &[$(Step::new($file, include_str!(concat!("../../../migrations/", $file)))),+]
    };
}

pub const STEPS: &[Step] = steps![
    "0001_privileges.sql",
    "0002_users.sql",
    "0003_invitations.sql",
    "0004_sessions.sql",
    "0005_signing_keys.sql",
    "0006_revocations.sql",
    "0007_sign_in_limits.sql",
    "0008_audit_events.sql",
    "0009_notes.sql",
    "0010_revocation_triggers.sql",
    "0011_housekeeping.sql",
    "0012_api_keys.sql",
    "0013_master_kid.sql",
    "0014_limits.sql",
];

/// What this program needs; a newer schema is fine (a roll-back finds one).
pub const REQUIRED: i32 = STEPS[STEPS.len() - 1].version;

/// A `;` at the end of a line ends a statement, unless the line is a comment.
pub(super) fn statements(sql: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    for line in sql.lines() {
        let last = statements.last_mut().expect("it begins with one");
        last.push_str(line);
        last.push('\n');
        if line.trim_end().ends_with(';') && !line.trim_start().starts_with("--") {
            statements.push(String::new());
        }
    }
    statements.retain(|text| !text.trim().is_empty());
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sql"))
            .collect();
        files.sort();
        let listed: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(listed, files);
        let versions: Vec<i32> = STEPS.iter().map(|step| step.version).collect();
        assert_eq!(versions, (1..=REQUIRED).collect::<Vec<_>>());
    }

    #[test]
    fn a_contract_names_the_first_program_that_reads_on() {
        let step = |sql| Step::new("0012_x.sql", sql).readers_from();
        assert_eq!(
            step("-- roadstead: contract, readers from 0011\nALTER TABLE a DROP b;"),
            Some(11)
        );
        assert_eq!(step("ALTER TABLE a ADD b int;"), None);
        for step in STEPS {
            let marked = step.sql.lines().filter(|line| line.starts_with("-- roadstead: contract"));
            assert_eq!(marked.count(), usize::from(step.readers_from().is_some()), "{}", step.name);
            assert!(step.readers_from().is_none_or(|from| from < step.version), "{}", step.name);
        }
    }

    #[test]
    fn a_semicolon_at_the_end_of_a_line_ends_a_statement() {
        let sql =
            "-- roadstead: no-transaction\n-- about one;\nSELECT 1;\n\nSELECT\n  ';',\n  2;\n";
        assert_eq!(
            statements(sql),
            [
                "-- roadstead: no-transaction\n-- about one;\nSELECT 1;\n",
                "\nSELECT\n  ';',\n  2;\n"
            ]
        );
    }
}
