//! To whom requests go: nobody who is not public, whatever the address looks like and whatever a name answers.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use rapport::integrations::http::{Failure, HttpClient, HttpSettings, Request, Resolve, SystemResolver};
use tokio::net::TcpListener;
use url::Url;

use crate::support::receiver::{Receiver, Reply};

/// A resolver that answers what the test says, in turn, and counts how often it is asked.
#[derive(Clone)]
struct Answers(Arc<Vec<Vec<SocketAddr>>>, Arc<AtomicUsize>);

impl Answers {
    fn new(answers: Vec<Vec<SocketAddr>>) -> Self {
        Self(Arc::new(answers), Arc::default())
    }
}

impl Resolve for Answers {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let asked = self.1.fetch_add(1, Ordering::Relaxed);
        async move { Ok(self.0[asked % self.0.len()].clone()) }.boxed()
    }
}

fn client(allow_loopback: bool, resolver: impl Resolve + 'static) -> HttpClient {
    HttpClient::new(HttpSettings { allow_loopback, deadline: Duration::from_millis(400) }, resolver).unwrap()
}

fn request(url: &str) -> Request {
    Request { url: Url::parse(url).unwrap(), headers: Vec::new(), body: "{}".into() }
}

#[tokio::test]
async fn no_form_of_this_machine_is_connected_to() {
    let (v4, v6) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("[::1]:0").await);
    let port = v4.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let mut ports = vec![port];
    for listener in std::iter::once(v4).chain(v6) {
        ports.push(listener.local_addr().unwrap().port());
        let connections = connections.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                connections.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let client = client(false, SystemResolver);
    let mut tried = 0;
    for port in ports {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "a.localhost",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
        ] {
            for scheme in ["https", "http"] {
                let url = format!("{scheme}://{host}:{port}/");
                assert!(client.check(&url).is_err(), "{url}");
                let exchange = client.send(request(&url)).await;
                assert!(matches!(exchange.failure, Some(Failure::Forbidden(_))), "{url} {exchange:?}");
                tried += 1;
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((connections.load(Ordering::Relaxed), tried >= 92), (0, true));
}

#[tokio::test]
async fn every_address_of_a_name_must_be_public() {
    let receiver = Receiver::start().await;
    let own = receiver.address;
    let public: SocketAddr = "93.184.215.14:443".parse().unwrap();
    let metadata: SocketAddr = "169.254.169.254:80".parse().unwrap();
    for answer in [
        vec![own],
        vec![public, own],
        vec![own, public],
        vec![public, metadata],
        vec!["[::ffff:127.0.0.1]:80".parse().unwrap()],
    ] {
        let client = client(false, Answers::new(vec![answer.clone()]));
        let exchange = client.send(request("https://receiver.example/")).await;
        assert!(matches!(exchange.failure, Some(Failure::Forbidden(_))), "{answer:?} {exchange:?}");
    }
    let none = client(false, Answers::new(vec![vec![]])).send(request("https://receiver.example/")).await;
    assert!(matches!(none.failure, Some(Failure::Name(_))), "{none:?}");
    assert_eq!(receiver.connections(), 0);
}

/// A name that answers with a public address when it is looked at, and with this machine when it is connected to. It is
/// asked once for each request, and the connection goes to what was answered then.
#[tokio::test]
async fn a_name_that_changes_its_answer_gains_nothing() {
    let receiver = Receiver::start().await;
    let public: SocketAddr = "93.184.215.14:443".parse().unwrap();
    let answers = Answers::new(vec![vec![public], vec![receiver.address]]);
    let client = client(false, answers.clone());
    for sent in 1..=6 {
        let exchange = client.send(request("https://receiver.example/")).await;
        assert!(exchange.failure.is_some() && exchange.status.is_none(), "{exchange:?}");
        assert_eq!(answers.1.load(Ordering::Relaxed), sent);
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn development_reaches_this_machine_and_no_redirect_leads_on() {
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let location = elsewhere.url("/");
    receiver.answer(move |_| Reply::Full(302, format!("location: {location}\r\n"), b"there".to_vec()));
    let client = client(true, SystemResolver);
    let url = receiver.url("/a?b=c");
    assert!(client.check(&url).is_ok());
    let sent = Request { body: r#"{"event":"x"}"#.into(), ..request(&url) };
    let exchange = client.send(sent).await;
    assert_eq!((exchange.status, exchange.failure, exchange.body), (Some(302), None, b"there".to_vec()));
    assert_eq!((receiver.all()[0].path.as_str(), elsewhere.connections()), ("/a?b=c", 0));
    assert_eq!(receiver.all()[0].header("host"), receiver.address.to_string());
    assert!(client.check("https://10.0.0.1/").is_err());
    // What listens here speaks no TLS.
    let exchange = client.send(request(&format!("https://{}/", receiver.address))).await;
    assert!(matches!(exchange.failure, Some(Failure::Tls(_) | Failure::Timeout(_))), "{exchange:?}");
}
