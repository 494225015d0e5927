//! How deliveries are signed: so that the receiver knows who sent them, and that nothing was changed.
//!
//! | header | what it is |
//! |---|---|
//! | `webhook-id` | the event's id: the same however often it is sent |
//! | `webhook-timestamp` | when this attempt began, in seconds since 1970 |
//! | `webhook-signature` | for each secret that counts `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body` |
//! | `X-Webhook-Signature` | `sha256=` and the hexadecimal HMAC-SHA256 of the body, with the newest secret |
//!
//! The first three are those of Standard Webhooks, whose libraries verify them. A secret is `whsec_` and the base64 of 24
//! to 64 bytes; those bytes are the key.

use std::fmt;

use chrono::{DateTime, Utc};
use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{auth::secret::random_bytes, error::Result};

const PREFIX: &str = "whsec_";
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The bytes of a secret. They are shown to nobody but who made it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// A new secret of 32 random bytes.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Self> {
        Ok(Self(random_bytes::<32>()?.to_vec()))
    }

    /// Reads what a user gives as a secret.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or_else(|| format!("a secret begins with {PREFIX}"))?;
        let bytes = BASE64.decode(encoded.as_bytes());
        let bytes = bytes.map_err(|_| format!("what follows {PREFIX} must be base64, with its padding"))?;
        Self::of_bytes(bytes)
    }

    /// The secret of these bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Self, String> {
        if !LENGTHS.contains(&bytes.len()) {
            return Err(format!(
                "a secret has {} to {} bytes, this one {}",
                LENGTHS.start(),
                LENGTHS.end(),
                bytes.len()
            ));
        }
        Ok(Self(bytes))
    }

    /// The bytes, to be sealed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, for who made it.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }

    fn sign(&self, parts: &[&[u8]]) -> Vec<u8> {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return Vec::new() };
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().to_vec()
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_…")
    }
}

/// The headers that sign a body, with all secrets that count, the newest first.
#[must_use]
pub fn headers(secrets: &[WebhookSecret], id: &str, at: DateTime<Utc>, body: &[u8]) -> Vec<(&'static str, String)> {
    let timestamp = at.timestamp().to_string();
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| {
            let signature = secret.sign(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
            format!("v1,{}", BASE64.encode(&signature))
        })
        .collect();
    let mut headers = vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signatures.join(" ")),
    ];
    if let Some(newest) = secrets.first() {
        headers.push(("x-webhook-signature", format!("sha256={}", HEXLOWER.encode(&newest.sign(&[body])))));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_signed_as_it_says() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = DateTime::from_timestamp(1_614_265_330, 0).unwrap();
        let headers = headers(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(headers[2], ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()));
    }

    #[test]
    fn secrets_have_one_form() {
        let secret = WebhookSecret::generate().unwrap();
        assert_eq!(WebhookSecret::parse(&secret.expose()).unwrap(), secret);
        assert_eq!(format!("{secret:?}"), "whsec_…");
        for (bytes, fits) in [(23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(
                WebhookSecret::parse(&format!("whsec_{}", BASE64.encode(&vec![7; bytes]))).is_ok(),
                fits,
                "{bytes}"
            );
        }
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_not base64!",
            "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(WebhookSecret::parse(text).is_err(), "{text}");
        }
    }
}
