//! What was gathered outside: sections, each after a line `== NAME`. Docker's own JSON stays as it is.

use serde_json::Value;

#[derive(Debug, Default)]
pub struct Facts {
    /// `docker inspect` of the project's containers.
    pub containers: Vec<Value>,
    /// `docker image inspect` of its images.
    pub images: Vec<Value>,
    /// `docker info`.
    pub engine: Value,
    /// `nginx -T`.
    pub nginx: String,
    /// What the site's name leads to over IPv6: an address, `none`, or `?`.
    pub ipv6: String,
    /// Free where the engine keeps its data, in MB.
    pub disk: Option<u64>,
    /// Of the operator's machine, in seconds since 1970.
    pub clock: Option<i64>,
    /// Sections that came empty: what was asked did not answer.
    pub missing: Vec<String>,
}

impl Facts {
    pub fn read(text: &str) -> Result<Self, String> {
        let mut facts = Self::default();
        for section in text.split("\n== ").skip(1) {
            let (name, body) = section.split_once('\n').unwrap_or((section, ""));
            let body = body.trim();
            if body.is_empty() {
                facts.missing.push(name.to_owned());
            }
            let json = || match body {
                "" => Ok(Value::Null),
                _ => serde_json::from_str::<Value>(body)
                    .map_err(|error| format!("facts, {name}: {error}")),
            };
            let list = || json().map(|value| value.as_array().cloned().unwrap_or_default());
            match name {
                "containers" => facts.containers = list()?,
                "images" => facts.images = list()?,
                "engine" => facts.engine = json()?,
                "nginx" => facts.nginx = body.to_owned(),
                "ipv6" => facts.ipv6 = body.to_owned(),
                "disk" => facts.disk = body.parse().ok(),
                "clock" => facts.clock = body.parse().ok(),
                _ => {}
            }
        }
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_told_apart() {
        let text = "facts\n== clock\n1700000000\n== ipv6\nnone\n== disk\n\n== containers\n[{\"Name\":\"a\"}]\n== nginx\nhttp {\n}\n";
        let facts = Facts::read(text).unwrap();
        assert_eq!((facts.clock, facts.disk), (Some(1_700_000_000), None));
        assert_eq!(facts.ipv6, "none");
        assert_eq!(facts.containers[0]["Name"], "a");
        assert_eq!(facts.nginx, "http {\n}");
        assert_eq!(facts.missing, ["disk"]);
        assert!(Facts::read("\n== engine\n{").unwrap_err().starts_with("facts, engine: "));
    }
}
