//! `roadstead check`: what is wrong, or will be, with how the stack is set up; each with its cure.
//!
//! What it cannot see from within a container (other containers, the host) comes as facts, which
//! `scripts/_check.sh` gathers.

mod clients;
mod database;
mod facts;
mod host;
mod nginx;
mod secrets;

use std::{io, path::PathBuf, process::ExitCode};

use clap::ValueEnum;
use serde::Serialize;
use time::OffsetDateTime;

use self::facts::Facts;
use super::{init::layout, text};
use crate::config::Settings;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Also what matters only where others come: a real domain, its HSTS, open ports
    #[arg(long)]
    deploy: bool,
    /// Print a JSON array of {id, level, what, cure}
    #[arg(long)]
    json: bool,
    /// Exit with 1 from this level on
    #[arg(long, value_enum, default_value_t = Level::Error)]
    fail_level: Level,
    /// Facts about containers and host, as scripts/_check.sh gathers them; `-`: from stdin
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    #[arg(long, hide = true, default_value = layout::ROOT)]
    root: PathBuf,
}

/// Enough for many people behind one address.
const HIGH_SIGN_IN_LIMIT: i32 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Note,
    Warning,
    Error,
}

#[derive(Debug, Serialize)]
struct Finding {
    /// Stays, so that it can be looked for.
    id: &'static str,
    level: Level,
    what: String,
    cure: String,
}

/// What all parts add to.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        id: &'static str,
        level: Level,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.0.push(Finding { id, level, what: what.into(), cure: cure.into() });
    }
}

pub async fn run(settings: &Settings, options: &Options) -> Result<ExitCode, String> {
    let facts = match &options.facts {
        None => None,
        Some(path) if path.as_os_str() == "-" => Some(io::read_to_string(io::stdin())),
        Some(path) => Some(std::fs::read_to_string(path)),
    };
    let facts = facts.transpose().map_err(text)?.map(|text| Facts::read(&text)).transpose()?;
    let now = OffsetDateTime::now_utc();

    let mut findings = Findings::default();
    settings_alone(settings, options.deploy, &mut findings);
    secrets::look(&options.root, &settings.domain, options.deploy, now, &mut findings);
    database::look(settings, &mut findings).await;
    match facts {
        Some(facts) => {
            for name in &facts.missing {
                findings.add(
                    "facts.missing",
                    Level::Note,
                    format!("{name}: nothing was to be learnt, so it was not looked at"),
                    "see that the engine answers, and the stack runs: scripts/status.sh",
                );
            }
            host::look(&facts, options.deploy, now, &mut findings);
            if options.deploy && settings.domain != "localhost" {
                clients::look(&facts, &mut findings);
            }
            nginx::look(&facts.nginx, settings, options.deploy, &mut findings);
        }
        None => findings.add(
            "facts.missing",
            Level::Note,
            "containers, ports, nginx and the host were not looked at: that takes facts from outside",
            "scripts/status.sh --check",
        ),
    }
    let mut findings = findings.0;
    findings.sort_by(|a, b| b.level.cmp(&a.level).then(a.id.cmp(b.id)));
    if options.json {
        println!("{}", serde_json::to_string_pretty(&findings).map_err(text)?);
    } else {
        print(&findings);
    }
    let bad = findings.iter().any(|finding| finding.level >= options.fail_level);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(findings: &[Finding]) {
    if findings.is_empty() {
        println!("all is well");
    }
    for Finding { id, level, what, cure } in findings {
        let level = format!("{level:?}").to_lowercase();
        println!("{level:<8} {id}: {what}\n         cure: {cure}");
    }
}

fn settings_alone(settings: &Settings, deploy: bool, findings: &mut Findings) {
    if !deploy {
        return;
    }
    if settings.server.drill {
        findings.add(
            "settings.drill",
            Level::Error,
            "routes that sleep, block and panic are open to everyone",
            "take ROADSTEAD_SERVER__DRILL away",
        );
    }
    if settings.domain != "localhost" && settings.auth.sign_in_limit > HIGH_SIGN_IN_LIMIT {
        findings.add(
            "settings.sign-in-limit",
            Level::Warning,
            format!(
                "an address may guess {} passwords a minute, and an account's failures are let through in proportion",
                settings.auth.sign_in_limit
            ),
            "take ROADSTEAD_AUTH__SIGN_IN_LIMIT away: 10 a minute is enough for a household, 100 for an office behind one address",
        );
    }
    if settings.domain == "localhost" {
        findings.add(
            "settings.domain",
            Level::Note,
            "the site is called localhost: nobody else can come, and HSTS stays off",
            "for a site that others visit, set ROADSTEAD_DOMAIN to its name",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids that `look` finds.
    pub fn found(look: impl FnOnce(&mut Findings)) -> Vec<&'static str> {
        let mut findings = Findings::default();
        look(&mut findings);
        for Finding { id, what, cure, .. } in &findings.0 {
            assert!(!what.is_empty() && !cure.is_empty(), "{id}");
        }
        findings.0.iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn drills_and_localhost_matter_in_a_deploy_only() {
        let mut settings = Settings::default();
        settings.server.drill = true;
        let ids = |deploy| found(|findings| settings_alone(&settings, deploy, findings));
        assert_eq!(ids(true), ["settings.drill", "settings.domain"]);
        assert_eq!(ids(false), [""; 0]);
    }

    #[test]
    fn limits_out_of_the_way_matter_on_a_real_domain_only() {
        let ids = |domain: &str, limit| {
            let mut settings = Settings { domain: domain.into(), ..Settings::default() };
            settings.auth.sign_in_limit = limit;
            found(|findings| settings_alone(&settings, true, findings))
        };
        assert_eq!(ids("example.org", 101), ["settings.sign-in-limit"]);
        assert_eq!(ids("example.org", 100), [""; 0]);
        assert_eq!(ids("localhost", 1_000_000), ["settings.domain"]);
    }
}
