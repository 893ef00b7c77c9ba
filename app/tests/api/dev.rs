//! The development server.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread::spawn,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::process::{code, roadstead};

const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../static");

fn command(pages: &str, arguments: &[&str]) -> Command {
    let mut command = roadstead("dev");
    // PATH: where PostgreSQL's programs may be.
    command
        .args(["--static", pages])
        .args(arguments)
        .env("PATH", std::env::var_os("PATH").unwrap());
    command
}

struct Dev {
    child: Child,
    banner: String,
    address: String,
}

impl Dev {
    fn start() -> Self {
        let mut child = command(PAGES, &["--listen", "127.0.0.1:0"])
            .env("ROADSTEAD_SERVER__DRILL", "true")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        while !banner.contains("Ctrl-C") {
            banner += &lines.next().expect("it ended before its banner").unwrap();
            banner += "\n";
        }
        // Whoever does not read on stops the writer.
        spawn(move || lines.for_each(drop));
        let address = banner.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { child, banner, address }
    }

    /// The whole answer.
    fn get(&self, path: &str, host: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn interrupt(&mut self) -> i32 {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        code(self.child.wait().unwrap())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_needs_nothing_and_serves_pages_api_and_a_way_in() {
    let mut dev = Dev::start();
    assert!(dev.banner.contains("NOT for production"), "{}", dev.banner);
    let page = dev.get("/", &dev.address);
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("/dev/reload.js"), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
    assert!(dev.get("/static/css/site.css", &dev.address).starts_with("HTTP/1.1 200"));
    assert!(dev.get("/static/../Cargo.toml", &dev.address).starts_with("HTTP/1.1 404"));
    assert!(dev.get("/nowhere", &dev.address).contains(r#""code":"not_found""#));
    assert!(dev.get("/health/ready", &dev.address).contains(r#""state":"ready""#));

    // Ports share a cookie jar.
    let elsewhere = dev.get("/sign-in", &dev.address.replace("127.0.0.1", "localhost"));
    assert!(
        elsewhere.contains(&format!("location: http://{}/sign-in", dev.address)),
        "{elsewhere}"
    );

    let link = dev.banner.split("/dev/sign-in?key=").nth(1).unwrap().lines().next().unwrap();
    let signed_in = dev.get(&format!("/dev/sign-in?key={link}"), &dev.address);
    assert!(signed_in.contains("set-cookie: __Host-refresh="), "{signed_in}");
    assert!(dev.get("/dev/sign-in?key=guess", &dev.address).starts_with("HTTP/1.1 404"));

    let folder = format!("roadstead-pg.{}.", dev.child.id());
    let is_there = || {
        let names = std::fs::read_dir(std::env::temp_dir()).unwrap();
        names.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(&folder))
    };
    assert!(is_there());
    assert_eq!(dev.interrupt(), 0);
    assert!(!is_there(), "the database is gone with it");
    assert!(TcpStream::connect(&dev.address).is_err());
}

#[test]
fn it_answers_one_request_at_a_time() {
    let dev = Dev::start();
    // So that the first request finds it ready.
    dev.get("/health/ready", &dev.address);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| dev.get("/api/v1/drill/sleep?ms=400", &dev.address));
        }
    });
    assert!(begun.elapsed() >= Duration::from_millis(1200), "{:?}", begun.elapsed());
}

#[test]
fn it_refuses_what_is_production_s() {
    let output = command("/nowhere", &[]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("no index.html"));
    let cases: [(&[&str], (&str, &str), &str); 5] = [
        (&["--listen", "0.0.0.0:0"], ("A", ""), "others can reach this address"),
        (&["--listen", "[::]:0"], ("A", ""), "others can reach this address"),
        (&["--listen", "127.0.0.1:0"], ("ROADSTEAD_SLOT", "blue"), "ROADSTEAD_SLOT"),
        (&["--listen", "127.0.0.1:0"], ("ROADSTEAD_DOMAIN", "example.org"), "ROADSTEAD_DOMAIN"),
        (&["--listen", "127.0.0.1:0"], ("ROADSTEAD_DATABASE__HOST", "db.example.org"), "HOST"),
    ];
    for (arguments, (name, value), word) in cases {
        let output = command(PAGES, arguments).env(name, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(word), "{said}");
    }
}

#[test]
fn a_taken_port_is_named_and_a_socket_is_as_good() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command(PAGES, &["--listen", &address]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&output.stderr).contains(&format!("cannot listen on {address}"))
    );

    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("dev.sock");
    let mut child = command(PAGES, &["--socket", socket.to_str().unwrap()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let answers = |socket: &Path| {
        let connection = crate::support::http::Connection::open(socket);
        connection.and_then(|mut connection| connection.get("/health/live")).is_ok()
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while !answers(&socket) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    child.wait().unwrap();
    assert!(!socket.exists());
}
