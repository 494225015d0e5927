//! Subscribing over a socket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::Session;

/// A socket with one subscription.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Subscribes.
    ///
    /// # Errors
    /// The code and reason with which the server closes instead of acknowledging.
    pub async fn open(session: &Session, query: &str) -> Result<Self, (u16, String)> {
        let mut request = session.url().replace("http://", "ws://").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let (stream, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let mut socket = Self(stream);
        let authorization = format!("Bearer {}", session.token.as_deref().unwrap_or_default());
        socket.say(json!({ "type": "connection_init", "payload": { "Authorization": authorization } })).await;
        socket.hear().await?;
        socket.say(json!({ "type": "subscribe", "id": "1", "payload": { "query": query } })).await;
        Ok(socket)
    }

    /// The next answer; `None` when the subscription is complete.
    pub async fn next(&mut self) -> Option<Value> {
        let message = self.hear().await.unwrap();
        match message["type"].as_str().unwrap() {
            "next" => Some(message["payload"].clone()),
            "error" => Some(json!({ "errors": message["payload"] })),
            _ => None,
        }
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn hear(&mut self) -> Result<Value, (u16, String)> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.0.next()).await;
            match next.expect("a message comes in time").expect("the socket is open").unwrap() {
                Message::Text(text) => return Ok(serde_json::from_str(&text).unwrap()),
                Message::Close(Some(frame)) => return Err((frame.code.into(), frame.reason.to_string())),
                _ => {}
            }
        }
    }
}

/// The number of the event that an answer of `recordChanged` tells of.
pub fn sequence(answer: &Value) -> i64 {
    let sequence = answer["data"]["recordChanged"]["sequence"].as_str();
    sequence.unwrap_or_else(|| panic!("not an event: {answer:#}")).parse().unwrap()
}
