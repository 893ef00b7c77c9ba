//! What is no token by its form, and signatures that are none.

use serde_json::{Value, json};

use super::Table;
use crate::auth::{secret, token::LONGEST_TOKEN};

/// B4.
pub fn signature(table: &mut Table) {
    let good = table.good();
    let (text, signature) = good.rsplit_once('.').expect("segments");
    let bytes = secret::decode(signature).expect("base64url");
    let mut with = |what: &str, bytes: &[u8]| {
        table.text("B4", what, format!("{text}.{}", secret::encode(bytes)));
    };
    with("empty", &[]);
    with("64 zero bytes", &[0; 64]);
    with("R is zero", &[&[0; 32], &bytes[32..]].concat());
    with("S is zero", &[&bytes[..32], &[0; 32]].concat());
    with("one byte less", &bytes[..63]);
    with("one byte more", &[&*bytes, &[0]].concat());
    with("S + L, which a lenient verifier takes for S", &plus_order(&bytes));
    for position in (0..64).step_by(7) {
        let mut spoilt = bytes.clone();
        spoilt[position] ^= 1 << (position % 8);
        with(&format!("one bit of byte {position} flipped"), &spoilt);
    }
    for length in [text.len(), text.len() + 1, good.len() - 1] {
        table.text("B4", format!("cut at {length}"), good[..length].into());
    }
    // A hundred positions in each segment.
    let ends: Vec<usize> = good.match_indices('.').map(|(at, _)| at).collect();
    for (from, to) in [(0, ends[0]), (ends[0] + 1, ends[1]), (ends[1] + 1, good.len())] {
        for random in secret::random::<100>() {
            let position = from + usize::from(random) * (to - from) / 256;
            let mut spoilt = good.clone().into_bytes();
            spoilt[position] ^= 1 << (random % 5);
            let spoilt = String::from_utf8(spoilt).expect("ASCII");
            table.text("B4", format!("bit {} of letter {position}", random % 5), spoilt);
        }
    }
}

/// The same signature with its S one group order higher: RFC 8032 section 5.1.7 refuses it.
fn plus_order(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut sum = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in sum[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry as u8;
        carry >>= 8;
    }
    sum
}

/// B14.
pub fn json(table: &mut Table) {
    let (header, claims) = (table.header.to_string(), table.claims.to_string());
    let inside = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    // Each member twice, with the same value; and, for the crate knows only some, one of our own.
    for (name, value) in table.header.clone().as_object().expect("object") {
        table.signed("B14", inside(&header, &format!("\"{name}\":{value}")), &claims);
    }
    for (name, value) in table.claims.clone().as_object().expect("object") {
        table.signed("B14", &header, inside(&claims, &format!("\"{name}\":{value}")));
    }
    table.signed("B14", &header, inside(&claims, r#""scope":"users""#));
    table.signed("B14", &header, inside(&claims, r#""\u0073cope":"users""#));
    table.signed("B14", &header, inside(&claims, r#""admin":true"#));
    table.signed("B14", &header, inside(&claims, r#""admin":true,"admin":false"#));
    table.signed("B14", header.replace("at+jwt", r"at\u002bjwt"), &claims);
    for tail in [" ", "\n", "\0", "{}", " {}", ",", "}", "]", "\u{feff}", "//"] {
        table.signed("B14", &header, format!("{claims}{tail}"));
        table.signed("B14", format!("{header}{tail}"), &claims);
    }
    for head in ["\u{feff}", " ", "\n", "\0", "["] {
        table.signed("B14", &header, format!("{head}{claims}"));
        table.signed("B14", format!("{head}{header}"), &claims);
    }
    // What is no object: serde reads a struct from an array.
    let in_order = |text: &str, names: &[&str]| {
        let object: Value = serde_json::from_str(text).expect("JSON");
        json!(names.iter().map(|name| &object[name]).collect::<Vec<_>>()).to_string()
    };
    let names = [
        "iss",
        "aud",
        "sub",
        "iat",
        "nbf",
        "exp",
        "jti",
        "sid",
        "ver",
        "scope",
        "auth_time",
        "amr",
    ];
    table.signed("B14", &header, in_order(&claims, &names));
    table.signed("B14", in_order(&header, &["alg", "typ", "kid"]), &claims);
    for other in ["", "{}", "[]", "null", "1", "\"\"", "{", "{\"iss\"}"] {
        table.signed("B14", &header, other);
        table.signed("B14", other, &claims);
    }
    // In UTF-8 of a longer form than need be, half a character, and a surrogate.
    for bytes in [&b"\xc0\xaf"[..], b"\xff", b"\xe2\x82", b"\xed\xa0\x80"] {
        let spoil = |text: &str, word: &str| {
            let (before, after) = text.split_once(word).expect("there");
            [before.as_bytes(), word.as_bytes(), bytes, after.as_bytes()].concat()
        };
        table.signed("B14", &header, spoil(&claims, "account"));
        table.signed("B14", spoil(&header, "at+jwt"), &claims);
    }
    table.signed("B14", &header, claims.replace("account", r"account\ud800"));
    let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
    for depth in [127, 200, 1200] {
        table.signed("B14", &header, inside(&claims, &format!("\"x\":{}", deep(depth))));
        table.signed("B14", &header, claims.replace(r#"["pwd"]"#, &deep(depth)));
        table.signed("B14", inside(&header, &format!("\"x\":{}", deep(depth))), &claims);
    }
    for size in [LONGEST_TOKEN, 1 << 20] {
        let long = claims.replace("account", &"a".repeat(size));
        table.text("B14", format!("{size} bytes of scope"), table.signer.sign(&header, long));
    }
}

/// B15.
pub fn segments(table: &mut Table) {
    let good = table.good();
    let segments: Vec<String> = good.split('.').map(str::to_owned).collect();
    let [head, body, signature] = &*segments else { unreachable!("three segments") };
    for (position, segment) in segments.iter().enumerate() {
        let mut put = |what: &str, text: String| {
            let mut other = segments.clone();
            other[position] = text;
            // With a signature that fits, if it is not the signature that changes.
            let token = match position {
                2 => other.join("."),
                _ => table.signer.sign_text(&other[..2].join(".")),
            };
            table.text("B15", format!("{what} in segment {position}"), token);
        };
        for tail in ["=", "==", "\n", " ", "A", "?", "%3D"] {
            put(&format!("{tail:?} behind"), format!("{segment}{tail}"));
        }
        for letter in ["+", "/", "?", " ", "\r\n", "\0", "ä"] {
            put(&format!("{letter:?}"), format!("{}{letter}{}", &segment[..7], &segment[8..]));
        }
        put("nothing", String::new());
        // Bits of the last letter that count for nothing must be zero.
        if segment.len() % 4 != 0 {
            let last = segment.bytes().last().expect("not empty");
            let next = |letter: u8| match letter {
                b'Z' => 'a',
                b'z' => '0',
                b'9' => '-',
                b'-' => '_',
                letter => char::from(letter + 1),
            };
            put("a bit too much", format!("{}{}", &segment[..segment.len() - 1], next(last)));
        }
    }
    for (what, token) in [
        ("nothing", String::new()),
        ("dots", "..".into()),
        ("many dots", ".".repeat(LONGEST_TOKEN)),
        ("one segment", head.clone()),
        ("two segments", format!("{head}.{body}")),
        ("no signature, and signed", table.signer.sign_text(head)),
        ("four segments", format!("{good}.")),
        ("four segments, signed", table.signer.sign_text(&format!("{head}.{body}."))),
        ("an empty one first", format!(".{good}")),
        ("JWE", format!("{head}..{body}.{body}.{signature}")),
        ("JWE, compact", table.signer.sign_text(&format!("{head}.{body}.{body}.{body}"))),
        ("RFC 7797: detached", format!("{head}..{signature}")),
        (
            "JSON, flattened",
            json!({"protected": head, "payload": body, "signature": signature}).to_string(),
        ),
        (
            "JSON, general",
            json!({"payload": body, "signatures": [{"protected": head, "signature": signature}]})
                .to_string(),
        ),
        ("a space first", format!(" {good}")),
        ("a BOM first", format!("\u{feff}{good}")),
        ("another dot", good.replace('.', "\u{ff0e}")),
    ] {
        table.text("B15", what, token);
    }
}
