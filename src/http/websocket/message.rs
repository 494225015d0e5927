//! The messages of the protocol.

use async_graphql::ServerError;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::token_of;
use crate::http::graphql::params::Params;

pub(super) const ACKNOWLEDGED: &str = r#"{"type":"connection_ack"}"#;

/// The longest id of an operation.
const MAX_ID: usize = 128;

/// What a client says.
pub(super) enum Incoming {
    ConnectionInit(Payload),
    Ping(Option<Value>),
    Pong,
    Subscribe { id: String, params: Params },
    Complete(String),
}

/// What a client says, as it is written.
#[derive(Deserialize)]
struct Written<'a> {
    r#type: String,
    id: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

impl Incoming {
    /// Reads a message.
    ///
    /// # Errors
    /// Why it is not one of the protocol, short enough for a close frame.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if !text.trim_ascii_start().starts_with('{') {
            return Err("Invalid message: not a JSON object".to_owned());
        }
        let written: Written<'_> = serde_json::from_str(text).map_err(|error| format!("Invalid message: {error}"))?;
        match written.r#type.as_str() {
            "connection_init" => Ok(Self::ConnectionInit(Payload(object(&written)?.unwrap_or_default()))),
            "ping" => Ok(Self::Ping(object(&written)?.map(Value::Object))),
            "pong" => object(&written).map(|_| Self::Pong),
            "subscribe" => {
                let payload = written.payload.ok_or("Invalid message: subscribe has no payload")?.get();
                let params =
                    Params::from_json(payload.as_bytes()).map_err(|reason| format!("Invalid message: {reason}"))?;
                Ok(Self::Subscribe { id: id(written)?, params })
            }
            "complete" => id(written).map(Self::Complete),
            _ => Err("Invalid message: unknown type".to_owned()),
        }
    }
}

fn id(written: Written<'_>) -> Result<String, String> {
    let id = written.id.filter(|id| (1..=MAX_ID).contains(&id.len()));
    id.ok_or_else(|| format!("Invalid message: id is not 1 to {MAX_ID} bytes"))
}

/// A payload that is an object or not there.
fn object(written: &Written<'_>) -> Result<Option<Map<String, Value>>, String> {
    let Some(payload) = written.payload else { return Ok(None) };
    serde_json::from_str(payload.get()).map_err(|_| "Invalid message: payload is not an object".to_owned())
}

/// The payload of `connection_init`.
pub(super) struct Payload(Map<String, Value>);

impl Payload {
    /// The token under `authorization` (`Bearer …`) or `token`. The inner option is empty when it is malformed.
    pub(super) fn token(&self) -> Option<Option<String>> {
        let named = |name: &str| self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = named("authorization").or_else(|| named("token")).filter(|value| !value.is_null())?;
        Some(value.as_str().and_then(token_of))
    }
}

/// The answer to a ping, with the same payload.
pub(super) fn pong(payload: Option<Value>) -> String {
    match payload {
        Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
        None => r#"{"type":"pong"}"#.to_owned(),
    }
}

/// What an operation says to its client, under the number that tells it from others of the same id.
pub(super) struct Outgoing {
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) event: Event,
}

/// What an operation says.
pub(super) enum Event {
    /// An answer, as JSON.
    Next(String),
    /// It could not be run. Ends it.
    Error(String),
    /// There will be no more answers.
    Complete,
}

impl Event {
    /// The list of errors of an operation that could not be run.
    pub(super) fn error(errors: &[ServerError]) -> Self {
        Self::Error(serde_json::to_string(errors).unwrap_or_else(|_| "[]".to_owned()))
    }

    pub(super) fn ends(&self) -> bool {
        !matches!(self, Self::Next(_))
    }

    /// The message.
    pub(super) fn write(&self, id: &str) -> String {
        let id = Value::from(id);
        match self {
            Self::Next(answer) => format!(r#"{{"type":"next","id":{id},"payload":{answer}}}"#),
            Self::Error(errors) => format!(r#"{{"type":"error","id":{id},"payload":{errors}}}"#),
            Self::Complete => format!(r#"{{"type":"complete","id":{id}}}"#),
        }
    }
}
