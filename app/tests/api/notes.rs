//! The model resource, and one's own sessions.

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp};

#[test]
fn a_note_is_created_shown_changed_and_deleted() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    let created = user.post("/api/v1/notes", &json!({"title": "Ünïcode ⚓", "body": "two\nlines"}));
    assert_eq!(created.status, 201);
    let note = created.json();
    let url = format!("/api/v1/notes/{}", note["id"].as_str().unwrap());
    assert_eq!(created.header("location"), Some(&*url));
    assert_eq!(user.get(&url).json(), note);
    let changed = user.patch(&url, &json!({"title": "Harbour"})).json();
    assert_eq!((&changed["title"], &changed["body"]), (&json!("Harbour"), &note["body"]));
    assert_eq!(changed["created_at"], note["created_at"]);
    assert_ne!(changed["updated_at"], note["updated_at"]);
    assert_eq!(user.delete(&url).status, 204);
    for reply in [user.get(&url), user.delete(&url), user.patch(&url, &json!({"title": "x"}))] {
        assert_eq!(reply.status, 404);
    }
    assert_eq!(app.value("SELECT count(*) FROM notes"), "0");
}

#[test]
fn another_s_note_is_as_if_it_were_not_there() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.user("ada"), app.user("bob"));
    let note = ada.post("/api/v1/notes", &json!({"title": "mine"})).json();
    let url = format!("/api/v1/notes/{}", note["id"].as_str().unwrap());
    let absent = format!("/api/v1/notes/{}", uuid::Uuid::now_v7());
    for (theirs, nobody) in [
        (bob.get(&url), bob.get(&absent)),
        (bob.delete(&url), bob.delete(&absent)),
        (bob.patch(&url, &json!({"title": "x"})), bob.patch(&absent, &json!({"title": "x"}))),
    ] {
        let [mut theirs, mut nobody] = [theirs.problem(), nobody.problem()];
        theirs["request_id"].take();
        nobody["request_id"].take();
        assert_eq!((&theirs["status"], &theirs), (&json!(404), &nobody));
    }
    assert_eq!(bob.get("/api/v1/notes").json()["items"], json!([]));
    assert_eq!(ada.get(&url).json(), note);
    assert_eq!(ada.get("/api/v1/notes/no-uuid").status, 404);
}

#[test]
fn what_a_note_cannot_be_is_named() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    for (body, field) in [
        (json!({}), "title"),
        (json!({"title": ""}), "title"),
        (json!({"title": "  "}), "title"),
        (json!({"title": "x".repeat(201)}), "title"),
        (json!({"title": "x", "body": "x".repeat(20_001)}), "body"),
        (json!({"title": "a\0b"}), "title"),
        (json!({"title": 1}), ""),
        (json!({"title": "x", "owner_id": uuid::Uuid::nil()}), "owner_id"),
        (json!({"title": "x", "id": uuid::Uuid::nil()}), "id"),
    ] {
        let problem = user.post("/api/v1/notes", &body).problem();
        assert_eq!(
            (&problem["status"], &problem["errors"][0]["field"]),
            (&json!(400), &json!(field)),
            "{problem}"
        );
    }
    assert_eq!(user.post("/api/v1/notes", &json!({"title": "x".repeat(200)})).status, 201);
    assert_eq!(app.value("SELECT count(*) FROM notes"), "1");
}

#[test]
fn notes_are_listed_newest_first_page_by_page() {
    let app = TestApp::spawn();
    let user = app.user("ada");
    for number in 0..5 {
        user.post("/api/v1/notes", &json!({"title": number.to_string()}));
    }
    let titles = |page: &Value| {
        let items = page["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = user.get("/api/v1/notes?limit=2").json();
    assert_eq!(titles(&first), ["4", "3"]);
    let after =
        |page: &Value| format!("/api/v1/notes?limit=2&after={}", page["next"].as_str().unwrap());
    let second = user.get(&after(&first)).json();
    let third = user.get(&after(&second)).json();
    assert_eq!((titles(&second), titles(&third)), (vec!["2".into(), "1".into()], vec!["0".into()]));
    assert_eq!(third["next"], Value::Null);
    for query in ["limit=0", "limit=101", "limit=x", "after=x", "page=2"] {
        let reply = user.get(&format!("/api/v1/notes?{query}"));
        assert_eq!(reply.status, 400, "{query}");
        reply.problem();
    }
}

#[test]
fn sessions_are_listed_and_ended_by_their_owner() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.user("ada"), app.user("bob"));
    let head =
        "Content-Type: application/json\r\nUser-Agent: tide/1\r\nX-Forwarded-For: 2001:db8::7\r\n";
    let body = json!({"email": "ada@example.org", "password": PASSWORD}).to_string();
    let other = app.anon().send("POST /api/v1/auth/token", head, body.as_bytes()).json();

    let list = ada.get("/api/v1/sessions").json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let newest = &items[0];
    assert_eq!((&newest["ip"], &newest["user_agent"]), (&json!("2001:db8::7"), &json!("tide/1")));
    assert_eq!((&newest["current"], &items[1]["current"]), (&json!(false), &json!(true)));
    assert!(!list.to_string().contains("token"), "{list}");

    let url = format!("/api/v1/sessions/{}", newest["id"].as_str().unwrap());
    assert_eq!(bob.delete(&url).status, 404);
    assert_eq!(ada.delete(&url).status, 204);
    assert_eq!(ada.delete(&url).status, 404);
    let refreshed = app
        .anon()
        .post("/api/v1/auth/token/refresh", &json!({"refresh_token": other["refresh_token"]}));
    assert_eq!(refreshed.status, 400);
    assert_eq!(ada.get("/api/v1/sessions").json()["items"].as_array().unwrap().len(), 1);
}
