//! `rapport health`: asks a running server whether it is well. The container's HEALTHCHECK, so it needs nothing but
//! the program itself.

use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use super::{Exit, Failure, Global, output};

/// Longer than this, and the server is not well.
const PATIENCE: Duration = Duration::from_secs(3);

/// The arguments of `rapport health`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rapport health\n  rapport health --ready --port 9000")]
pub struct Args {
    /// Ask whether the server takes requests (/health/ready), not only whether it lives (/health/live)
    #[arg(long)]
    pub ready: bool,
    /// The port, where it is not the one of the settings
    #[arg(long)]
    pub port: Option<u16>,
}

/// Asks the server of this machine; ends with 0 when it is well and with 1 when it is not.
///
/// # Errors
/// When the settings are wrong, or the server does not answer, or answers that it is not well.
pub async fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let mut server = global.load()?.server;
    server.port = args.port.unwrap_or(server.port);
    let path = if args.ready { "/health/ready" } else { "/health/live" };
    let authority = server.local_authority();
    let asked = tokio::task::spawn_blocking(move || ask(&authority, path)).await;
    let answer = asked.map_err(|error| Failure::new(error.to_string()))?.map_err(Failure::new)?;
    if answer.status != 200 {
        return Err(Failure::new(format!("the server is not well: {} {}", answer.status, answer.body.trim())));
    }
    output::print(answer.body.trim())?;
    Ok(Exit::Done)
}

/// A server's answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The first 64 KiB of the body.
    pub body: String,
}

/// Asks `authority` (`host:port`) for `path`, in plain HTTP, within a few seconds.
///
/// # Errors
/// Why there is no answer, in words.
pub fn ask(authority: &str, path: &str) -> Result<Answer, String> {
    let trouble = |what: &str, error: std::io::Error| format!("http://{authority}{path} {what}: {error}");
    let addresses = authority.to_socket_addrs().map_err(|error| trouble("cannot be found", error))?;
    let mut stream = Err(std::io::ErrorKind::AddrNotAvailable.into());
    for address in addresses {
        stream = TcpStream::connect_timeout(&address, PATIENCE);
        if stream.is_ok() {
            break;
        }
    }
    let mut stream = stream.map_err(|error| trouble("cannot be reached", error))?;
    let exchange = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(64 * 1024).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange(&mut stream).map_err(|error| trouble("did not answer", error))?;
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| format!("http://{authority}{path} is not a web server"))
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut words = head.lines().next()?.split(' ');
    words.next().filter(|protocol| protocol.starts_with("HTTP/1."))?;
    Some(Answer { status: words.next()?.parse().ok()?, body: body.to_owned() })
}
