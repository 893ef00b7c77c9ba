//! The command line, and the plan that it asks for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use hyper::{Method, Uri};

use crate::engine::{Bearer, Header, Plan, Protocol, Request, Route, SYSTEM_CA, Target, Text};

/// Clap would take `{n}` in it for a line break, and break its lines; in the options' own help it
/// is written `{#}`.
const EXPLAINED: &str = include_str!("help.txt");

pub fn parse() -> Cli {
    let matches = explained().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

pub fn explained() -> clap::Command {
    let mut command = Cli::command();
    let options = command.render_long_help().to_string().replace("{#}", "{n}");
    command.override_help(format!("{options}\n{EXPLAINED}"))
}

#[derive(Parser)]
#[command(name = "load", about = "Sends HTTP requests, and accounts for each of them")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub load: Load,
}

#[derive(Subcommand)]
pub enum Command {
    Compare(Compare),
}

/// Compares a ledger with rows: each acknowledged request is there exactly once.
///
/// Rows without a number of this ledger's runs are left aside; rows whose request was not
/// acknowledged are listed, and are no error (the answer may have been lost).
#[derive(Args)]
pub struct Compare {
    pub ledger: PathBuf,
    /// One row a line, the number anywhere in it, as `psql -Atc 'select title from notes'` gives
    /// it; - is stdin.
    pub rows: PathBuf,
    /// Only requests whose method and path begin so make rows.
    #[arg(long, default_value = "POST ", value_name = "TEXT")]
    pub only: String,
}

#[derive(Args)]
pub struct Load {
    /// http:// or https://, host, port; with a path if there is no --request.
    #[arg(required = true)]
    url: Option<Uri>,

    /// One of a mix: '[WEIGHTx] METHOD PATH [BODY]'; a body @FILE is read from the file. May be
    /// repeated.
    #[arg(short, long = "request", value_name = "REQUEST", value_parser = Request::parse)]
    requests: Vec<Request>,
    /// The method, where there is no --request [default: GET, or POST with a body]
    #[arg(short = 'X', long, conflicts_with = "requests")]
    method: Option<Method>,
    /// The body, where there is no --request; @FILE is read from the file.
    #[arg(short = 'd', long, conflicts_with = "requests")]
    body: Option<String>,
    /// A header of every request.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = Header::parse)]
    headers: Vec<Header>,
    /// A file with access tokens, one a line, dealt out to connections and streams; read again when
    /// it changes.
    #[arg(long, value_name = "FILE")]
    bearer_file: Option<PathBuf>,
    /// The right statuses, as 200,201 [default: any 2xx]. Once for all requests, or once for each
    /// in their order.
    #[arg(short, long, value_name = "STATUS")]
    expect: Vec<String>,
    /// Text that the right answer's body contains; {#} is the request's number. Once for all, or
    /// once for each.
    #[arg(long, value_name = "TEXT")]
    expect_body: Vec<String>,

    /// HTTP/1.1 with a new connection for each request.
    #[arg(long, conflicts_with = "http2")]
    new_connections: bool,
    /// HTTP/2; without TLS by prior knowledge.
    #[arg(long)]
    http2: bool,
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    connections: usize,
    /// HTTP/2 streams at once on each connection, as far as the server allows.
    #[arg(short = 'm', long, value_name = "M", default_value_t = 1, value_parser = at_least_one)]
    #[arg(requires = "http2")]
    streams: usize,

    /// Ends after so many requests.
    #[arg(short = 'n', long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..10_000_000_000))]
    count: Option<u64>,
    /// Sends for so long; 10 if there is no count either.
    #[arg(short, long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Open loop: so many requests a second, whether or not the answers keep up; latency counts
    /// from when each was due.
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,
    /// How long a request may take, in seconds.
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    timeout: Duration,
    /// Milliseconds that a connection or stream waits after a failure.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pause: u64,
    /// What the server says it did not process counts as failed, too.
    #[arg(long)]
    strict: bool,

    /// The CA certificates to trust.
    #[arg(long, value_name = "FILE", default_value = SYSTEM_CA)]
    cacert: PathBuf,
    /// Connect to this unix socket.
    #[arg(long, value_name = "PATH", conflicts_with = "connect")]
    unix: Option<PathBuf>,
    /// Connect to this address; name and certificate stay the URL's.
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// Never resume a TLS session.
    #[arg(long)]
    full_handshakes: bool,

    /// Write a line for each request to this file.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Connections are spread over so many threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    threads: usize,
}

impl Load {
    pub fn plan(&self) -> Result<Plan, String> {
        let url = self.url.as_ref().ok_or("no URL is given")?;
        let protocol = match (self.http2, self.new_connections) {
            (true, _) => Protocol::Http2,
            (false, true) => Protocol::Http1Close,
            (false, false) => Protocol::Http1,
        };
        let route = Route {
            unix: self.unix.as_deref(),
            connect: self.connect.as_deref(),
            ca: Some(&self.cacert),
            full_handshakes: self.full_handshakes,
        };
        let is_endless = self.count.is_none() && self.seconds.is_none();
        Ok(Plan {
            protocol,
            connections: self.connections,
            streams: self.streams,
            threads: self.threads.min(self.connections),
            count: self.count,
            seconds: if is_endless { Some(Duration::from_secs(10)) } else { self.seconds },
            rate: self.rate,
            timeout: self.timeout,
            pause: Duration::from_millis(self.pause),
            strict: self.strict,
            headers: self.headers.clone(),
            bearer: self.bearer_file.clone().map(Bearer::open).transpose()?,
            ledger: self.ledger.clone(),
            ..Plan::new(Target::new(url, &route, protocol)?, self.mix(url)?)
        })
    }

    fn mix(&self, url: &Uri) -> Result<Vec<Request>, String> {
        let mut requests = self.requests.clone();
        if requests.is_empty() {
            let body = self.body.as_deref().unwrap_or_default();
            let usual = if self.body.is_some() { Method::POST } else { Method::GET };
            let path = url.path_and_query().map_or("/", |path| path.as_str());
            requests.push(Request::new(self.method.clone().unwrap_or(usual), path, body, 1)?);
        } else if url.path() != "/" {
            return Err(format!("the paths are those of --request, so {url} may have none"));
        }
        let count = requests.len();
        for (nth, request) in requests.iter_mut().enumerate() {
            if let Some(statuses) = one_of("--expect", &self.expect, nth, count)? {
                let read = |status: &str| {
                    status.trim().parse().map_err(|_| format!("--expect {status}: no status"))
                };
                request.expect_status = statuses.split(',').map(read).collect::<Result<_, _>>()?;
            }
            let part = one_of("--expect-body", &self.expect_body, nth, count)?;
            request.expect_body =
                part.filter(|part| !part.is_empty()).map(|part| Text::new(part.as_bytes()));
        }
        Ok(requests)
    }
}

/// Given once for all, or once for each.
fn one_of<'a>(
    name: &str,
    given: &'a [String],
    nth: usize,
    count: usize,
) -> Result<Option<&'a str>, String> {
    match given.len() {
        0 => Ok(None),
        1 => Ok(Some(&given[0])),
        all if all == count => Ok(Some(&given[nth])),
        all => {
            Err(format!("{all} × {name} for {count} requests: give one for all, or one for each"))
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|&number| number > 0)
        .ok_or_else(|| "a number from 1 up is needed".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|&seconds| seconds > 0.0);
    seconds
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| "seconds above 0 are needed".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1e6).contains(rate));
    rate.ok_or_else(|| "a rate between 0.001 and 1000000 is needed".to_owned())
}
