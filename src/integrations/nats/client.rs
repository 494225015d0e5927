//! The connection itself.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, connection::State};
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

use super::{Link, Message};
use crate::config::{Bus, BusLogin};

/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How often it is asked whether the other end is still there.
const PING: Duration = Duration::from_secs(5);
/// How long the last hints may take to leave.
const FLUSH: Duration = Duration::from_secs(1);

/// A connection. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Nats {
    client: Client,
    /// What every subject begins with.
    prefix: String,
    link: watch::Sender<Link>,
}

impl Nats {
    /// Begins to connect, as the node of this name, and answers at once.
    ///
    /// # Errors
    /// When the settings cannot be used, such as a file that is not there.
    pub async fn connect(settings: &Bus, name: &str) -> Result<Self, String> {
        let link = watch::Sender::new(Link::Connecting);
        let (servers, options) = options(settings).await?;
        let told = link.clone();
        let options =
            options.name(name).retry_on_initial_connect().max_reconnects(None).no_echo().event_callback(move |event| {
                note(&told, event);
                std::future::ready(())
            });
        let client = options.connect(servers).await.map_err(|error| error.to_string())?;
        Ok(Self { client, prefix: settings.prefix.clone(), link })
    }

    /// Connects once; answers which server is there, in which version.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn try_once(settings: &Bus) -> Result<String, String> {
        let (servers, options) = options(settings).await?;
        let client = options.connect(servers).await.map_err(|error| error.to_string())?;
        let info = client.server_info();
        Ok(format!("NATS {} at {}:{}", info.version, info.host, info.port))
    }

    /// How the connection is, now and from now on.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// Says something about a topic, when the connection is there.
    pub async fn publish(&self, topic: &str, text: String) {
        if self.client.connection_state() == State::Connected {
            let subject = format!("{}.{topic}", self.prefix);
            if let Err(error) = self.client.publish(subject, text.into()).await {
                tracing::debug!(%error, topic, "a hint was dropped");
            }
        }
    }

    /// Hands what others say about a topic to `heard`, for as long as the connection lives. With `shared` each message
    /// goes to one of all the nodes that ask so.
    ///
    /// # Errors
    /// When there can be no such subscription.
    pub async fn subscribe(&self, topic: &str, shared: bool, heard: &mpsc::Sender<Message>) -> Result<(), String> {
        let subject = format!("{}.{topic}", self.prefix);
        let mut messages = if shared {
            let group = format!("{}-workers", self.prefix);
            self.client.queue_subscribe(subject, group).await.map_err(|error| error.to_string())?
        } else {
            self.client.subscribe(subject).await.map_err(|error| error.to_string())?
        };
        let (heard, topic) = (heard.clone(), topic.to_owned());
        tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                let Ok(text) = String::from_utf8(message.payload.into()) else { continue };
                if heard.send(Message { topic: topic.clone(), text }).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// Waits until what was published has left, but not for long.
    pub async fn flush(&self) {
        if self.client.connection_state() == State::Connected {
            let _ = tokio::time::timeout(FLUSH, self.client.flush()).await;
        }
    }
}

/// The servers without what is secret, and how to connect to them.
async fn options(settings: &Bus) -> Result<(Vec<String>, ConnectOptions), String> {
    let servers = settings.servers()?;
    let options = ConnectOptions::new().connection_timeout(CONNECT).ping_interval(PING);
    let options = match settings.login()? {
        BusLogin::None => options,
        BusLogin::Token(token) => options.token(token.expose().to_owned()),
        BusLogin::User(user, password) => options.user_and_password(user, password.expose().to_owned()),
        BusLogin::File(file) => options
            .credentials_file(&file)
            .await
            .map_err(|error| format!("bus.credentials_file {} cannot be used: {error}", file.display()))?,
    };
    let options = match &settings.ca_file {
        Some(file) => options.add_root_certificates(file.clone()),
        None => options,
    };
    Ok((servers, options))
}

/// Keeps how the connection is, and logs each change of it once.
fn note(link: &watch::Sender<Link>, event: Event) {
    let (now, ended) = match event {
        Event::Connected => (Link::Up, false),
        Event::Disconnected | Event::Closed => (Link::Down("the connection was lost".to_owned()), true),
        Event::ClientError(error) => (Link::Down(error.to_string()), false),
        Event::ServerError(error) => {
            tracing::debug!(%error, "the bus complains");
            return;
        }
        _ => return,
    };
    link.send_if_modified(|before| {
        match (&*before, &now) {
            // What goes wrong beside a connection that is there is not its end.
            (Link::Up, Link::Down(_)) if !ended => return false,
            (Link::Up, Link::Up) => return false,
            (_, Link::Up) => tracing::info!("the bus is connected"),
            (Link::Down(_), Link::Down(_)) => {}
            (_, Link::Down(why)) => {
                tracing::warn!(why, "the bus is not connected: what other nodes do is seen within a second");
            }
            (_, Link::Connecting) => return false,
        }
        *before = now;
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_end_ends_a_connection() {
        let link = watch::Sender::new(Link::Connecting);
        let failed = |text: &str| Event::ClientError(async_nats::ClientError::Other(text.to_owned()));
        note(&link, failed("refused"));
        assert_eq!(*link.borrow(), Link::Down("nats: refused".to_owned()));
        note(&link, Event::Connected);
        note(&link, failed("a subject that may not be used"));
        assert_eq!(*link.borrow(), Link::Up);
        note(&link, Event::Disconnected);
        assert!(matches!(*link.borrow(), Link::Down(_)));
    }
}
