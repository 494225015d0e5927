//! In place of the client where the program was built without it.

use tokio::sync::{mpsc, watch};

use super::{Link, Message};
use crate::config::Bus;

/// A connection that is never there.
#[derive(Clone)]
pub enum Nats {}

impl Nats {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub async fn connect(_: &Bus, _: &str) -> Result<Self, String> {
        Err("this program was built without the feature `nats`: leave bus.url empty".to_owned())
    }

    /// As [`Nats::connect`].
    ///
    /// # Errors
    /// Always.
    pub async fn try_once(_: &Bus) -> Result<String, String> {
        Err("this program was built without the feature `nats`: leave bus.url empty".to_owned())
    }

    /// Never called.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        match *self {}
    }

    /// Never called.
    pub async fn publish(&self, _: &str, _: String) {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// Never.
    pub async fn subscribe(&self, _: &str, _: bool, _: &mpsc::Sender<Message>) -> Result<(), String> {
        match *self {}
    }

    /// Never called.
    pub async fn flush(&self) {
        match *self {}
    }
}
