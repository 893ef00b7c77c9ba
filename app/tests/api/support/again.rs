//! This test program once more, as a process that a test may kill: it runs one test that is
//! otherwise ignored.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

pub struct Again(Child);

impl Again {
    /// `test` as in `migrate::the_test`; `input` reaches it in the variable INPUT. Returns when it
    /// has printed a line that begins with `ready`, with the rest of that line.
    pub fn run(test: &str, input: &str) -> (Self, String) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .env("INPUT", input)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let ready =
            lines.find_map(|line| line.split_once("ready ").map(|(_, rest)| rest.to_owned()));
        (Self(child), ready.expect("the other process ended before it was ready"))
    }

    pub fn kill(self) {}
}

impl Drop for Again {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
