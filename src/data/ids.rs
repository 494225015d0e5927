//! Ids: UUIDv7 in the database, TypeIDs in the API (`customer_01h455vb4pex5vsknk084sn02q`).
//!
//! A TypeID is the record's name, an underscore and the UUID in Crockford's base32, lower case, 26 characters
//! (TypeID specification 0.3).

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use uuid::{ContextV7, Timestamp, Uuid};

static CONTEXT: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A new id of the given moment. Ids made later in this process sort after earlier ones of the same millisecond.
#[must_use]
pub fn new(now: DateTime<Utc>) -> Uuid {
    let context = CONTEXT.lock().unwrap_or_else(PoisonError::into_inner);
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(&*context, seconds, now.timestamp_subsec_nanos()))
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The TypeID of a record's id.
#[must_use]
pub fn encode(name: &str, id: Uuid) -> String {
    let bits = id.as_u128();
    let mut text = String::with_capacity(name.len() + 27);
    text.push_str(name);
    text.push('_');
    for group in (0..26).rev() {
        text.push(char::from(ALPHABET[((bits >> (5 * group)) & 31) as usize]));
    }
    text
}

/// The record's name and the id in a TypeID; `None` when it is not one.
#[must_use]
pub fn decode(text: &str) -> Option<(&str, Uuid)> {
    let (name, suffix) = text.rsplit_once('_')?;
    let suffix = suffix.as_bytes();
    if name.is_empty() || suffix.len() != 26 || suffix[0] > b'7' {
        return None;
    }
    let mut bits = 0u128;
    for byte in suffix {
        let digit = ALPHABET.iter().position(|letter| letter == byte)?;
        bits = (bits << 5) | digit as u128;
    }
    Some((name, Uuid::from_u128(bits)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{decode, encode};

    #[test]
    fn the_specifications_examples() {
        let id = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        assert_eq!(encode("prefix", id), "prefix_01h455vb4pex5vsknk084sn02q");
        assert_eq!(decode("prefix_01h455vb4pex5vsknk084sn02q"), Some(("prefix", id)));
        for bad in [
            "prefix_1234567890123456789012345",
            "prefix_1234567890123456789012345u",
            "prefix_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "prefix_01H455VB4PEX5VSKNK084SN02Q",
            "01h455vb4pex5vsknk084sn02q",
            "_01h455vb4pex5vsknk084sn02q",
            "",
        ] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes(bits: u128, name in "[a-z]([a-z_]{0,20}[a-z])?") {
            let id = Uuid::from_u128(bits);
            let encoded = encode(&name, id);
            prop_assert_eq!(decode(&encoded), Some((name.as_str(), id)));
        }

        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = decode(&text);
        }
    }
}
