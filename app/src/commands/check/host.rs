//! Containers, ports, images and the host, as Docker tells of them.

use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Findings, Level, facts::Facts};

/// Debian's security updates reach an image when it is built.
const IMAGE_AGE: Duration = Duration::days(30);
const CLOCKS_APART_S: i64 = 60;
/// MB: a deploy needs one more version of the images, PostgreSQL its log.
const LITTLE_DISK: u64 = 1000;
const NO_DISK: u64 = 300;

pub fn look(facts: &Facts, deploy: bool, now: OffsetDateTime, findings: &mut Findings) {
    let mut open = Vec::new();
    for container in &facts.containers {
        let service = text(&container["Config"]["Labels"]["com.docker.compose.service"]);
        hardening(service, container, findings);
        environment(service, container, deploy, findings);
        ports(service, container, findings, &mut open);
    }
    if deploy && !open.is_empty() {
        open.sort();
        open.dedup();
        findings.add(
            "ports.firewall",
            Level::Note,
            format!("Docker opens {} to everyone, past the host's firewall: ufw and firewalld do not see them", open.join(" and ")),
            "to keep others out, filter in the chain DOCKER-USER, or before the host (https://docs.docker.com/engine/network/packet-filtering-firewalls/)",
        );
    }
    for image in &facts.images {
        let name = text(&image["RepoTags"][0]);
        let made = OffsetDateTime::parse(text(&image["Created"]), &Rfc3339).ok();
        if made.is_some_and(|made| now - made > IMAGE_AGE) {
            findings.add(
                "image.age",
                Level::Warning,
                format!(
                    "{name} was built over {} days ago: it lacks Debian's security updates since",
                    IMAGE_AGE.whole_days()
                ),
                "build it anew, where images are built: docker compose build --no-cache --pull, then scripts/deploy.sh",
            );
        }
    }
    engine(&facts.engine, deploy, findings);
    if let Some(free) = facts.disk.filter(|free| *free < LITTLE_DISK) {
        findings.add(
            "disk",
            if free < NO_DISK { Level::Error } else { Level::Warning },
            format!("{free} MB are free where the engine keeps its data"),
            "docker system df shows what Docker holds; docker builder prune empties the build cache",
        );
    }
    if let Some(apart) = facts.clock.map(|clock| now.unix_timestamp() - clock)
        && apart.abs() > CLOCKS_APART_S
    {
        findings.add(
            "clock.host",
            Level::Warning,
            format!("the host's clock is {apart} s from that of your machine: tokens are valid by the host's"),
            "let it keep time: systemctl enable --now systemd-timesyncd",
        );
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn has(list: &Value, word: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|item| text(item).starts_with(word)))
}

fn is_zero(value: &Value) -> bool {
    value.as_i64().unwrap_or(0) <= 0
}

fn hardening(service: &str, container: &Value, findings: &mut Findings) {
    let host = &container["HostConfig"];
    let user = text(&container["Config"]["User"]).split(':').next().unwrap_or_default();
    let socket = container["Mounts"].as_array().is_some_and(|mounts| {
        mounts.iter().any(|mount| text(&mount["Source"]).ends_with("docker.sock"))
    });
    let logs = &host["LogConfig"];
    let rules = [
        (host["Privileged"] == true, Level::Error, "is privileged", "take `privileged` away"),
        (
            socket,
            Level::Error,
            "holds the engine's socket, and with it the host",
            "take that volume away",
        ),
        (["", "0", "root"].contains(&user), Level::Error, "runs as root", "give it a `user`"),
        (
            host["ReadonlyRootfs"] != true,
            Level::Warning,
            "can write its own files",
            "read_only: true",
        ),
        (
            !has(&host["CapDrop"], "ALL") || has(&host["CapAdd"], ""),
            Level::Warning,
            "has capabilities",
            "cap_drop: [ALL], and no cap_add",
        ),
        (
            host["NetworkMode"] == "host",
            Level::Error,
            "is in the host's network",
            "give it `networks`",
        ),
        (
            !has(&host["SecurityOpt"], "no-new-privileges")
                || has(&host["SecurityOpt"], "no-new-privileges:false"),
            Level::Warning,
            "may gain privileges",
            "security_opt: [\"no-new-privileges:true\"]",
        ),
        (is_zero(&host["Memory"]), Level::Warning, "may take all memory", "give it a `mem_limit`"),
        (
            is_zero(&host["PidsLimit"]),
            Level::Warning,
            "may start processes without end",
            "give it a `pids_limit`",
        ),
        (
            logs["Type"] == "json-file" && logs["Config"]["max-size"].is_null(),
            Level::Warning,
            "may fill the disk with its log",
            "logging: options: { max-size: 10m, max-file: \"5\" }",
        ),
    ];
    for (holds, level, what, cure) in rules {
        if holds {
            findings.add(
                "container.hardening",
                level,
                format!("{service} {what}"),
                format!("in docker-compose.yml, {service}: {cure}"),
            );
        }
    }
}

/// Whoever may ask the engine reads the environment; and children inherit it.
fn environment(service: &str, container: &Value, deploy: bool, findings: &mut Findings) {
    for variable in container["Config"]["Env"].as_array().into_iter().flatten() {
        let (name, value) = text(variable).split_once('=').unwrap_or_default();
        if deploy && name == "ROADSTEAD_SERVER__DRILL" && value == "true" {
            findings.add(
                "settings.drill",
                Level::Error,
                format!("{service} has routes that sleep, block and panic open to everyone"),
                "take ROADSTEAD_SERVER__DRILL away",
            );
        }
        let secret = ["PASSWORD", "SECRET", "PEPPER", "_KEY", "TOKEN"]
            .iter()
            .any(|word| name.ends_with(word));
        if secret && !value.is_empty() {
            findings.add(
                "secrets.environment",
                Level::Error,
                format!("{service} has a secret in its environment: {name}"),
                format!("put it into a file of a secret volume, and name that by {name}_FILE"),
            );
        }
    }
}

fn ports(service: &str, container: &Value, findings: &mut Findings, open: &mut Vec<String>) {
    for (port, bindings) in
        container["HostConfig"]["PortBindings"].as_object().into_iter().flatten()
    {
        for binding in bindings.as_array().into_iter().flatten() {
            let (address, number) = (text(&binding["HostIp"]), text(&binding["HostPort"]));
            if service != "nginx" || !["8080/tcp", "8443/tcp"].contains(&port.as_str()) {
                findings.add(
                    "ports.published",
                    Level::Error,
                    format!("{service} publishes its port {port} as {number}: whoever reaches the host reaches it, past nginx and past the host's firewall"),
                    format!("take `ports` away from {service}; for a look inside: docker compose exec {service} …"),
                );
            } else if ["", "0.0.0.0", "::"].contains(&address) {
                open.push(format!("port {number}"));
            }
        }
    }
}

fn engine(engine: &Value, deploy: bool, findings: &mut Findings) {
    if engine.is_null() {
        return;
    }
    if !has(&engine["SecurityOptions"], "name=seccomp") {
        findings.add(
            "engine.seccomp",
            Level::Warning,
            "the engine lets containers make every system call",
            "run an engine whose kernel has seccomp, with its default profile",
        );
    }
    if deploy && engine["LiveRestoreEnabled"] == false {
        findings.add(
            "engine.live-restore",
            Level::Note,
            "a restart or upgrade of the engine restarts the stack",
            "in the host's /etc/docker/daemon.json: { \"live-restore\": true }",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::check::tests::found;

    fn container() -> Value {
        json!({
            "Config": {
                "User": "10001:10001",
                "Env": ["ROADSTEAD_AUTH__PEPPER_FILE=/secrets/app/pepper", "ROADSTEAD_DATABASE__PASSWORD="],
                "Labels": { "com.docker.compose.service": "app-blue" },
            },
            "HostConfig": {
                "Privileged": false, "ReadonlyRootfs": true, "CapDrop": ["ALL"], "CapAdd": null, "NetworkMode": "a", "Memory": 1, "PidsLimit": 1,
                "SecurityOpt": ["no-new-privileges:true"], "PortBindings": {},
                "LogConfig": { "Type": "json-file", "Config": { "max-size": "10m" } },
            },
            "Mounts": [],
        })
    }

    fn facts(container: Value) -> Facts {
        Facts { containers: vec![container], disk: Some(5000), ..Facts::default() }
    }

    fn ids(facts: &Facts) -> Vec<&'static str> {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        found(|findings| look(facts, true, now, findings))
    }

    #[test]
    fn each_flaw_of_a_container_is_found() {
        assert_eq!(ids(&facts(container())), [""; 0]);
        for (path, value, id) in [
            ("/HostConfig/Privileged", json!(true), "container.hardening"),
            ("/HostConfig/ReadonlyRootfs", json!(false), "container.hardening"),
            ("/HostConfig/CapDrop", json!(null), "container.hardening"),
            ("/HostConfig/CapAdd", json!(["NET_ADMIN"]), "container.hardening"),
            ("/HostConfig/NetworkMode", json!("host"), "container.hardening"),
            ("/HostConfig/SecurityOpt", json!(["no-new-privileges:false"]), "container.hardening"),
            ("/HostConfig/SecurityOpt", json!([]), "container.hardening"),
            ("/HostConfig/Memory", json!(0), "container.hardening"),
            ("/HostConfig/PidsLimit", json!(null), "container.hardening"),
            ("/HostConfig/LogConfig/Config", json!({}), "container.hardening"),
            ("/Config/User", json!(""), "container.hardening"),
            ("/Mounts", json!([{ "Source": "/var/run/docker.sock" }]), "container.hardening"),
            ("/Config/Env", json!(["ROADSTEAD_AUTH__PEPPER=x"]), "secrets.environment"),
            ("/Config/Env", json!(["ROADSTEAD_SERVER__DRILL=true"]), "settings.drill"),
            (
                "/HostConfig/PortBindings",
                json!({ "9000/tcp": [{ "HostIp": "", "HostPort": "9000" }] }),
                "ports.published",
            ),
        ] {
            let mut bad = container();
            *bad.pointer_mut(path).unwrap() = value;
            assert_eq!(ids(&facts(bad)), [id], "{path}");
        }
        let mut nginx = container();
        nginx["Config"]["Labels"]["com.docker.compose.service"] = json!("nginx");
        nginx["HostConfig"]["PortBindings"] =
            json!({ "8443/tcp": [{ "HostIp": "", "HostPort": "443" }] });
        assert_eq!(ids(&facts(nginx)), ["ports.firewall"]);
    }

    #[test]
    fn each_flaw_of_the_host_is_found() {
        let with = |change: fn(&mut Facts)| {
            let mut facts = facts(container());
            change(&mut facts);
            ids(&facts)
        };
        assert_eq!(with(|facts| facts.disk = Some(900)), ["disk"]);
        assert_eq!(with(|facts| facts.clock = Some(1_799_999_900)), ["clock.host"]);
        assert_eq!(with(|facts| facts.clock = Some(1_799_999_990)), [""; 0]);
        let image = |made: &str| json!({ "RepoTags": ["a:latest"], "Created": made });
        let mut old = facts(container());
        old.images = vec![image("2026-11-01T00:00:00.5Z"), image("2027-01-10T00:00:00Z")];
        assert_eq!(ids(&old), ["image.age"]);
        assert_eq!(
            with(|facts| facts.engine = json!({ "SecurityOptions": [] })),
            ["engine.seccomp"]
        );
        assert_eq!(
            with(|facts| facts.engine =
                json!({ "SecurityOptions": ["name=seccomp"], "LiveRestoreEnabled": false })),
            ["engine.live-restore"]
        );
    }
}
