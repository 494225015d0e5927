//! A receiver of webhooks of the test's own: it keeps every request, and answers, hangs or floods as the test wants.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How the receiver answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// With this status, and nothing more.
    Status(u16),
    /// With this status, these header lines (each with its line end) and this body.
    Full(u16, String, Vec<u8>),
    /// With 200, after a while.
    After(Duration),
    /// Never.
    Hang,
    /// With 200 and one byte of a body every 50 ms.
    Drip,
    /// With 200 and a body of 10 GB.
    Flood,
    /// With a closed connection.
    HangUp,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Got {
    /// The path.
    pub path: String,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When it was complete.
    pub at: Instant,
}

impl Got {
    /// The value of a header.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The name of the event.
    pub fn event(&self) -> String {
        self.json()["event"].as_str().unwrap().to_owned()
    }
}

type Rule = Box<dyn Fn(&Got) -> Reply + Send>;

/// A running receiver.
#[derive(Clone)]
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    rule: Arc<Mutex<Rule>>,
    /// How many bytes of floods it could write.
    pub flooded: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    /// Starts one that takes everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            rule: Arc::new(Mutex::new(Box::new(|_| Reply::Status(200)))),
            flooded: Arc::default(),
            connections: Arc::default(),
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::Relaxed);
                let receiver = serving.clone();
                tokio::spawn(async move {
                    // A sender that goes away is none of a receiver's worries.
                    let _ = receiver.converse(stream).await;
                });
            }
        });
        receiver
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it answers as the rule says.
    pub fn answer(&self, rule: impl Fn(&Got) -> Reply + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    /// What has arrived, without pings.
    pub fn got(&self) -> Vec<Got> {
        self.all().into_iter().filter(|got| got.event() != "webhook.ping").collect()
    }

    /// What has arrived.
    pub fn all(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// How often somebody has connected.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Waits until so many requests that are no pings have arrived.
    pub async fn wait_for(&self, count: usize) -> Vec<Got> {
        self.wait_until(|got| got.event() != "webhook.ping", count).await
    }

    /// Waits until so many requests of this kind have arrived.
    pub async fn wait_until(&self, kind: impl Fn(&Got) -> bool, count: usize) -> Vec<Got> {
        for _ in 0..2000 {
            let got: Vec<Got> = self.all().into_iter().filter(&kind).collect();
            if got.len() >= count {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let names: Vec<_> = self.all().iter().map(Got::event).collect();
        panic!("{count} requests have not arrived: {names:?}");
    }

    async fn converse(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let (head, rest) = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                break (String::from_utf8(bytes).unwrap(), rest);
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let headers: Vec<(String, String)> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value);
        let mut body = rest;
        while body.len() < length.parse::<usize>().unwrap() {
            if stream.read_buf(&mut body).await? == 0 {
                return Ok(());
            }
        }
        let got = Got { path, headers, body, at: Instant::now() };
        let reply = (self.rule.lock().unwrap())(&got);
        self.got.lock().unwrap().push(got);
        match reply {
            Reply::Status(status) => self.say(&mut stream, status, "", b"").await?,
            Reply::Full(status, headers, body) => self.say(&mut stream, status, &headers, &body).await?,
            Reply::After(wait) => {
                tokio::time::sleep(wait).await;
                self.say(&mut stream, 200, "", b"").await?;
            }
            Reply::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
            Reply::Drip => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await?;
                loop {
                    stream.write_all(b"x").await?;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Reply::Flood => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n").await?;
                let chunk = vec![b'x'; 64 * 1024];
                loop {
                    stream.write_all(&chunk).await?;
                    self.flooded.fetch_add(chunk.len(), Ordering::Relaxed);
                }
            }
            Reply::HangUp => {}
        }
        Ok(())
    }

    async fn say(&self, stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
        let head = format!("HTTP/1.1 {status} Said\r\n{headers}content-length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        stream.shutdown().await
    }
}
