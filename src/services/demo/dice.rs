//! The chance that the data is made by: the same numbers from the same seed on every machine and in every release.
//!
//! Each record has dice of its own, seeded by the tenant, the kind of record and its number. So a customer is the same
//! one however many are made, and a new kind of record does not change those that are there.

use chrono::{DateTime, Utc};
use uuid::{Builder, Uuid};

/// SplitMix64. Nothing here is a secret, so speed and stability are all that counts.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of one thing.
    pub(super) fn new(seed: u64, tenant: &str, kind: &str, number: u64) -> Self {
        // FNV-1a over everything that tells it from other things.
        let bytes = seed.to_le_bytes().into_iter().chain(number.to_le_bytes());
        let texts = tenant.bytes().chain([0]).chain(kind.bytes()).chain([0]);
        Self(
            bytes
                .chain(texts)
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, and 0 where `end` is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.next()) * end as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `least` to `most`.
    pub(super) fn range(&mut self, least: i64, most: i64) -> i64 {
        let width = usize::try_from(most - least + 1).unwrap_or(0);
        least + i64::try_from(self.below(width)).unwrap_or(0)
    }

    /// As [`Dice::range`], for moments.
    pub(super) fn slots(&mut self, least: u32, most: u32) -> u32 {
        u32::try_from(self.range(i64::from(least), i64::from(most))).unwrap_or(least)
    }

    /// True so many times of a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.range(0, 99) < i64::from(percent)
    }

    /// One of them.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// An id of that moment. Its random part comes from these dice.
    pub(super) fn id(&mut self, at: DateTime<Utc>) -> Uuid {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next().to_le_bytes());
        random[8..].copy_from_slice(&self.next().to_le_bytes()[..2]);
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn the_same_seed_throws_the_same_and_another_does_not() {
        let throws = |seed, kind, number| {
            let mut dice = Dice::new(seed, "acme", kind, number);
            (0..20).map(|_| dice.range(1, 1000)).collect::<Vec<_>>()
        };
        assert_eq!(throws(1, "customer", 0), throws(1, "customer", 0));
        for other in [throws(2, "customer", 0), throws(1, "contact", 0), throws(1, "customer", 1)] {
            assert_ne!(throws(1, "customer", 0), other);
        }
        // Written down, so that no release makes other data from the same seed by accident.
        assert_eq!(throws(1, "customer", 0)[..3], [191, 907, 990]);
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_them() {
        let mut dice = Dice::new(7, "acme", "bounds", 0);
        let thrown: Vec<_> = (0..1000).map(|_| dice.range(3, 7)).collect();
        assert_eq!((thrown.iter().min(), thrown.iter().max()), (Some(&3), Some(&7)));
        assert_eq!(dice.below(0), 0);
    }
}
