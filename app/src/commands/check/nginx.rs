//! nginx's configuration, held against the application's settings.

use super::{Findings, Level};
use crate::{api::JSON_LIMIT, config::Settings};

pub fn look(text: &str, settings: &Settings, deploy: bool, findings: &mut Findings) {
    if text.is_empty() {
        findings.add(
            "nginx.unreachable",
            Level::Warning,
            "nginx's configuration could not be read",
            "docker compose logs --tail 20 nginx; scripts/up.sh brings it back",
        );
        return;
    }
    let server = &settings.server;
    for (value, file) in values(text, "proxy_read_timeout") {
        if seconds(value).is_some_and(|read| read <= server.handler_deadline_s) {
            findings.add(
                "nginx.read-timeout",
                Level::Error,
                format!("{file}: proxy_read_timeout {value} is over before the application's deadline of {} s: its answer is lost", server.handler_deadline_s),
                "make it longer than ROADSTEAD_SERVER__HANDLER_DEADLINE_S",
            );
        }
    }
    let upstream = text.split_once("upstream app {").and_then(|(_, rest)| rest.split_once('}'));
    let keep = upstream.and_then(|(block, _)| {
        values(block, "keepalive_timeout").first().and_then(|(value, _)| seconds(value))
    });
    if keep.is_none_or(|keep| keep >= server.keep_alive_s) {
        findings.add(
            "nginx.keep-alive",
            Level::Error,
            format!("nginx keeps idle connections to the application as long as the application does ({} s), or longer: some requests meet a closed one", server.keep_alive_s),
            "in snippets/upstream.conf, keepalive_timeout below ROADSTEAD_SERVER__KEEP_ALIVE_S",
        );
    }
    let body =
        values(text, "client_max_body_size").iter().filter_map(|(value, _)| bytes(value)).min();
    if body.is_some_and(|body| body < JSON_LIMIT as u64) {
        findings.add(
            "nginx.body-limit",
            Level::Error,
            format!(
                "nginx refuses bodies that the application would take (up to {JSON_LIMIT} bytes)"
            ),
            "raise client_max_body_size in snippets/client.conf",
        );
    }
    let old = |word: &&str| !["TLSv1.2", "TLSv1.3"].contains(word);
    if let Some((value, file)) = values(text, "ssl_protocols")
        .into_iter()
        .find(|(value, _)| value.split(' ').any(|word| old(&word)))
    {
        findings.add(
            "nginx.tls",
            Level::Error,
            format!("{file}: ssl_protocols {value} lets old versions in (RFC 8996)"),
            "ssl_protocols TLSv1.2 TLSv1.3",
        );
    }
    let is_local = settings.domain == "localhost" || settings.domain.ends_with(".localhost");
    if deploy && !is_local && !has_hsts(text) {
        findings.add(
            "nginx.hsts",
            Level::Error,
            "no Strict-Transport-Security: a first visit over HTTP can be kept there (RFC 6797)",
            "let snippets/security-values.conf give it, as it comes",
        );
    }
}

/// Literally, or by the map of security-values.conf.
fn has_hsts(text: &str) -> bool {
    text.contains("Strict-Transport-Security \"max-age=")
        || text.lines().any(|line| line.trim().starts_with("on \"max-age="))
}

/// All values of a directive, and the file of each (`nginx -T` names it before its text), but in services/: those are not
/// the application, and may have limits of their own.
fn values<'a>(text: &'a str, directive: &str) -> Vec<(&'a str, &'a str)> {
    let (mut file, mut of_service) = ("nginx", false);
    let mut values = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("# configuration file ") {
            file = name.trim_end_matches(':').rsplit('/').next().unwrap_or(name);
            of_service = name.contains("/services/");
        } else if !of_service
            && let Some(rest) = line.strip_prefix(directive)
            && rest.starts_with([' ', '\t'])
            && let Some((value, _)) = rest.split_once(';')
        {
            values.push((value.trim(), file));
        }
    }
    values
}

fn seconds(value: &str) -> Option<u64> {
    let (number, unit) =
        value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
    let number: u64 = number.parse().ok()?;
    match unit {
        "" | "s" => Some(number),
        "m" => Some(number * 60),
        "h" => Some(number * 3600),
        _ => None,
    }
}

/// 0 is no limit.
fn bytes(value: &str) -> Option<u64> {
    let (number, unit) =
        value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    match unit.to_ascii_lowercase().as_str() {
        "" => Some(number),
        "k" => Some(number << 10),
        "m" => Some(number << 20),
        "g" => Some(number << 30),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::tests::found;

    /// The files as they ship, in a row as `nginx -T` gives them.
    fn shipped() -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../nginx");
        [
            "nginx.conf",
            "snippets/client.conf",
            "snippets/tls.conf",
            "snippets/upstream.conf",
            "snippets/proxy.conf",
            "snippets/error-answer.conf",
        ]
        .map(|file| {
            let text = std::fs::read_to_string(format!("{folder}/{file}")).unwrap();
            format!("# configuration file /run/nginx/{file}:\n{text}\n")
        })
        .concat()
    }

    #[test]
    fn what_ships_is_well_and_each_flaw_is_found() {
        let settings = Settings::default();
        let ids = |text: &str| found(|findings| look(text, &settings, true, findings));
        let shipped = shipped();
        assert_eq!(ids(&shipped), [""; 0]);
        for (good, bad, id) in [
            ("proxy_read_timeout 35s", "proxy_read_timeout 30s", "nginx.read-timeout"),
            ("keepalive_timeout 5s", "keepalive_timeout 75s", "nginx.keep-alive"),
            ("keepalive_timeout 5s;", "", "nginx.keep-alive"),
            ("client_max_body_size 1m", "client_max_body_size 64k", "nginx.body-limit"),
            ("ssl_protocols TLSv1.2", "ssl_protocols TLSv1.1 TLSv1.2", "nginx.tls"),
        ] {
            assert!(shipped.contains(good), "{good}");
            assert_eq!(ids(&shipped.replace(good, bad)), [id]);
        }
        let own = "# configuration file /run/nginx/services/own.conf:\nproxy_read_timeout 5s;\n";
        assert_eq!(ids(&format!("{shipped}\n{own}")), [""; 0]);
        let site = Settings { domain: "example.org".into(), ..Settings::default() };
        let ids = |text: &str| found(|findings| look(text, &site, true, findings));
        assert_eq!(ids(&shipped), ["nginx.hsts"], "as for localhost");
        let hsts = "map $https $hsts {\n    on \"max-age=63072000; includeSubDomains\";\n}";
        assert_eq!(ids(&format!("{shipped}\n{hsts}")), [""; 0]);
        assert_eq!(found(|findings| look("", &site, true, findings)), ["nginx.unreachable"]);
    }
}
