//! Every failure leaves in one shape.

use roadstead::{api::routes, config::Settings};

use crate::support::{
    app::{Site, TestApp},
    http::Connection,
};

fn settings() -> Settings {
    let drill = [("ROADSTEAD_SERVER__DRILL".to_owned(), "true".to_owned())];
    Settings::read(drill.into()).unwrap()
}

#[test]
fn every_route_refuses_other_methods_and_says_which_it_allows() {
    let app = TestApp::spawn();
    let admin = app.admin();
    for route in routes(&settings()) {
        let reply = admin.send(&format!("TRACE {}", route.path), "", b"");
        assert_eq!(reply.status, 405, "{}", route.path);
        let allow = reply.header("allow").unwrap();
        assert!(allow.split(", ").any(|method| method == route.method.as_str()), "{allow}");
        match route.path.starts_with("/api/token/") {
            true => assert_eq!(reply.json()["detail"], "Method \"TRACE\" not allowed."),
            false => assert_eq!(reply.problem()["code"], "method_not_allowed"),
        }
    }
}

#[test]
fn unknown_and_garbled_paths_are_not_found() {
    let site = Site::new();
    let slot = site.ready("blue");
    let mut connection = Connection::open(&slot.socket).unwrap();
    for path in
        ["/", "/nope", "/api", "/api/v1", "/api/v1/%ff%fe", "/health/live/", "//health/live"]
    {
        let reply = connection.get(path).unwrap();
        assert_eq!((reply.status, &reply.problem()["code"]), (404, &"not_found".into()), "{path}");
    }
}

#[test]
fn bodies_that_are_no_valid_json_are_named() {
    let site = Site::new();
    let slot = site.ready("blue");
    let json = "application/json";
    let large = [b"{\"message\":\"".as_slice(), &vec![b'x'; 300 * 1024], b"\"}"].concat();
    let cases: [(&str, &[u8], u16, &str); 10] = [
        (json, b"{", 400, "bad_json"),
        (json, b"", 400, "bad_json"),
        (json, b"[]", 400, "bad_json"),
        (json, b"[\"a\"]", 400, "bad_json"),
        (json, b"{}", 400, "bad_json"),
        (json, b"{\"message\":\"a\",\"message\":\"b\"}", 400, "bad_json"),
        (json, b"{\"message\":\"\xff\"}", 400, "bad_json"),
        (json, &large, 413, "body_too_large"),
        ("text/plain", b"{\"message\":\"a\"}", 415, "unsupported_media_type"),
        ("application/json; charset=utf-16", b"\xff\xfe{\0}\0", 400, "bad_json"),
    ];
    for (kind, body, status, code) in cases {
        let mut connection = Connection::open(&slot.socket).unwrap();
        let reply = connection.post("/api/v1/drill/panic", kind, body).unwrap();
        let problem = reply.problem();
        assert_eq!((reply.status, &problem["code"]), (status, &code.into()), "{problem}");
    }
    let mut connection = Connection::open(&slot.socket).unwrap();
    let reply = connection.post("/api/v1/drill/panic", json, b"{\"massage\":\"a\"}").unwrap();
    assert_eq!(reply.problem()["errors"][0]["field"], "massage");
}

#[test]
fn a_panic_is_a_500_and_the_connection_and_its_worker_live_on() {
    let site = Site::with(&[("ROADSTEAD_WORKERS", "1")]);
    let slot = site.ready("blue");
    let mut connection = Connection::open(&slot.socket).unwrap();
    let body = br#"{"message":"the boiler"}"#;
    for _ in 0..3 {
        let reply = connection.post("/api/v1/drill/panic", "application/json", body).unwrap();
        assert_eq!((reply.status, reply.closes()), (500, false));
        let problem = reply.problem();
        assert_eq!(problem["code"], "internal");
        assert!(!problem.to_string().contains("boiler"), "a cause is for the log: {problem}");
        let id = problem["request_id"].as_str().unwrap();
        let log = slot.log();
        let line = log.lines().find(|line| line.contains(id)).expect("a line with the id");
        assert!(line.contains("panic: the boiler"), "{line}");
    }
    assert_eq!(connection.get("/health/live").unwrap().status, 200);
}

#[test]
fn a_handler_beyond_its_deadline_is_503() {
    let deadline = [
        ("ROADSTEAD_SERVER__HANDLER_DEADLINE_S", "1"),
        ("ROADSTEAD_DATABASE__STATEMENT_TIMEOUT_MS", "900"),
    ];
    let site = Site::with(&deadline);
    let slot = site.ready("blue");
    let mut connection = Connection::open(&slot.socket).unwrap();
    let reply = connection.get("/api/v1/drill/sleep?ms=5000").unwrap();
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(reply.problem()["code"], "deadline_exceeded");
}

#[test]
fn the_request_id_is_nginx_s_where_it_is_one() {
    let site = Site::new();
    let slot = site.ready("blue");
    let mut connection = Connection::open(&slot.socket).unwrap();
    let given = "0123456789abcdef0123456789abcdef";
    for (id, kept) in
        [(given, true), ("short", false), ("0123456789abcdef0123456789abcde\"", false)]
    {
        let request =
            format!("GET /nope HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {id}\r\n\r\n");
        connection.send(request.as_bytes()).unwrap();
        let reply = connection.receive(false).unwrap();
        reply.problem();
        assert_eq!(reply.header("x-request-id") == Some(id), kept, "{id}");
    }
}
