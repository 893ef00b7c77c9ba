//! The table, row by row of the checklist: B1 to B17.

mod claims;
mod form;
mod header;

use serde_json::Value;

use super::signer::{Signer, grant, issuer, random_keys};
use crate::auth::token::Issuer;

pub struct Case {
    pub row: &'static str,
    pub what: String,
    pub token: String,
}

pub fn tokens(signer: &Signer, now: i64) -> Vec<Case> {
    let mut table = Table::new(signer, now);
    for fill in [
        header::algorithm,
        header::header,
        claims::times,
        claims::identity,
        form::signature,
        form::json,
        form::segments,
        other_keys,
    ] {
        fill(&mut table);
    }
    table.cases
}

struct Table<'a> {
    signer: &'a Signer,
    now: i64,
    header: Value,
    claims: Value,
    cases: Vec<Case>,
}

impl<'a> Table<'a> {
    fn new(signer: &'a Signer, now: i64) -> Self {
        let (header, claims) = signer.parts(now);
        Self { signer, now, header, claims, cases: Vec::new() }
    }

    fn text(&mut self, row: &'static str, what: impl Into<String>, token: String) {
        self.cases.push(Case { row, what: what.into(), token });
    }

    /// A good token.
    fn good(&self) -> String {
        self.signer.sign(self.header.to_string(), self.claims.to_string())
    }

    /// Signed with the right key, whatever it is.
    fn signed(&mut self, row: &'static str, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let what = format!("{} {}", lossy(header.as_ref()), lossy(claims.as_ref()));
        self.text(row, what, self.signer.sign(header, claims));
    }

    fn headers(&mut self, row: &'static str, name: &str, values: &[Value]) {
        for value in values {
            let mut header = self.header.clone();
            header[name] = value.clone();
            self.signed(row, header.to_string(), self.claims.to_string());
        }
    }

    fn claims(&mut self, row: &'static str, name: &str, values: &[Value]) {
        for value in values {
            let mut claims = self.claims.clone();
            claims[name] = value.clone();
            self.signed(row, self.header.to_string(), claims.to_string());
        }
    }

    fn without(&mut self, row: &'static str, names: &[&str]) {
        for name in names {
            let (mut header, mut claims) = (self.header.clone(), self.claims.clone());
            let in_header = header.as_object_mut().expect("object").remove(*name).is_some();
            let in_claims = claims.as_object_mut().expect("object").remove(*name).is_some();
            assert!(in_header != in_claims, "{name} was there");
            self.signed(row, header.to_string(), claims.to_string());
        }
    }
}

/// B16 and B17.
fn other_keys(table: &mut Table) {
    let stranger = Signer::new();
    let token = stranger.sign(table.header.to_string(), table.claims.to_string());
    table.text("B16", "our kid, a stranger's signature", token);
    let (header, claims) = stranger.parts(table.now);
    let token = stranger.sign(header.to_string(), claims.to_string());
    table.text("B17", "a key that is not in the ring any more", token);
    let token = stranger.sign(table.header.to_string(), claims.to_string());
    table.text("B16", "all of a stranger's but the kid", token);

    let there = Issuer::new("https://staging.example.org", issuer().lifetime());
    let token =
        there.issue(&table.signer.keys.signing(table.now).expect("signs"), grant(), table.now);
    table.text("B17", "another environment's, with the same key", token);
    let token = there.issue(&stranger.keys.signing(table.now).expect("signs"), grant(), table.now);
    table.text("B17", "another environment's", token);
}
