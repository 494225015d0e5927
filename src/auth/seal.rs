//! Secrets that the platform must be able to use again, such as those that sign webhooks: sealed before they are stored.
//!
//! XChaCha20-Poly1305, with a random nonce and the place of the secret (tenant, table, row) as associated data, so that a
//! sealed text that was copied to another row or another tenant opens nothing. Keys are derived by HKDF from secrets of
//! the configuration. A sealed text names its key: the newest key seals, all that are known open, so that keys can be
//! changed while the server runs on old texts.
//!
//! Form: `1.<key>.<nonce and ciphertext>`, in base64url; the key's name is eight hexadecimal digits derived from it.

use std::fmt;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hkdf::Hkdf;
use sha2::Sha256;
use uuid::Uuid;

use super::secret::random_bytes;
use crate::error::{Error, Result};

/// The form of sealed texts.
const FORM: &str = "1";
const NONCE: usize = 24;

/// Where a sealed secret stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The tenant.
    pub tenant_id: Uuid,
    /// The table.
    pub table: &'static str,
    /// The id of the row.
    pub row: Uuid,
}

impl Place {
    fn text(&self) -> String {
        format!("{FORM}|{}|{}|{}", self.tenant_id, self.table, self.row)
    }
}

/// Seals and opens secrets.
pub struct Sealer {
    /// The newest first.
    keys: Vec<Key>,
}

struct Key {
    name: String,
    cipher: XChaCha20Poly1305,
}

impl Key {
    fn of(secret: &str) -> Result<Self> {
        let derive = Hkdf::<Sha256>::new(None, secret.as_bytes());
        let (mut key, mut name) = ([0; 32], [0; 4]);
        for (purpose, into) in [("rapport sealing key", &mut key[..]), ("rapport sealing key name", &mut name[..])] {
            derive.expand(purpose.as_bytes(), into).map_err(|error| Error::internal(error.to_string()))?;
        }
        Ok(Self { name: HEXLOWER.encode(&name), cipher: XChaCha20Poly1305::new(&key.into()) })
    }
}

impl Sealer {
    /// A sealer whose keys come from these secrets, the newest first. Without any it neither seals nor opens.
    ///
    /// # Errors
    /// Never, with the lengths that are used here.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        Ok(Self { keys: secrets.into_iter().map(Key::of).collect::<Result<_>>()? })
    }

    /// Seals a secret for its place, with the newest key.
    ///
    /// # Errors
    /// Without a key, and when the operating system gives no randomness.
    pub fn seal(&self, place: Place, secret: &[u8]) -> Result<String> {
        let key =
            self.keys.first().ok_or_else(|| Error::internal("there is no secret to seal with: set auth.secret"))?;
        let nonce = random_bytes::<NONCE>()?;
        let aad = place.text();
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: aad.as_bytes() });
        let sealed = sealed.map_err(|_| Error::internal("a secret could not be sealed"))?;
        Ok(format!("{FORM}.{}.{}", key.name, BASE64URL_NOPAD.encode(&[&nonce[..], &sealed].concat())))
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// When its key is not known any more, or it was not sealed for this place.
    pub fn open(&self, place: Place, sealed: &str) -> Result<Vec<u8>> {
        let broken = || Error::internal("this is no sealed secret of this place");
        let mut parts = sealed.split('.');
        let (Some(FORM), Some(name), Some(text), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(broken());
        };
        let key = self.keys.iter().find(|key| key.name == name).ok_or_else(|| {
            Error::internal(format!("the key {name} that sealed a secret is not among auth.sealing_secrets"))
        })?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| broken())?;
        let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        let aad = place.text();
        let payload = Payload { msg: ciphertext, aad: aad.as_bytes() };
        key.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| broken())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn place(tenant: u128, row: u128) -> Place {
        Place { tenant_id: Uuid::from_u128(tenant), table: "webhook_secret", row: Uuid::from_u128(row) }
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_alone() {
        let sealer = Sealer::new(["a secret"]).unwrap();
        let sealed = sealer.seal(place(1, 1), b"whsec").unwrap();
        assert_eq!(sealer.open(place(1, 1), &sealed).unwrap(), b"whsec");
        assert_ne!(sealed, sealer.seal(place(1, 1), b"whsec").unwrap(), "each has a nonce of its own");
        for elsewhere in [place(2, 1), place(1, 2), Place { table: "calendar", ..place(1, 1) }] {
            assert!(sealer.open(elsewhere, &sealed).is_err());
        }
    }

    #[test]
    fn the_newest_key_seals_and_all_open() {
        let before = Sealer::new(["old"]).unwrap();
        let sealed = before.seal(place(1, 1), b"kept").unwrap();
        let after = Sealer::new(["new", "old"]).unwrap();
        assert_eq!(after.open(place(1, 1), &sealed).unwrap(), b"kept");
        let anew = after.seal(place(1, 1), b"kept").unwrap();
        assert!(before.open(place(1, 1), &anew).is_err());
        assert_eq!(Sealer::new(["new"]).unwrap().open(place(1, 1), &anew).unwrap(), b"kept");
        assert!(Sealer::new(["new"]).unwrap().open(place(1, 1), &sealed).is_err());
        assert!(Sealer::new([]).unwrap().seal(place(1, 1), b"x").is_err());
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let sealer = Sealer::new(["a secret"]).unwrap();
        let sealed = sealer.seal(place(1, 1), b"whsec").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(sealer.open(place(1, 1), std::str::from_utf8(&changed).unwrap()).is_err(), "{at}");
        }
        for text in ["", "1", "1..", "1.00000000.AAAA", "2.x.y", "1.x.y.z"] {
            assert!(sealer.open(place(1, 1), text).is_err());
        }
    }

    #[test]
    fn it_shows_nothing_of_its_keys() {
        let shown = format!("{:?}", Sealer::new(["a secret"]).unwrap());
        assert!(!shown.contains("secret") && shown.len() < 20, "{shown}");
    }
}
