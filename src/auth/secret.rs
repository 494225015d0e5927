//! Secrets that the platform makes up: refresh tokens, API keys, one-time links.
//!
//! | kind | form | found by |
//! |---|---|---|
//! | refresh token | `rrt_` + secret | the hash of its text |
//! | API key | `rak_` + 8 characters + `_` + secret | those 8 characters, then the hash |
//! | one-time link | `rot_` + secret | the hash of its text |
//!
//! The secret is 256 bits from the operating system, in base64url (43 characters). What is stored is the SHA-256 of the
//! whole text, kind and prefix included, so that a token of one kind can never stand in for another. A fast hash is
//! right here: there is nothing to guess in 256 random bits. The prefixes let people and secret scanners see what they
//! found.

use std::fmt;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};

/// What a secret opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// A session that is to be prolonged.
    RefreshToken,
    /// The API, for a program.
    ApiKey,
    /// The setting of a password, once.
    OneTimeLink,
}

/// The length of an API key's visible part.
pub const LOOKUP_PREFIX_LENGTH: usize = 8;

const SECRET_BYTES: usize = 32;
const SECRET_CHARACTERS: usize = 43;

impl SecretKind {
    /// How a secret of this kind begins.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::RefreshToken => "rrt_",
            Self::ApiKey => "rak_",
            Self::OneTimeLink => "rot_",
        }
    }
}

/// A secret as its holder has it. It can be shown to the holder once ([`expose`](Self::expose)) and is never logged:
/// there is no `Display`, and `Debug` shows the kind alone.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretToken {
    kind: SecretKind,
    text: String,
}

impl SecretToken {
    /// A new secret.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate(kind: SecretKind) -> Result<Self> {
        let secret = BASE64URL_NOPAD.encode(&random_bytes::<SECRET_BYTES>()?);
        let prefix = kind.prefix();
        let text = match kind {
            SecretKind::ApiKey => {
                let visible = BASE32_NOPAD.encode(&random_bytes::<5>()?).to_lowercase();
                format!("{prefix}{visible}_{secret}")
            }
            SecretKind::RefreshToken | SecretKind::OneTimeLink => format!("{prefix}{secret}"),
        };
        Ok(Self { kind, text })
    }

    /// Reads what a caller presents as a secret of this kind; `None` when it cannot be one.
    #[must_use]
    pub fn parse(kind: SecretKind, text: &str) -> Option<Self> {
        let rest = text.strip_prefix(kind.prefix())?;
        let secret = match kind {
            SecretKind::ApiKey => {
                let (visible, secret) = rest.split_once('_')?;
                let well_formed = visible.len() == LOOKUP_PREFIX_LENGTH
                    && visible.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
                well_formed.then_some(secret)?
            }
            SecretKind::RefreshToken | SecretKind::OneTimeLink => rest,
        };
        let well_formed = secret.len() == SECRET_CHARACTERS && BASE64URL_NOPAD.decode(secret.as_bytes()).is_ok();
        well_formed.then(|| Self { kind, text: text.to_owned() })
    }

    /// What the secret opens.
    #[must_use]
    pub const fn kind(&self) -> SecretKind {
        self.kind
    }

    /// The secret itself, for its holder.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The eight characters of an API key by which it is found and shown.
    #[must_use]
    pub fn lookup_prefix(&self) -> Option<&str> {
        let start = self.kind.prefix().len();
        (self.kind == SecretKind::ApiKey).then(|| self.text.get(start..start + LOOKUP_PREFIX_LENGTH)).flatten()
    }

    /// What is stored of it: its SHA-256 in lower-case hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(&self.text))
    }

    /// Whether `stored` is the hash of this secret, in the same time for every answer.
    #[must_use]
    pub fn matches(&self, stored: &str) -> bool {
        self.hash().as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

impl fmt::Debug for SecretToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.kind.prefix())
    }
}

/// Bytes that nobody can foresee.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(Error::internal)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const KINDS: [SecretKind; 3] = [SecretKind::RefreshToken, SecretKind::ApiKey, SecretKind::OneTimeLink];

    #[test]
    fn a_new_secret_can_be_read_back_as_its_own_kind_alone() {
        for kind in KINDS {
            let secret = SecretToken::generate(kind).unwrap();
            for other in KINDS {
                let read = SecretToken::parse(other, secret.expose());
                assert_eq!(read.is_some(), other == kind, "{other:?} from {}", secret.expose());
            }
            assert_eq!(SecretToken::parse(kind, secret.expose()).unwrap().hash(), secret.hash());
            assert_eq!(format!("{secret:?}"), format!("{}…", kind.prefix()));
        }
    }

    #[test]
    fn only_an_api_key_shows_a_part_of_itself() {
        let key = SecretToken::generate(SecretKind::ApiKey).unwrap();
        let prefix = key.lookup_prefix().unwrap();
        assert_eq!(prefix.len(), LOOKUP_PREFIX_LENGTH);
        assert!(key.expose().starts_with(&format!("rak_{prefix}_")));
        assert_eq!(key.expose().len(), 4 + 8 + 1 + 43);
        assert_eq!(SecretToken::generate(SecretKind::RefreshToken).unwrap().lookup_prefix(), None);
    }

    #[test]
    fn secrets_differ() {
        let all: HashSet<String> =
            (0..1_000).map(|_| SecretToken::generate(SecretKind::RefreshToken).unwrap().hash()).collect();
        assert_eq!(all.len(), 1_000);
    }

    #[test]
    fn a_hash_matches_its_secret_alone() {
        let (a, b) =
            (SecretToken::generate(SecretKind::ApiKey).unwrap(), SecretToken::generate(SecretKind::ApiKey).unwrap());
        assert!(a.matches(&a.hash()));
        assert!(!a.matches(&b.hash()));
        assert!(!a.matches(""));
        assert!(!a.matches(&a.hash()[..63]));
        assert_eq!(a.hash().len(), 64);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,120}", kind in 0..3_usize) {
            prop_assert!(SecretToken::parse(KINDS[kind], &text).is_none());
        }

        #[test]
        fn what_is_nearly_a_secret_is_refused_or_has_another_hash(
            position in 0..56_usize,
            character in prop::char::any(),
        ) {
            let secret = SecretToken::generate(SecretKind::ApiKey).unwrap();
            let mut characters: Vec<char> = secret.expose().chars().collect();
            prop_assume!(characters[position] != character);
            characters[position] = character;
            let changed: String = characters.into_iter().collect();
            if let Some(read) = SecretToken::parse(SecretKind::ApiKey, &changed) {
                prop_assert!(!read.matches(&secret.hash()));
            }
        }
    }
}
