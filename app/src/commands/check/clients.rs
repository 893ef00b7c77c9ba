//! Whether nginx sees its clients' own addresses. Where Docker's proxy brings a connection, all of them have the one of the
//! bridge's gateway: they share one limit, and the audit log does not tell them apart.

use serde_json::Value;

use super::{Findings, Level, facts::Facts};

const ID: &str = "clients.address";

pub fn look(facts: &Facts, findings: &mut Findings) {
    if names(&facts.engine["SecurityOptions"]).any(|name| name.starts_with("name=rootless")) {
        findings.add(
            ID,
            Level::Warning,
            "the engine runs without root, and its port driver hides who comes: all clients share one address, and its limits",
            "let it pass on addresses: DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=slirp4netns, or the network driver pasta with the port driver implicit (https://docs.docker.com/engine/security/rootless/troubleshoot/)",
        );
    }
    let nginx =
        |container: &&Value| container["Config"]["Labels"]["com.docker.compose.service"] == "nginx";
    let Some(network) = facts.containers.iter().find(nginx).map(|nginx| &nginx["NetworkSettings"])
    else {
        return;
    };
    if facts.ipv6 != "none" && is_published_on_ipv6(network) && !has_ipv6(network) {
        let (level, leads) = match &*facts.ipv6 {
            "?" | "" => (Level::Note, "should the site's name lead here over IPv6, too".to_owned()),
            address => (Level::Warning, format!("the site's name leads to {address}")),
        };
        findings.add(
            ID,
            level,
            format!("{leads}: all who come over IPv6 share one address, and its limits, because nginx's network has none of its own"),
            "in docker-compose.yml, networks: edge: { enable_ipv6: true } (Docker 27 or newer; before, https://docs.docker.com/engine/daemon/ipv6/), or take the AAAA record away",
        );
    }
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn is_published_on_ipv6(network: &Value) -> bool {
    let ports = network["Ports"].as_object().into_iter().flat_map(|ports| ports.values());
    ports
        .flat_map(|bindings| bindings.as_array().into_iter().flatten())
        .any(|binding| binding["HostIp"].as_str().is_some_and(|address| address.contains(':')))
}

fn has_ipv6(network: &Value) -> bool {
    let networks =
        network["Networks"].as_object().into_iter().flat_map(|networks| networks.values());
    networks
        .into_iter()
        .any(|one| one["GlobalIPv6Address"].as_str().is_some_and(|own| !own.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As Docker 20.10 and 27 tell of it.
    fn facts(host_ip: &str, own: &str, ipv6: &str) -> Facts {
        Facts {
            containers: vec![json!({
                "Config": { "Labels": { "com.docker.compose.service": "nginx" } },
                "NetworkSettings": {
                    "Ports": {
                        "8080/tcp": null,
                        "8443/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "443" }, { "HostIp": host_ip, "HostPort": "443" }],
                    },
                    "Networks": { "roadstead_edge": { "IPAddress": "172.18.0.2", "GlobalIPv6Address": own } },
                },
            })],
            ipv6: ipv6.into(),
            ..Facts::default()
        }
    }

    fn levels(facts: &Facts) -> Vec<Level> {
        let mut findings = Findings::default();
        look(facts, &mut findings);
        assert!(findings.0.iter().all(|finding| finding.id == ID));
        findings.0.iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn who_comes_by_way_of_docker_s_proxy_has_no_address_of_its_own() {
        assert_eq!(levels(&facts("::", "", "2001:db8::1")), [Level::Warning]);
        assert_eq!(levels(&facts("::", "", "?")), [Level::Note]);
        assert_eq!(levels(&facts("::", "", "none")), [], "nobody comes so");
        assert_eq!(levels(&facts("::", "fd00::2", "2001:db8::1")), [], "no proxy");
        assert_eq!(levels(&facts("127.0.0.1", "", "2001:db8::1")), [], "not published");
        let mut rootless = facts("127.0.0.1", "", "none");
        rootless.engine =
            json!({ "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"] });
        assert_eq!(levels(&rootless), [Level::Warning]);
        rootless.engine = json!({ "SecurityOptions": ["name=seccomp,profile=builtin"] });
        assert_eq!(levels(&rootless), []);
    }
}
