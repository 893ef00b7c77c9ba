//! The document tells what the route table has, and the page to read it asks nobody else.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use roadstead::{
    api::{
        openapi::{document, is_told},
        routes,
    },
    config::Settings,
    error::CODES,
};
use serde_json::{Value, json};

use crate::support::app::TestApp;

fn settings() -> Settings {
    let drill = [("ROADSTEAD_SERVER__DRILL".to_owned(), "true".to_owned())];
    Settings::read(drill.into()).unwrap()
}

fn told() -> Value {
    serde_json::to_value(document(&routes(&settings()))).unwrap()
}

/// `METHOD /path` and the operation.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| {
            (format!("{} {path}", method.to_uppercase()), operation)
        })
    });
    methods.collect()
}

#[test]
fn every_route_is_in_the_document_and_the_other_way_round() {
    let document = told();
    let in_document = operations(&document).into_iter().map(|(name, _)| name);
    let routes = routes(&settings());
    let in_table = routes.iter().filter(|route| is_told(route));
    let in_table = in_table.map(|route| format!("{} {}", route.method, route.path));
    assert_eq!(in_document.collect::<BTreeSet<_>>(), in_table.collect::<BTreeSet<_>>());
    for route in routes.iter().filter(|route| !is_told(route)) {
        let apart = ["/internal/", "/api/docs", "/api/v1/drill/"];
        assert!(apart.iter().any(|prefix| route.path.starts_with(prefix)), "{}", route.path);
    }
}

#[test]
fn every_operation_says_who_may_come_in() {
    let document = told();
    let operations = operations(&document);
    for route in routes(&settings()).iter().filter(|route| is_told(route)) {
        let name = format!("{} {}", route.method, route.path);
        let (_, operation) = operations.iter().find(|(known, _)| *known == name).unwrap();
        let mut security = operation["security"].as_array().unwrap().clone();
        security.retain(|one| one.get("cookie").is_none());
        let refusals = &operation["responses"];
        match route.who {
            "everyone" => assert_eq!(security, [] as [Value; 0], "{name}"),
            "everyone, without a bad token" => {
                assert_eq!(security, [json!({}), json!({"bearer": []})], "{name}");
            }
            "signed in" => assert_eq!(security, [json!({"bearer": []})], "{name}"),
            scope => {
                assert_eq!(security, [json!({"bearer": [scope]})], "{name}");
                assert!(refusals["403"]["description"].as_str().unwrap().contains("insufficient"));
                assert!(operation["description"].as_str().unwrap().contains(scope), "{name}");
            }
        }
        assert_eq!(
            refusals.get("401").is_some_and(|one| {
                one["description"].as_str().unwrap().contains("token_expired")
            }),
            route.who != "everyone",
            "{name}"
        );
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_words() {
    let document = told();
    let operations = operations(&document);
    let ids: BTreeSet<_> = operations.iter().map(|(_, one)| one["operationId"].as_str()).collect();
    assert_eq!(ids.len(), operations.len());
    for (name, operation) in &operations {
        assert!(operation["summary"].as_str().is_some_and(|words| words.len() > 5), "{name}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert_ne!(response["description"], "", "{name}: {status}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = told();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Problem"));
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}

#[test]
fn every_code_that_nginx_answers_with_is_told() {
    let words = include_str!("../../../nginx/snippets/error-words.conf");
    for map in ["$problem_code {", "$forbidden_code {", "$unavailable_code {"] {
        let (_, lines) = words.split_once(map).unwrap();
        let (lines, _) = lines.split_once('}').unwrap();
        let codes = lines.split(';').filter_map(|line| line.split_whitespace().last());
        let codes: Vec<_> = codes.filter(|word| !word.starts_with('$')).collect();
        assert!(codes.len() > 1, "{map} {codes:?}");
        for code in codes {
            assert!(CODES.contains(&code), "{code}");
        }
    }
}

#[test]
fn the_document_is_the_same_each_time_and_for_whoever_has_it_304() {
    let app = TestApp::spawn();
    let anon = app.anon();
    let reply = anon.get("/api/openapi.json");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.header("cache-control"), Some("public, no-cache"));
    let document = document(&routes(&Settings::read([].into()).unwrap()));
    assert_eq!(reply.body, document.to_json().unwrap().into_bytes());
    let tag = reply.header("etag").unwrap();
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".into()] {
        let again = anon.send("GET /api/openapi.json", &format!("If-None-Match: {known}\r\n"), b"");
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)));
    }
    let other = anon.send("GET /api/openapi.json", "If-None-Match: \"other\"\r\n", b"");
    assert_eq!(other.status, 200);
}

#[test]
fn the_page_and_what_it_loads_come_from_here() {
    let app = TestApp::spawn();
    let anon = app.anon();
    assert_eq!(anon.get("/api/docs").header("location"), Some("/api/docs/"));
    let page = anon.get("/api/docs/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().contains("script-src 'self';"));
    let page = String::from_utf8(page.body).unwrap();
    let initializer = String::from_utf8(anon.get("/api/docs/initializer.js").body).unwrap();
    for text in [&page, &initializer] {
        assert!(!text.contains("//"), "an address elsewhere: {text}");
    }
    assert!(initializer.contains("validatorUrl: null"), "else it asks a service elsewhere");
    let loaded = page.split(['"']).filter(|word| word.starts_with("/api/"));
    let loaded: Vec<_> = loaded.collect();
    assert_eq!(loaded.len(), 4, "{loaded:?}");
    for path in loaded {
        let reply = anon.get(path);
        assert_eq!(reply.status, 200, "{path}");
        let tag = format!("If-None-Match: {}\r\n", reply.header("etag").unwrap());
        assert_eq!(anon.send(&format!("GET {path}"), &tag, b"").status, 304, "{path}");
    }
}

#[test]
fn swagger_ui_comes_packed_and_whole() {
    let app = TestApp::spawn();
    for (path, kind, word) in [
        ("/api/docs/swagger-ui.css", "text/css; charset=utf-8", ".swagger-ui"),
        ("/api/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", "SwaggerUIBundle"),
    ] {
        let reply = app.anon().get(path);
        assert_eq!(reply.header("content-encoding"), Some("gzip"));
        assert_eq!(reply.header("content-type"), Some(kind));
        let mut gzip = Command::new("gzip")
            .args(["--decompress", "--stdout"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = gzip.stdin.take().unwrap();
        let body = reply.body;
        let writer = std::thread::spawn(move || input.write_all(&body).unwrap());
        let output = gzip.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success(), "gzip checks the size and the checksum");
        assert!(String::from_utf8(output.stdout).unwrap().contains(word), "{path}");
    }
}
