//! NATS: what carries hints between the nodes of an installation. Core NATS only: nothing is kept, nothing is
//! acknowledged, and nobody waits for it.
//!
//! The connection is made in the background and made again for as long as the process lives, with pauses that grow to
//! four seconds. Whatever is published meanwhile is dropped: a hint that comes late is worth nothing.
//!
//! Built with the cargo feature `nats`, which is on by default.

#[cfg(feature = "nats")]
mod client;
#[cfg(not(feature = "nats"))]
#[path = "absent.rs"]
mod client;

pub use self::client::Nats;

/// How the connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// It was not there yet.
    Connecting,
    /// It is there.
    Up,
    /// It is not there; why, as far as is known.
    Down(String),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is about: the last part of its subject.
    pub topic: String,
    /// What it says.
    pub text: String,
}
