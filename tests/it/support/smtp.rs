//! A mail server of the test's own. It speaks SMTP as far as a client needs it, keeps every message that it takes, and
//! answers or hangs up as the test wants.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// What the server does instead of what it usually does.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Says this line.
    Say(&'static str),
    /// Closes the connection without a word.
    HangUp,
    /// Says nothing more, and keeps the connection.
    Silence,
}

/// A message that the server took.
#[derive(Clone, Debug)]
pub struct Received {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// User and password that the client gave.
    pub login: Option<(String, String)>,
    /// Headers and body.
    pub message: String,
}

impl Received {
    /// The value of a header, put together where it is folded.
    pub fn header(&self, name: &str) -> Option<String> {
        let (headers, _) = self.message.split_once("\r\n\r\n").unwrap();
        let unfolded = headers.replace("\r\n ", " ");
        let of_name = |line: &&str| line.split_once(": ").is_some_and(|(own, _)| own.eq_ignore_ascii_case(name));
        unfolded.split("\r\n").find(of_name).map(|line| line.split_once(": ").unwrap().1.to_owned())
    }
}

/// Says what the server does at a command: its verb (`CONNECT` when the client has connected, `.` at the end of the
/// data) and the whole line.
type Rule = Box<dyn Fn(&str, &str) -> Option<Reply> + Send>;

/// A running mail server.
#[derive(Clone)]
pub struct SmtpServer {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    received: Vec<Received>,
    connections: usize,
    rule: Rule,
}

impl SmtpServer {
    /// Starts one that takes everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { received: Vec::new(), connections: 0, rule: Box::new(|_, _| None) };
        let server = Self { address, state: Arc::new(Mutex::new(state)) };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.state.lock().unwrap().connections += 1;
                let server = serving.clone();
                tokio::spawn(async move {
                    // A client that goes away is none of a server's worries.
                    let _ = server.converse(stream).await;
                });
            }
        });
        server
    }

    /// Its address as a setting.
    pub fn url(&self) -> String {
        format!("smtp://{}?tls=none", self.address)
    }

    /// From now on it does what the rule says, where it says anything.
    pub fn when(&self, rule: impl Fn(&str, &str) -> Option<Reply> + Send + 'static) {
        self.state.lock().unwrap().rule = Box::new(rule);
    }

    /// What it has taken.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// How often somebody has connected.
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Waits until it has taken so many messages.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        for _ in 0..1000 {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {count} messages have arrived", self.received().len());
    }

    async fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        let (read, write) = stream.into_split();
        let mut peer = Peer { read: BufReader::new(read), write };
        if !self.answer(&mut peer, "CONNECT", "", "220 mail.test ESMTP").await? {
            return Ok(());
        }
        let (mut from, mut to, mut login) = (String::new(), Vec::new(), None);
        while let Some(line) = peer.line().await? {
            let verb = line.split([' ', ':']).next().unwrap().to_ascii_uppercase();
            let usual = match verb.as_str() {
                "EHLO" => "250-mail.test\r\n250-8BITMIME\r\n250 AUTH PLAIN",
                "AUTH" => "235 welcome",
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 fine",
                _ => "500 what?",
            };
            if !self.answer(&mut peer, &verb, &line, usual).await? {
                continue;
            }
            match verb.as_str() {
                "AUTH" => {
                    let secret = line.rsplit(' ').next().unwrap();
                    let plain = data_encoding::BASE64.decode(secret.as_bytes()).unwrap();
                    let plain = String::from_utf8(plain).unwrap();
                    let mut parts = plain.split('\0').skip(1).map(str::to_owned);
                    login = Some((parts.next().unwrap(), parts.next().unwrap()));
                }
                "MAIL" => (from, to) = (address(&line), Vec::new()),
                "RCPT" => to.push(address(&line)),
                "RSET" => to.clear(),
                "DATA" => {
                    let Some(message) = peer.data().await? else { return Ok(()) };
                    let received = Received { from: from.clone(), to: to.clone(), login: login.clone(), message };
                    if self.answer(&mut peer, ".", "", "250 taken").await? {
                        self.state.lock().unwrap().received.push(received);
                    }
                }
                "QUIT" => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Answers; says whether the command was obeyed.
    async fn answer(&self, peer: &mut Peer, verb: &str, line: &str, usual: &str) -> std::io::Result<bool> {
        let reply = (self.state.lock().unwrap().rule)(verb, line);
        match reply {
            None => peer.say(usual).await.map(|()| true),
            Some(Reply::Say(line)) => {
                peer.say(line).await?;
                Ok(line.starts_with(['2', '3']))
            }
            Some(Reply::Silence) => std::future::pending().await,
            Some(Reply::HangUp) => {
                peer.write.shutdown().await?;
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }
        }
    }
}

struct Peer {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Peer {
    async fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.write.write_all(format!("{line}\r\n").as_bytes()).await
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        let read = self.read.read_line(&mut line).await?;
        Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// The lines up to the single dot, without the dots that were doubled.
    async fn data(&mut self) -> std::io::Result<Option<String>> {
        let mut message = String::new();
        while let Some(line) = self.line().await? {
            if line == "." {
                return Ok(Some(message));
            }
            message.push_str(line.strip_prefix('.').unwrap_or(&line));
            message.push_str("\r\n");
        }
        Ok(None)
    }
}

fn address(line: &str) -> String {
    line.split_once('<').unwrap().1.split_once('>').unwrap().0.to_owned()
}
