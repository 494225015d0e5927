//! The parameters of a request: `query`, `operationName`, `variables`, `extensions`, from a JSON body or from a URL.

use std::{borrow::Cow, collections::BTreeMap};

use async_graphql::{Value, Variables};
use serde::{Deserialize, de::DeserializeOwned};

/// A well-formed request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Params {
    /// The document.
    pub(crate) query: String,
    /// Which of its operations to run.
    pub(crate) operation_name: Option<String>,
    /// The values of its variables.
    pub(crate) variables: Option<Variables>,
    /// What clients and servers agreed on beside the specification.
    pub(crate) extensions: Option<BTreeMap<String, Value>>,
}

impl Params {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// Why it is not a request, in words for the caller.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, String> {
        // A derived reader would also take an array of the values in order.
        match json.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => serde_json::from_slice(json).map_err(|error| format!("the request is malformed: {error}")),
            Some(b'[') => Err("the request is an array: send one operation a request".to_owned()),
            Some(_) => Err("the request is not a JSON object".to_owned()),
            None => Err("the request is empty".to_owned()),
        }
    }

    /// Reads a URL's query string.
    ///
    /// # Errors
    /// Why it is not a request, in words for the caller.
    pub(crate) fn from_url(query: &str) -> Result<Self, String> {
        let (mut document, mut operation_name, mut variables, mut extensions) = (None, None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match &*decode(name)? {
                "query" => &mut document,
                "operationName" => &mut operation_name,
                "variables" => &mut variables,
                "extensions" => &mut extensions,
                _ => continue,
            };
            if slot.replace(decode(value)?.into_owned()).is_some() {
                return Err(format!("the parameter {name} is given twice"));
            }
        }
        Ok(Self {
            query: document.ok_or("the parameter query is missing")?,
            // A form that leaves a field out sends it empty.
            operation_name: operation_name.filter(|name| !name.is_empty()),
            variables: json_parameter("variables", variables)?,
            extensions: json_parameter("extensions", extensions)?,
        })
    }

    /// A text among the extensions.
    pub(crate) fn extension(&self, name: &str) -> Option<&str> {
        match self.extensions.as_ref()?.get(name)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

fn json_parameter<T: DeserializeOwned>(name: &str, value: Option<String>) -> Result<Option<T>, String> {
    match value.filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(json) => {
            serde_json::from_str(&json).map_err(|error| format!("the parameter {name} is malformed: {error}"))
        }
    }
}

/// Undoes percent-encoding, strictly: what is not UTF-8 is refused and not replaced.
fn decode(text: &str) -> Result<Cow<'_, str>, String> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let malformed = || "the URL's parameters are not percent-encoded UTF-8".to_owned();
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match (digit(bytes.next()), digit(bytes.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).map_err(|_| malformed())?,
                _ => return Err(malformed()),
            },
            other => other,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_url() {
        let url = "query=%7B+a%20%F0%9F%8F%83%7D&variables=%7B%22n%22:1%7D&operationName=&other=%zz";
        let params = Params::from_url(url).unwrap();
        assert_eq!(params.query, "{ a 🏃}");
        assert_eq!(params.operation_name, None);
        assert_eq!(params.variables.unwrap().len(), 1);
        for wrong in ["", "query=a&query=b", "query=%", "query=%f", "query=%FF", "query=a&variables=1"] {
            assert!(Params::from_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_only_an_object() {
        assert!(Params::from_json(br#" {"query":"{a}","variables":null,"extra":[1]}"#).is_ok());
        for wrong in [
            "",
            "[]",
            r#"["{a}", null, null, null]"#,
            r#"[{"query":"{a}"}]"#,
            "1",
            "null",
            "{}",
            r#"{"query":null}"#,
            r#"{"query":"{a}","query":"{b}"}"#,
            r#"{"query":"{a}","variables":[]}"#,
            r#"{"query":"\ud800"}"#,
        ] {
            assert!(Params::from_json(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Params::from_json(b"{\"query\":\"\xff\"}").is_err());
    }
}
