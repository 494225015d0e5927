//! Requests over real HTTP, as one caller makes them.

use serde_json::{Value, json};

/// A caller.
#[derive(Clone)]
pub struct Session {
    /// The caller's access token.
    pub token: Option<String>,
    /// The caller's id as the API shows it.
    pub user_id: String,
    url: String,
    client: reqwest::Client,
}

impl Session {
    /// A caller with this token.
    #[expect(clippy::disallowed_methods, reason = "tests speak to the server that they started")]
    pub fn new(url: String, token: Option<String>) -> Self {
        Self { token, user_id: String::new(), url, client: reqwest::Client::new() }
    }

    /// Sends an operation.
    pub async fn send(&self, query: &str, variables: Value) -> Answer {
        self.send_with(query, variables, &[]).await
    }

    /// Sends an operation with further headers.
    pub async fn send_with(&self, query: &str, variables: Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.post(&self.url).json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let statements = response
            .headers()
            .get("server-timing")
            .and_then(|timing| timing.to_str().unwrap().split('"').nth(1)?.split(' ').next()?.parse().ok());
        let retry_after = response.headers().get("retry-after").map(|after| after.to_str().unwrap().to_owned());
        Answer { status: response.status().as_u16(), statements, retry_after, body: response.json().await.unwrap() }
    }

    /// Sends a body as it is; answers the status and the text that came back.
    pub async fn send_raw(&self, body: Vec<u8>) -> (u16, String) {
        let mut request = self.client.post(&self.url).header("content-type", "application/json").body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Sends a body under headers of the test's own: nothing is added, not even the caller's token.
    pub async fn send_bare(&self, body: Vec<u8>, headers: &[(&str, &[u8])]) -> (u16, String) {
        let mut request = self.client.post(&self.url).body(body);
        for (name, value) in headers {
            request = request.header(*name, reqwest::header::HeaderValue::from_bytes(value).unwrap());
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Opens a subscription as server-sent events.
    pub async fn stream(&self, query: &str) -> EventStream {
        self.stream_with(query, json!({})).await
    }

    /// As [`Session::stream`], with variables.
    pub async fn stream_with(&self, query: &str, variables: Value) -> EventStream {
        let mut request = self.client.post(&self.url).header("accept", "text/event-stream");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.json(&json!({ "query": query, "variables": variables })).send().await.unwrap();
        EventStream { response, text: String::new() }
    }

    /// The same caller at another address.
    #[must_use]
    pub fn at(&self, url: String) -> Self {
        Self { url, ..self.clone() }
    }

    /// Where it sends its operations.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends an operation that must succeed without an error; answers its data.
    pub async fn data(&self, query: &str, variables: Value) -> Value {
        let answer = self.send(query, variables).await;
        assert_eq!(answer.body.get("errors"), None, "{query}\n{:#}", answer.body);
        answer.body["data"].clone()
    }

    /// Sends a mutation that must succeed; answers its payload.
    pub async fn mutate(&self, query: &str, variables: Value) -> Value {
        let data = self.data(query, variables).await;
        let payload = data.as_object().unwrap().values().next().unwrap().clone();
        assert_eq!(payload["userErrors"], json!([]), "{query}\n{payload:#}");
        payload
    }

    /// Sends a mutation that must be refused; answers the codes and fields of its user errors.
    pub async fn refused(&self, query: &str, variables: Value) -> Vec<(String, Vec<String>)> {
        let data = self.data(query, variables).await;
        let payload = data.as_object().unwrap().values().next().unwrap().clone();
        let errors = payload["userErrors"].as_array().unwrap();
        assert!(!errors.is_empty(), "{query}\n{payload:#}");
        errors
            .iter()
            .map(|error| {
                let field = error["field"].as_array().cloned().unwrap_or_default();
                let field = field.iter().map(|part| part.as_str().unwrap().to_owned()).collect();
                (error["code"].as_str().unwrap().to_owned(), field)
            })
            .collect()
    }
}

/// A subscription over server-sent events.
pub struct EventStream {
    response: reqwest::Response,
    text: String,
}

impl EventStream {
    /// The HTTP status, and when to come back where the answer says.
    pub fn status(&self) -> (u16, Option<&str>) {
        let after = self.response.headers().get("retry-after");
        (self.response.status().as_u16(), after.map(|after| after.to_str().unwrap()))
    }

    /// The next answer; `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data:")).unwrap_or_default().trim();
                let next =
                    event.lines().any(|line| line.trim_end() == "event: next" || line.trim_end() == "event:next");
                let value = next.then(|| serde_json::from_str(data).unwrap());
                self.text = rest.to_owned();
                if value.is_some() {
                    return value;
                }
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How many SQL statements it took.
    pub statements: Option<u32>,
    /// When to come back, in seconds, where the answer says.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// The codes of the errors.
    pub fn codes(&self) -> Vec<String> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or("none").to_owned()).collect()
    }
}
