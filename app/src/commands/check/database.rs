//! The database, as the slots see it: whether it answers, what it holds, what their role may do.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Findings, Level};
use crate::{
    config::Settings,
    db::{
        Db, DbError,
        migrate::{self, Applied, MigrateError, REQUIRED, STEPS},
    },
};

const PATIENCE: Duration = Duration::from_secs(10);
/// Tokens live minutes: a second is nothing, a minute is much.
const CLOCKS_APART_S: f64 = 5.0;

pub async fn look(settings: &Settings, findings: &mut Findings) {
    let asked = tokio::time::timeout(PATIENCE, ask(settings)).await;
    let answer = asked.unwrap_or_else(|_| {
        Err(DbError::Unavailable(format!("no answer in {} s", PATIENCE.as_secs())))
    });
    match answer {
        Ok(answer) => judge(&answer, findings),
        Err(error) => findings.add(
            "database.unreachable",
            Level::Error,
            error.to_string(),
            "docker compose logs --tail 20 postgres; scripts/up.sh brings it back",
        ),
    }
}

struct Answer {
    applied: Applied,
    /// Why its history is not ours.
    history: Option<String>,
    mighty: bool,
    owner: bool,
    /// The database's, beyond ours.
    clock_ahead_s: f64,
}

#[allow(clippy::cast_precision_loss)]
async fn ask(settings: &Settings) -> Result<Answer, DbError> {
    let db = Db::connect(&settings.database)?;
    let client = db.get().await?;
    let applied = migrate::applied(&client).await?;
    let role = "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls,
                       EXISTS (SELECT FROM pg_class WHERE relowner = role.oid),
                       extract(epoch FROM clock_timestamp())::float8
                FROM pg_roles role WHERE rolname = current_user";
    let row = client.query_one(role, &[]).await?;
    let clock_ahead_s = row.get::<_, f64>(2) - OffsetDateTime::now_utc().unix_timestamp() as f64;
    drop(client);
    let history = migrate::check(&db.session("check").await?, STEPS, None).await.err();
    let history = history.filter(|error| !matches!(error, MigrateError::Past { .. }));
    db.close().await;
    Ok(Answer {
        applied,
        history: history.map(|error| error.to_string()),
        mighty: row.get(0),
        owner: row.get(1),
        clock_ahead_s,
    })
}

fn judge(answer: &Answer, findings: &mut Findings) {
    let Applied { version, readers_from } = answer.applied;
    if readers_from > REQUIRED {
        let past = MigrateError::Past { readers_from, required: REQUIRED };
        findings.add(
            "schema.past",
            Level::Error,
            past.to_string(),
            "deploy a release of that step or later",
        );
    } else if version < REQUIRED {
        findings.add(
            "schema.behind",
            Level::Note,
            format!("the schema is at version {version}, and this program needs {REQUIRED}"),
            "a deploy brings it up to date",
        );
    }
    if let Some(history) = &answer.history {
        findings.add(
            "schema.history",
            Level::Error,
            history,
            "deploy from the source that the running release came from, or one after it",
        );
    }
    if answer.mighty || answer.owner {
        findings.add(
            "database.rights",
            Level::Error,
            "the application's role is an owner or administrator of the database, and needs neither",
            "use the role roadstead_app as the stack makes it: NOSUPERUSER, and no table its own",
        );
    }
    let apart = answer.clock_ahead_s;
    if apart.abs() > CLOCKS_APART_S {
        findings.add(
            "clock.database",
            Level::Warning,
            format!("the database's clock and this one are {apart:.0} s apart"),
            "let both hosts keep time: systemctl enable --now systemd-timesyncd",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::tests::found;

    #[test]
    fn each_flaw_is_found() {
        let well = || Answer {
            applied: Applied { version: REQUIRED, readers_from: 0 },
            mighty: false,
            owner: false,
            history: None,
            clock_ahead_s: 0.4,
        };
        let ids = |answer: Answer| found(|findings| judge(&answer, findings));
        assert_eq!(ids(well()), [""; 0]);
        assert_eq!(ids(Answer { owner: true, ..well() }), ["database.rights"]);
        assert_eq!(ids(Answer { mighty: true, ..well() }), ["database.rights"]);
        assert_eq!(ids(Answer { clock_ahead_s: -100.0, ..well() }), ["clock.database"]);
        let applied =
            |version, readers_from| Answer { applied: Applied { version, readers_from }, ..well() };
        assert_eq!(ids(applied(REQUIRED - 1, 0)), ["schema.behind"]);
        assert_eq!(ids(applied(REQUIRED + 2, REQUIRED + 1)), ["schema.past"]);
        assert_eq!(ids(applied(REQUIRED + 2, REQUIRED)), [""; 0]);
    }
}
