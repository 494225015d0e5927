//! Access tokens: signed claims (JWT, HS256) that a client sends with each request for an hour.
//!
//! A token proves who logged in, when, and at which epoch. It does not decide what its bearer may do: the role and the
//! permissions in it are for the client's display, and the server asks its own tables. So a token that outlives a
//! change of rights opens nothing, and a token of an older epoch than the account's is refused.
//!
//! Keys are rotated by putting a new one in front: the first key signs, all of them verify, and a key is dropped when
//! the last token it signed has expired. Only HS256 is accepted, only with a key that the header's `kid` names. Times
//! are compared with the injected clock, never with the system's.

use std::fmt;

use chrono::Duration;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::secret;
use crate::{
    clock::Clock,
    error::{Error, Result},
};

/// The fewest bytes of a signing secret: as many as the hash has.
pub const MIN_SECRET_BYTES: usize = 32;
/// The most seconds by which the clocks of two nodes may differ.
pub const MAX_LEEWAY_SECONDS: u32 = 30;
/// No token of ours comes near it, and more than this is not even decoded.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Who issues tokens for whom, for how long, and with which keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessTokenSettings {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
    pub audience: String,
    /// How long a token counts, in minutes.
    pub lifetime_minutes: u32,
    /// By how many seconds (0 to 30) the clocks of two nodes may differ.
    pub leeway_seconds: u32,
    /// The keys, newest first: the first one signs, all of them verify.
    pub keys: Vec<SigningKey>,
}

impl Default for AccessTokenSettings {
    fn default() -> Self {
        Self {
            issuer: "rapport".to_owned(),
            audience: "rapport".to_owned(),
            lifetime_minutes: 60,
            leeway_seconds: 5,
            keys: Vec::new(),
        }
    }
}

/// A key that signs and verifies. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// The key's name, which stands in the header of its tokens.
    pub kid: String,
    /// The secret, at least 32 bytes.
    pub secret: String,
}

impl SigningKey {
    /// A key that is named after its secret's hash, so that every node gives it the same name.
    #[must_use]
    pub fn of_secret(secret: &str) -> Self {
        let hash = Sha256::digest(["rapport signing key ", secret].concat());
        let kid = HEXLOWER.encode(&hash).chars().take(8).collect();
        Self { kid, secret: secret.to_owned() }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// For whom a token is issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The account, or the platform administrator.
    pub user_id: Uuid,
    /// The account's tenant; none for a platform administrator.
    pub tenant_id: Option<Uuid>,
    /// The e-mail address.
    pub email: String,
    /// The role's name.
    pub role: String,
    /// The names of the role's permissions.
    pub permissions: Vec<String>,
    /// The epoch of the account, or of the platform administrator.
    pub epoch: i32,
    /// The session.
    pub session_id: Uuid,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The account, or the platform administrator.
    pub sub: Uuid,
    /// The account's tenant; none for a platform administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<Uuid>,
    /// The e-mail address, for display.
    pub email: String,
    /// The role's name, for display.
    pub role: String,
    /// What the role allowed when the token was issued, for display.
    pub permissions: Vec<String>,
    /// Compared with the account's epoch on every request.
    pub epoch: i32,
    /// The session.
    pub sid: Uuid,
    /// Who issued the token.
    pub iss: String,
    /// For whom it is meant.
    pub aud: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// From when on it counts.
    pub nbf: i64,
    /// Until when it counts.
    pub exp: i64,
    /// The token's own name, which no other token has.
    pub jti: String,
}

/// A token and how long it counts.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token.
    pub token: String,
    /// In how many seconds it expires.
    pub expires_in: i64,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// Issues and verifies access tokens.
#[derive(Clone)]
pub struct AccessTokens {
    clock: Clock,
    lifetime: Duration,
    leeway_seconds: i64,
    issuer: String,
    audience: String,
    signing: (Header, EncodingKey),
    verifying: Vec<(String, DecodingKey)>,
    validation: Validation,
}

impl AccessTokens {
    /// # Errors
    /// When there is no key, a key is short or named twice, or a setting is out of its range.
    pub fn new(settings: &AccessTokenSettings, clock: Clock) -> Result<Self> {
        let AccessTokenSettings { issuer, audience, lifetime_minutes, leeway_seconds, keys } = settings;
        let Some(newest) = keys.first() else {
            return Err(Error::internal("access tokens need a signing key"));
        };
        for (position, key) in keys.iter().enumerate() {
            if key.kid.is_empty() || keys.iter().take(position).any(|other| other.kid == key.kid) {
                return Err(Error::internal(format!("signing key {}: each needs a kid of its own", position + 1)));
            }
            if key.secret.len() < MIN_SECRET_BYTES {
                let kid = &key.kid;
                return Err(Error::internal(format!("signing key \"{kid}\" has fewer than {MIN_SECRET_BYTES} bytes")));
            }
        }
        if *lifetime_minutes == 0 || *leeway_seconds > MAX_LEEWAY_SECONDS {
            return Err(Error::internal("the lifetime or the leeway of access tokens is out of range"));
        }

        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(newest.kid.clone());
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // The library reads the system's clock: `verify` compares both times with ours.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self {
            clock,
            lifetime: Duration::minutes(i64::from(*lifetime_minutes)),
            leeway_seconds: i64::from(*leeway_seconds),
            issuer: issuer.clone(),
            audience: audience.clone(),
            signing: (header, EncodingKey::from_secret(newest.secret.as_bytes())),
            verifying: keys
                .iter()
                .map(|key| (key.kid.clone(), DecodingKey::from_secret(key.secret.as_bytes())))
                .collect(),
            validation,
        })
    }

    /// A token for the subject, from now on.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn issue(&self, subject: &Subject) -> Result<IssuedToken> {
        let Subject { user_id, tenant_id, email, role, permissions, epoch, session_id } = subject.clone();
        let now = self.clock.now().timestamp();
        let expires_in = self.lifetime.num_seconds();
        let claims = Claims {
            sub: user_id,
            tenant_id,
            email,
            role,
            permissions,
            epoch,
            sid: session_id,
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            iat: now,
            nbf: now,
            exp: now.saturating_add(expires_in),
            jti: BASE64URL_NOPAD.encode(&secret::random_bytes::<16>()?),
        };
        let (header, key) = &self.signing;
        let token = jsonwebtoken::encode(header, &claims, key).map_err(Error::internal)?;
        Ok(IssuedToken { token, expires_in })
    }

    /// What a token says, when one of our keys signed it and it counts now. Whether the account, its epoch and its
    /// session still do is for the caller to look up.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], whose message tells an honest client what to do and a forger nothing.
    pub fn verify(&self, token: &str) -> Result<Claims> {
        let claims = self.decode(token).ok_or_else(|| refused("The access token is not valid"))?;
        let now = self.clock.now().timestamp();
        if now >= claims.exp.saturating_add(self.leeway_seconds) {
            return Err(refused("The access token has expired"));
        }
        if now < claims.nbf.saturating_sub(self.leeway_seconds) {
            return Err(refused("The access token is not valid yet"));
        }
        Ok(claims)
    }

    fn decode(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let (_, key) = self.verifying.iter().find(|(known, _)| *known == kid)?;
        Some(jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok()?.claims)
    }
}

fn refused(message: &str) -> Error {
    Error::Unauthenticated(message.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const OLD_SECRET: &str = "fedcba9876543210fedcba9876543210";

    fn settings() -> AccessTokenSettings {
        AccessTokenSettings { keys: vec![key("k1", SECRET)], ..AccessTokenSettings::default() }
    }

    fn key(kid: &str, secret: &str) -> SigningKey {
        SigningKey { kid: kid.to_owned(), secret: secret.to_owned() }
    }

    fn tokens(settings: &AccessTokenSettings) -> (AccessTokens, Clock) {
        let clock = Clock::system();
        (AccessTokens::new(settings, clock.clone()).unwrap(), clock)
    }

    fn subject() -> Subject {
        Subject {
            user_id: Uuid::from_u128(1),
            tenant_id: Some(Uuid::from_u128(2)),
            email: "ada@acme.example".to_owned(),
            role: "Agent".to_owned(),
            permissions: vec!["customers.read".to_owned()],
            epoch: 3,
            session_id: Uuid::from_u128(4),
        }
    }

    fn message(outcome: Result<Claims>) -> String {
        match outcome.unwrap_err() {
            Error::Unauthenticated(message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// A token that a key signed, over claims and a header of one's own.
    fn forged(header: &Header, claims: &serde_json::Value, secret: &str) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
        Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }
    }

    fn claims_now(tokens: &AccessTokens) -> serde_json::Value {
        let issued = tokens.issue(&subject()).unwrap();
        serde_json::to_value(tokens.verify(&issued.token).unwrap()).unwrap()
    }

    #[test]
    fn a_token_says_what_was_put_into_it() {
        let (tokens, clock) = tokens(&settings());
        let issued = tokens.issue(&subject()).unwrap();
        assert_eq!(issued.expires_in, 3_600);
        let claims = tokens.verify(&issued.token).unwrap();
        let subject = subject();
        assert_eq!(
            (claims.sub, claims.tenant_id, claims.sid),
            (subject.user_id, subject.tenant_id, subject.session_id)
        );
        assert_eq!((claims.email, claims.role), (subject.email, subject.role));
        assert_eq!((claims.permissions, claims.epoch), (subject.permissions, 3));
        assert_eq!((claims.iss.as_str(), claims.aud.as_str()), ("rapport", "rapport"));
        assert_eq!((claims.nbf, claims.exp), (claims.iat, claims.iat + 3_600));
        assert!((clock.now().timestamp() - claims.iat).abs() <= 1);
        let again = tokens.verify(&tokens.issue(&super::tests::subject()).unwrap().token).unwrap();
        assert_ne!(again.jti, claims.jti);
    }

    #[test]
    fn a_platform_administrators_token_names_no_tenant() {
        let (tokens, _) = tokens(&settings());
        let issued = tokens.issue(&Subject { tenant_id: None, ..subject() }).unwrap();
        assert_eq!(tokens.verify(&issued.token).unwrap().tenant_id, None);
    }

    #[test]
    fn a_token_counts_for_its_lifetime_on_the_injected_clock() {
        let (tokens, clock) = tokens(&AccessTokenSettings { leeway_seconds: 5, ..settings() });
        let issued = tokens.issue(&subject()).unwrap();
        clock.advance(Duration::seconds(3_600));
        tokens.verify(&issued.token).unwrap();
        clock.advance(Duration::seconds(6));
        assert_eq!(message(tokens.verify(&issued.token)), "The access token has expired");
        clock.advance(Duration::seconds(-3_606));
        tokens.verify(&issued.token).unwrap();
        clock.advance(Duration::seconds(-10));
        assert_eq!(message(tokens.verify(&issued.token)), "The access token is not valid yet");
    }

    #[test]
    fn keys_are_rotated_without_logging_anybody_out() {
        let (before, _) = tokens(&AccessTokenSettings { keys: vec![key("old", OLD_SECRET)], ..settings() });
        let (during, _) =
            tokens(&AccessTokenSettings { keys: vec![key("new", SECRET), key("old", OLD_SECRET)], ..settings() });
        let (after, _) = tokens(&AccessTokenSettings { keys: vec![key("new", SECRET)], ..settings() });
        let old = before.issue(&subject()).unwrap().token;
        let new = during.issue(&subject()).unwrap().token;
        during.verify(&old).unwrap();
        during.verify(&new).unwrap();
        after.verify(&new).unwrap();
        assert_eq!(message(after.verify(&old)), "The access token is not valid");
        assert_eq!(message(before.verify(&new)), "The access token is not valid");
    }

    #[test]
    fn only_our_algorithm_key_issuer_and_audience_count() {
        let (tokens, _) = tokens(&settings());
        let claims = claims_now(&tokens);
        tokens.verify(&forged(&header(Algorithm::HS256, Some("k1")), &claims, SECRET)).unwrap();

        let with = |name: &str, value: serde_json::Value| {
            let mut claims = claims.clone();
            claims[name] = value;
            forged(&header(Algorithm::HS256, Some("k1")), &claims, SECRET)
        };
        let without = |name: &str| {
            let mut claims = claims.clone();
            claims.as_object_mut().unwrap().remove(name);
            forged(&header(Algorithm::HS256, Some("k1")), &claims, SECRET)
        };
        let none = format!(
            "{}.{}.",
            BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"none","kid":"k1"}"#),
            BASE64URL_NOPAD.encode(claims.to_string().as_bytes())
        );
        for (what, token) in [
            ("another algorithm", forged(&header(Algorithm::HS512, Some("k1")), &claims, SECRET)),
            ("no algorithm", none),
            ("no kid", forged(&header(Algorithm::HS256, None), &claims, SECRET)),
            ("an unknown kid", forged(&header(Algorithm::HS256, Some("k2")), &claims, SECRET)),
            ("another secret", forged(&header(Algorithm::HS256, Some("k1")), &claims, OLD_SECRET)),
            ("another issuer", with("iss", "someone".into())),
            ("another audience", with("aud", "elsewhere".into())),
            ("two audiences", with("aud", serde_json::json!(["rapport", "elsewhere"]))),
            ("a subject that is no id", with("sub", "ada".into())),
            ("an epoch that is no number", with("epoch", "3".into())),
            ("no expiry", without("exp")),
            ("no start", without("nbf")),
            ("no epoch", without("epoch")),
            ("no session", without("sid")),
            ("no issuer", without("iss")),
            ("nothing", String::new()),
            ("no dots", "abc".to_owned()),
            ("too long", "a".repeat(MAX_TOKEN_BYTES + 1)),
        ] {
            assert_eq!(message(tokens.verify(&token)), "The access token is not valid", "{what}");
        }
    }

    #[test]
    fn absurd_times_are_refused_without_overflow() {
        let (tokens, _) = tokens(&settings());
        let mut claims = claims_now(&tokens);
        claims["nbf"] = i64::MIN.into();
        claims["exp"] = i64::MAX.into();
        let token = |claims: &serde_json::Value| forged(&header(Algorithm::HS256, Some("k1")), claims, SECRET);
        // Whether such times are read at all is the library's affair; that nothing breaks is ours.
        let _ = tokens.verify(&token(&claims));
        claims["exp"] = i64::MIN.into();
        tokens.verify(&token(&claims)).unwrap_err();
    }

    #[test]
    fn a_key_can_be_named_after_its_secret() {
        let (one, same, other) =
            (SigningKey::of_secret(SECRET), SigningKey::of_secret(SECRET), SigningKey::of_secret(OLD_SECRET));
        assert_eq!(one, same);
        assert_ne!(one.kid, other.kid);
        assert_eq!(one.kid.len(), 8);
    }

    #[test]
    fn weak_settings_are_refused() {
        let refused = |settings: AccessTokenSettings| AccessTokens::new(&settings, Clock::system()).is_err();
        assert!(refused(AccessTokenSettings::default()));
        assert!(refused(AccessTokenSettings { keys: vec![key("k1", "short")], ..settings() }));
        assert!(refused(AccessTokenSettings { keys: vec![key("", SECRET)], ..settings() }));
        assert!(refused(AccessTokenSettings { keys: vec![key("k1", SECRET), key("k1", OLD_SECRET)], ..settings() }));
        assert!(refused(AccessTokenSettings { leeway_seconds: 31, ..settings() }));
        assert!(refused(AccessTokenSettings { lifetime_minutes: 0, ..settings() }));
        assert!(!refused(settings()));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?}", settings(), tokens(&settings()).0.issue(&subject()).unwrap());
        assert!(!shown.contains(SECRET) && !shown.contains("eyJ"), "{shown}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_is_refused(text in ".{0,300}") {
            let (tokens, _) = tokens(&settings());
            prop_assert!(tokens.verify(&text).is_err());
        }

        #[test]
        fn a_changed_token_is_refused(position in any::<prop::sample::Index>(), byte in 0x21_u8..0x7f) {
            let (tokens, _) = tokens(&settings());
            let mut token = tokens.issue(&subject()).unwrap().token.into_bytes();
            let position = position.index(token.len());
            prop_assume!(token[position] != byte);
            token[position] = byte;
            prop_assert!(tokens.verify(&String::from_utf8(token).unwrap()).is_err());
        }
    }
}
