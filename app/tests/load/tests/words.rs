//! The words of the command line.

use clap::Parser;

use crate::cli::{self, Cli};
use crate::engine::{Number, Plan, Protocol, Request, Text};

fn parse(arguments: &[&str]) -> Result<Plan, String> {
    let arguments = ["load"].iter().chain(arguments);
    Cli::try_parse_from(arguments).map_err(|error| error.to_string())?.load.plan()
}

#[test]
fn the_command_line_is_sound() {
    cli::explained().debug_assert();
    let plan = parse(&["http://127.0.0.1:1/x?y=1", "--http2", "-c", "3", "-m", "5", "-d", "{}"])
        .expect("a plan");
    assert_eq!((plan.protocol, plan.connections, plan.streams), (Protocol::Http2, 3, 5));
    assert_eq!(
        (plan.requests[0].name(), plan.requests[0].is_json),
        ("POST /x?y=1".to_owned(), true)
    );
    assert_eq!(plan.seconds.map(|seconds| seconds.as_secs()), Some(10));
}

#[test]
fn the_help_tells_of_the_number_and_of_each_class() {
    let help = cli::explained().render_long_help().to_string();
    assert!(
        help.contains(r#"{"title":"{n}","body":"load"}"#) && help.contains("{n} is the request's")
    );
    assert!(!help.contains("{#}"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let here = "http://127.0.0.1:1";
    for wrong in [
        &["ftp://127.0.0.1"][..],
        &[here, "-c", "0"],
        &[here, "-m", "2"],
        &[here, "--rate", "0"],
        &[here, "--header", "no colon"],
        &[here, "--request", "GET nowhere"],
        &[here, "--request", "0x GET /"],
        &[here, "--request", "GET /", "--body", "x"],
        &["http://127.0.0.1:1/path", "--request", "GET /"],
        &[
            here, "-r", "GET /a", "-r", "GET /b", "-r", "GET /c", "--expect", "200", "--expect",
            "201",
        ],
        &["https://127.0.0.1:1", "--cacert", "/dev/null"],
        &[here, "--bearer-file", "/nowhere"],
    ] {
        assert!(parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn requests_are_read_with_weight_and_body() {
    let request = Request::parse(r#"3x post /a?b=c { "x": "{n} y" }"#).expect("a request");
    assert_eq!(
        (request.name().as_str(), request.weight, request.is_json),
        ("POST /a?b=c", 3, true)
    );
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "from a file, {n}").expect("written");
    let request = Request::parse(&format!("PUT /a @{}", file.path().display())).expect("a request");
    assert_eq!(request.body.len(), "from a file, r4f9c2a1b-0000000123".len());
}

#[test]
fn each_expectation_belongs_to_its_request() {
    let plan = parse(&[
        "http://127.0.0.1:1",
        "-r",
        "POST /a",
        "-r",
        "GET /b",
        "-e",
        "201",
        "-e",
        "200,304",
    ])
    .expect("a plan");
    let statuses: Vec<_> =
        plan.requests.iter().map(|request| request.expect_status.clone()).collect();
    assert_eq!(statuses, [vec![201], vec![200, 304]]);
}

#[test]
fn weights_are_spread_evenly() {
    let plan = parse(&["http://127.0.0.1:1", "-r", "3x GET /a", "-r", "GET /b", "-r", "2x GET /c"])
        .expect("a plan");
    assert_eq!(plan.schedule(), [0, 2, 0, 1, 2, 0]);
}

#[test]
fn numbers_are_written_and_found() {
    let number = Number::new(0x4f9c_2a1b, 123);
    assert_eq!(number.to_string(), "r4f9c2a1b-0000000123");
    let mut text = Text::new(b"{n}, and {n}");
    let filled = text.fill(&number).to_vec();
    assert_eq!(filled, b"r4f9c2a1b-0000000123, and r4f9c2a1b-0000000123");
    assert_eq!(Number::find_in(&filled).collect::<Vec<_>>().len(), 2);
    assert_eq!(Number::find_in(b"rfffffff-00000000001 r4f9c2a1b-00000001").count(), 0);
}
