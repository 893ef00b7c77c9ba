//! What nginx asks for the services behind it.

use serde_json::json;

use crate::support::{app::TestApp, http::Reply};

/// A refusal, whose problem is also in the one place that nginx hands on.
fn refused(reply: &Reply, status: u16, code: &str) {
    let problem = reply.problem();
    assert_eq!((reply.status, &problem["code"]), (status, &json!(code)), "{problem}");
    assert_eq!(reply.header("x-problem").map(str::as_bytes), Some(&*reply.body));
    assert_eq!(reply.header("x-user-id"), None);
}

#[test]
fn whoever_has_the_permission_passes_and_is_named() {
    let app = TestApp::spawn();
    let (user, admin) = (app.user("ada"), app.admin());
    for (client, permission, scope) in [
        (&user, "notes", "account notes"),
        (&user, "account", "account notes"),
        (&admin, "users", "account notes users"),
    ] {
        let reply = client.get(&format!("/internal/authorize?permission={permission}"));
        assert_eq!((reply.status, reply.body.len()), (204, 0), "{permission}");
        let id = client.get("/api/v1/me").json()["id"].as_str().unwrap().to_owned();
        assert_eq!(reply.header("x-user-id"), Some(&*id));
        assert_eq!(reply.header("x-user-scope"), Some(scope));
        assert_eq!(reply.header("x-problem"), None);
    }
}

#[test]
fn whoever_has_not_is_refused_and_so_is_everybody_without_a_question() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    for permission in ["users", "", "note", "notes%20account", "Notes"] {
        let reply = user.get(&format!("/internal/authorize?permission={permission}"));
        refused(&reply, 403, "insufficient_scope");
        let challenge = r#"Bearer realm="api", error="insufficient_scope""#;
        assert_eq!(reply.header("www-authenticate"), Some(challenge));
    }
    for query in ["", "?scope=notes", "?permission=notes&permission=users"] {
        refused(&user.get(&format!("/internal/authorize{query}")), 400, "bad_request");
        refused(&app.anon().get(&format!("/internal/authorize{query}")), 401, "not_authenticated");
    }
}

#[test]
fn a_token_is_refused_as_everywhere_else() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    let ask =
        |client: &crate::support::app::Client| client.get("/internal/authorize?permission=notes");
    refused(&ask(&app.anon()), 401, "not_authenticated");
    refused(&ask(&app.anon().with_token("bad")), 401, "token_invalid");
    refused(&ask(&app.anon().with_token("two words")), 400, "malformed_authorization");
    assert_eq!(ask(&user).status, 204);
    let own_page = "Sec-Fetch-Site: same-origin\r\nOrigin: https://localhost\r\n";
    assert_eq!(user.send("DELETE /api/v1/auth/session", own_page, b"").status, 204);
    refused(&ask(&user), 401, "token_revoked");
    let other = app.anon().get("/api/v1/me");
    assert_eq!((other.status, other.header("x-problem")), (401, None), "only there");
}
