//! What nobody needs any more is removed, and nothing else.

use crate::support::{app::TestApp, until};

/// Rows that are over, and rows that are not quite: `name` is its mark.
const ROWS: &str = "
    INSERT INTO users (id, email, password_hash)
        VALUES ('00000000-0000-7000-8000-000000000001', 'old@example.org', 'x');
    INSERT INTO sessions (id, user_id, kind, user_agent, created_at, idle_expires_at, expires_at, revoked_at, revoked_reason)
        SELECT gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 'program', name,
            now() - interval '90 days', now() + idle, now() + absolute, now() + revoked, CASE WHEN revoked IS NOT NULL THEN 'by_user' END
        FROM (VALUES
            ('over', interval '-8 days', interval '-1 day', NULL::interval),
            ('over', '1 day', '2 days', '-8 days'),
            ('kept', '-6 days', '1 day', NULL),
            ('kept', '1 day', '2 days', '-6 days'),
            ('kept', '1 day', '2 days', NULL)
        ) AS row (name, idle, absolute, revoked);
    INSERT INTO invitations (id, token_hash, email, created_at, expires_at, used_at)
        SELECT gen_random_uuid(), sha256(random()::text::bytea), name || '@example.org', now() - interval '90 days', now() + ends, now() + used
        FROM (VALUES
            ('over', interval '-31 days', NULL::interval), ('over', '1 day', '-31 days'),
            ('kept', '-29 days', NULL), ('kept', '1 day', NULL)
        ) AS row (name, ends, used);
    INSERT INTO revocations (kind, session_id, expires_at)
        SELECT 'session', gen_random_uuid(), now() + ends
        FROM (VALUES (interval '-1 second'), ('1 hour')) AS row (ends);
    INSERT INTO sign_in_limits (bucket, attempts, resets_at)
        VALUES ('over', 9, now() - interval '1 second'), ('kept', 9, now() + interval '1 hour');
    INSERT INTO audit_events (event, at) SELECT 'over', now() - interval '91 days' FROM generate_series(1, 10001);
    INSERT INTO audit_events (event, at) VALUES ('kept', now() - interval '89 days');
    INSERT INTO api_keys (id, user_id, name, secret_hash, scope, created_at, expires_at, revoked_at)
        SELECT gen_random_uuid(), '00000000-0000-7000-8000-000000000001', name, sha256(random()::text::bytea), 'notes',
            now() - interval '400 days', now() + ends, now() + revoked
        FROM (VALUES
            ('over', interval '-91 days', NULL::interval), ('over', '1 day', '-91 days'),
            ('kept', '-89 days', NULL), ('kept', '1 day', NULL)
        ) AS row (name, ends, revoked);
    INSERT INTO signing_keys (kid, public_key, nonce, ciphertext, published_at, signs_from, retired_at, expires_at, revoked_at)
        SELECT name || ' ' || kind, sha256(kind::bytea), substr(sha256((name || kind)::bytea), 1, 12), 'x',
            now() - interval '60 days', now() - interval '60 days', now() + ends - interval '35 minutes', now() + ends, now() + revoked
        FROM (VALUES
            ('over', 'expired', interval '-8 days', NULL::interval), ('over', 'revoked', NULL, '-8 days'),
            ('kept', 'expired', '-6 days', NULL), ('kept', 'revoked', NULL, '-6 days')
        ) AS row (name, kind, ends, revoked)";

#[test]
fn what_is_over_is_purged_in_batches_and_the_feed_hears_nothing_of_it() {
    let app = TestApp::spawn();
    let due = "UPDATE jobs SET due_at = now(), done_at = NULL WHERE name = 'purge'";
    app.change(&format!("BEGIN; {ROWS}; {due}; COMMIT"));
    let count = |table: &str, over: &str| {
        app.value(&format!("SELECT count(*) FROM {table} WHERE {over}")).parse::<u32>().unwrap()
    };
    let tables = [
        ("sessions", "user_agent = 'over'", 3),
        ("invitations", "email LIKE 'over%'", 2),
        ("revocations", "expires_at < now()", 1),
        ("sign_in_limits", "bucket = 'over'", 1),
        ("audit_events", "event = 'over'", 1),
        ("api_keys", "name = 'over'", 2),
        ("signing_keys", "kid LIKE 'over%'", 2),
    ];
    until("all is purged", || tables.iter().all(|(table, over, _)| count(table, over) == 0));
    until("it is done for an hour", || {
        count("jobs", "name = 'purge' AND due_at > now() + interval '50 minutes'") == 1
    });
    for (table, over, kept) in tables {
        let kind = over.replace("over", "kept").replace("< now()", "> now() AND kind = 'session'");
        assert_eq!(count(table, &kind), kept, "{table}");
    }
}
