//! The bus: this node tells the others what was committed here, and looks where they tell to.
//!
//! Three topics, each message a few lines of text:
//!
//! | topic | line | who looks |
//! |---|---|---|
//! | `identity` | a tenant, or `platform` | every node forgets what it remembers of its sessions, roles and keys |
//! | `events` | a tenant and the newest number of its outbox | every node that has subscribers of the tenant |
//! | `work` | a tenant and a kind of work | one node with a worker; told only by nodes without one |
//!
//! Lines that mean nothing to this release are passed over, so that nodes of different releases understand each other.
//! Everything here may be lost. Subscribers are then served, rights taken and work done within a second, because each
//! node looks once a second anyway; nothing waits for the bus, and a forged message costs one look.

use std::sync::Arc;

use entity::master::WorkKind;
use sea_orm::ActiveEnum;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    config,
    data::hints::{Hint, Hints},
    error::{Error, Result},
    integrations::nats::{Link, Message, Nats},
};

const IDENTITY: &str = "identity";
const EVENTS: &str = "events";
const WORK: &str = "work";
const TOPICS: [&str; 3] = [IDENTITY, EVENTS, WORK];

/// How many lines a message has at most: some 60 KiB, of the megabyte that NATS takes.
const LINES: usize = 1000;
/// How many messages of others wait to be looked at.
const WAITING: usize = 256;

/// This node's end of the bus.
pub struct Bus {
    nats: Nats,
    link: watch::Receiver<Link>,
    hints: Hints,
    heard: mpsc::Receiver<Message>,
}

impl Bus {
    /// The bus that the settings name, if they name one. The connection is made in the background. With `works` this
    /// node is told of work as well.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub async fn open(settings: &config::Bus, hints: Hints, works: bool) -> Result<Option<Self>> {
        if settings.url.is_none() {
            return Ok(None);
        }
        let nats = Nats::connect(settings, "rapport").await.map_err(Error::BadInput)?;
        let (told, heard) = mpsc::channel(WAITING);
        for topic in TOPICS {
            if topic != WORK || works {
                nats.subscribe(topic, topic == WORK, &told).await.map_err(Error::BadInput)?;
            }
        }
        Ok(Some(Self { link: nats.link(), nats, hints, heard }))
    }

    /// How the connection is, now and from now on.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    /// Tells the others and calls `look` for what they tell, until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken, look: Arc<dyn Fn(Hint) + Send + Sync>) {
        self.hints.taken(true);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.hints.gathering() => self.tell().await,
                Some(message) = self.heard.recv() => message.text.lines().filter_map(|line| read(&message.topic, line)).for_each(&*look),
            }
        }
        // What the last requests have done.
        self.tell().await;
        self.nats.flush().await;
        self.hints.taken(false);
    }

    async fn tell(&self) {
        let hints = self.hints.take();
        for topic in TOPICS {
            let lines: Vec<_> = hints.iter().filter_map(|hint| written(topic, *hint)).collect();
            for lines in lines.chunks(LINES) {
                self.nats.publish(topic, lines.join("\n")).await;
            }
        }
    }
}

/// The line of a hint, when it belongs to this topic.
fn written(topic: &str, hint: Hint) -> Option<String> {
    match (topic, hint) {
        (IDENTITY, Hint::Identity { tenant_id: Some(id) }) => Some(id.simple().to_string()),
        (IDENTITY, Hint::Identity { tenant_id: None }) => Some(PLATFORM.to_owned()),
        (EVENTS, Hint::Events { tenant_id, seq }) => Some(format!("{} {seq}", tenant_id.simple())),
        (WORK, Hint::Work { tenant_id, kind }) => Some(format!("{} {}", tenant_id.simple(), kind.to_value())),
        _ => None,
    }
}

/// What a line of a topic says, when it says anything.
fn read(topic: &str, line: &str) -> Option<Hint> {
    let (tenant, rest) = line.split_once(' ').unwrap_or((line, ""));
    if (topic, line) == (IDENTITY, PLATFORM) {
        return Some(Hint::Identity { tenant_id: None });
    }
    let tenant_id = Uuid::try_parse(tenant).ok()?;
    match topic {
        IDENTITY => Some(Hint::Identity { tenant_id: Some(tenant_id) }),
        EVENTS => Some(Hint::Events { tenant_id, seq: rest.parse().ok()? }),
        WORK => Some(Hint::Work { tenant_id, kind: WorkKind::try_from_value(&rest.to_owned()).ok()? }),
        _ => None,
    }
}

const PLATFORM: &str = "platform";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_node_writes_another_reads() {
        let tenant_id = Uuid::from_u128(0x0123_4567_89ab_cdef);
        for hint in [
            Hint::Events { tenant_id, seq: 12 },
            Hint::Work { tenant_id, kind: WorkKind::Email },
            Hint::Identity { tenant_id: Some(tenant_id) },
            Hint::Identity { tenant_id: None },
        ] {
            let found: Vec<_> = TOPICS.iter().filter_map(|topic| read(topic, &written(topic, hint)?)).collect();
            assert_eq!(found, [hint]);
        }
    }

    #[test]
    fn what_means_nothing_is_passed_over() {
        let id = Uuid::from_u128(1).simple().to_string();
        for (topic, line) in [
            (EVENTS, "nonsense"),
            (EVENTS, ""),
            (EVENTS, &format!("{id} many")),
            (EVENTS, &id),
            (WORK, &format!("{id} REST")),
            ("weather", &format!("{id} 1")),
        ] {
            assert_eq!(read(topic, line), None, "{topic}: {line}");
        }
    }
}
