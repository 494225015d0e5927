//! Slows guessing down: so many failed logins from one address, and so many at one account from one address.
//!
//! An attempt is charged before the password is looked at and given back when it succeeds, so that a thousand attempts
//! at once cannot all slip in before the first of them has failed. Both budgets refill with time, and a caller who has
//! used one up is told when to come back.
//!
//! Nobody can lock somebody else out: failures at an account count for the address they came from, and a person at
//! another address is not delayed. What does not exist is throttled like what does, by the text of the address given.
//!
//! The memory is bounded: the least recently seen are forgotten first. It is kept in this process, so each node counts
//! for itself and a restart forgets. Keys are hashed with a random key of the process and hold no personal data.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;

use crate::{
    clock::Clock,
    error::{Error, Result},
};

/// How many failures are free, and how fast they are forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many attempts may come at once.
    pub burst: u32,
    /// After how many seconds one more is allowed; 0: there is no limit.
    pub interval_seconds: u32,
}

/// The budgets of logins.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThrottleSettings {
    /// Failures at one account from one address.
    pub account: Limit,
    /// Failures from one address, at whatever account. An office may share one address.
    pub address: Limit,
    /// How many accounts and addresses are remembered at most.
    pub capacity: usize,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self {
            account: Limit { burst: 10, interval_seconds: 90 },
            address: Limit { burst: 100, interval_seconds: 9 },
            capacity: 100_000,
        }
    }
}

/// A budget for each key, refilled evenly; what it remembers of a key is one time.
#[derive(Debug)]
pub struct RateLimiter {
    clock: Clock,
    /// How much may be taken at once.
    burst: i64,
    /// After how many microseconds one more may be taken; 0: there is no limit.
    interval: i64,
    hasher: RandomState,
    /// For each key, when its budget will be full again, in microseconds since 1970.
    full_at: Mutex<LruCache<u64, i64>>,
}

impl RateLimiter {
    /// A limiter that remembers at most `capacity` keys.
    #[must_use]
    pub fn new(clock: Clock, limit: Limit, capacity: usize) -> Self {
        Self::with(clock, limit.burst, i64::from(limit.interval_seconds) * 1_000_000, capacity)
    }

    /// A limiter of points: each key may spend `burst` at once, and gets `per_second` back; 0: there is no limit.
    #[must_use]
    pub fn of_points(clock: Clock, burst: u32, per_second: u32, capacity: usize) -> Self {
        Self::with(clock, burst, 1_000_000_i64.checked_div(i64::from(per_second)).unwrap_or(0), capacity)
    }

    fn with(clock: Clock, burst: u32, interval: i64, capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        let full_at = Mutex::new(LruCache::sparse(capacity));
        Self { clock, burst: i64::from(burst.max(1)), interval, hasher: RandomState::new(), full_at }
    }

    /// Takes one from the key's budget.
    ///
    /// # Errors
    /// [`Error::Throttled`] when the budget is used up; nothing is taken then.
    pub fn take(&self, key: impl Hash) -> Result<()> {
        self.take_many(key, 1).map(|_| ())
    }

    /// Takes so many from the key's budget; answers how many are left, or none where there is no limit.
    ///
    /// # Errors
    /// [`Error::Throttled`] when the budget does not suffice; nothing is taken then.
    pub fn take_many(&self, key: impl Hash, count: u32) -> Result<Option<u64>> {
        if self.interval == 0 {
            return Ok(None);
        }
        let key = self.hasher.hash_one(key);
        let now = self.now();
        let mut full_at = self.lock();
        let next = full_at.get(&key).copied().unwrap_or(now).max(now) + self.interval * i64::from(count);
        let left = self.interval * self.burst - (next - now);
        if left < 0 {
            return Err(Error::Throttled { retry_after: Duration::from_micros(left.unsigned_abs()) });
        }
        full_at.put(key, next);
        Ok(Some(left.unsigned_abs() / self.interval.unsigned_abs()))
    }

    /// Gives back one that was taken.
    pub fn give_back(&self, key: impl Hash) {
        let interval = self.interval;
        if let Some(full_at) = self.lock().get_mut(&self.hasher.hash_one(key)) {
            *full_at -= interval;
        }
    }

    /// Fills the key's budget.
    pub fn reset(&self, key: impl Hash) {
        self.lock().pop(&self.hasher.hash_one(key));
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp_micros()
    }

    /// Nothing that holds the lock can leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, LruCache<u64, i64>> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Throttles logins. Cheap to clone; clones share their budgets.
#[derive(Clone, Debug)]
pub struct LoginThrottle(Arc<Limiters>);

#[derive(Debug)]
struct Limiters {
    pair: RateLimiter,
    address: RateLimiter,
}

impl LoginThrottle {
    /// A throttle in which nothing has failed yet.
    #[must_use]
    pub fn new(settings: &ThrottleSettings, clock: Clock) -> Self {
        let ThrottleSettings { account, address, capacity } = *settings;
        Self(Arc::new(Limiters {
            pair: RateLimiter::new(clock.clone(), account, capacity),
            address: RateLimiter::new(clock, address, capacity),
        }))
    }

    /// Begins an attempt to log in to `account` (the folded e-mail address as given, whether it exists or not). It
    /// counts as failed until it is said to have [`succeeded`](Attempt::succeeded).
    ///
    /// # Errors
    /// [`Error::Throttled`] when this address has failed too often, at this account or at all.
    pub fn check(&self, account: &str, address: IpAddr) -> Result<Attempt> {
        let network = network(address);
        let attempt = Attempt { limiters: Arc::clone(&self.0), account: account.to_owned(), network };
        self.0.address.take(network)?;
        if let Err(throttled) = self.0.pair.take((account, network)) {
            self.0.address.give_back(network);
            return Err(throttled);
        }
        Ok(attempt)
    }
}

/// An attempt to log in, which counts as failed until it is said not to have.
#[derive(Debug)]
#[must_use = "an attempt that is dropped counts as failed"]
pub struct Attempt {
    limiters: Arc<Limiters>,
    account: String,
    network: IpAddr,
}

impl Attempt {
    /// The password was right: what this address failed at this account is forgotten.
    pub fn succeeded(self) {
        self.limiters.pair.reset((self.account.as_str(), self.network));
        self.limiters.address.give_back(self.network);
    }

    /// The password was wrong, or there is no such account.
    pub fn failed(self) {}

    /// The password was not looked at, because something of ours failed: the attempt does not count.
    pub fn cancelled(self) {
        self.limiters.pair.give_back((self.account.as_str(), self.network));
        self.limiters.address.give_back(self.network);
    }
}

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 address, which is one customer's.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    const ADA: &str = "ada@acme.example";

    fn throttle(account: Limit, address: Limit) -> (LoginThrottle, Clock) {
        let clock = Clock::system();
        (LoginThrottle::new(&ThrottleSettings { account, address, capacity: 1_000 }, clock.clone()), clock)
    }

    fn strict() -> (LoginThrottle, Clock) {
        throttle(Limit { burst: 3, interval_seconds: 60 }, Limit { burst: 10, interval_seconds: 60 })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn retry_after<T>(outcome: Result<T>) -> u64 {
        match outcome.map(|_| ()).unwrap_err() {
            Error::Throttled { retry_after } => retry_after.as_secs_f64().ceil() as u64,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn failures_slow_one_account_down_for_one_address() {
        let (throttle, clock) = strict();
        for _ in 0..3 {
            throttle.check(ADA, ip("192.0.2.1")).unwrap().failed();
        }
        let seconds = retry_after(throttle.check(ADA, ip("192.0.2.1")));
        assert!((55..=60).contains(&seconds), "{seconds}");
        throttle.check(ADA, ip("192.0.2.2")).unwrap().failed();
        throttle.check("bob@acme.example", ip("192.0.2.1")).unwrap().failed();

        clock.advance(TimeDelta::seconds(61));
        throttle.check(ADA, ip("192.0.2.1")).unwrap().failed();
        assert!(throttle.check(ADA, ip("192.0.2.1")).is_err(), "one a minute");
        clock.advance(TimeDelta::hours(1));
        for _ in 0..3 {
            throttle.check(ADA, ip("192.0.2.1")).unwrap().failed();
        }
        assert!(throttle.check(ADA, ip("192.0.2.1")).is_err(), "a long pause gives no more than the burst");
    }

    #[test]
    fn an_address_that_tries_many_accounts_is_slowed_down_at_all_of_them() {
        let (throttle, _) = strict();
        for n in 0..10 {
            throttle.check(&format!("user{n}@acme.example"), ip("192.0.2.1")).unwrap().failed();
        }
        assert!(throttle.check("user10@acme.example", ip("192.0.2.1")).is_err());
        throttle.check("user10@acme.example", ip("192.0.2.2")).unwrap().failed();
    }

    #[test]
    fn success_forgets_the_failures_at_this_account_but_not_at_others() {
        let (throttle, _) = strict();
        for _ in 0..4 {
            throttle.check(ADA, ip("192.0.2.1")).unwrap().failed();
            throttle.check(ADA, ip("192.0.2.1")).unwrap().failed();
            throttle.check(ADA, ip("192.0.2.1")).unwrap().succeeded();
        }
        // Eight failures of the address are still there: its own account does not buy a guesser more guesses.
        throttle.check("x@acme.example", ip("192.0.2.1")).unwrap().failed();
        throttle.check("y@acme.example", ip("192.0.2.1")).unwrap().failed();
        assert!(throttle.check("z@acme.example", ip("192.0.2.1")).is_err());
    }

    #[test]
    fn attempts_at_the_same_time_are_counted_before_any_has_failed() {
        let (throttle, _) = strict();
        let under_way: Vec<_> = (0..100).filter_map(|_| throttle.check(ADA, ip("192.0.2.1")).ok()).collect();
        assert_eq!(under_way.len(), 3);
        drop(under_way);
        assert!(throttle.check(ADA, ip("192.0.2.1")).is_err(), "what is dropped has failed");
    }

    #[test]
    fn our_own_failures_do_not_count() {
        let (throttle, _) = strict();
        for _ in 0..100 {
            throttle.check(ADA, ip("192.0.2.1")).unwrap().cancelled();
        }
    }

    #[test]
    fn being_refused_costs_nothing_more() {
        let (throttle, clock) = strict();
        for _ in 0..3 {
            throttle.check(ADA, ip("192.0.2.1")).unwrap().failed();
        }
        for _ in 0..1_000 {
            assert!(throttle.check(ADA, ip("192.0.2.1")).is_err());
        }
        throttle.check("bob@acme.example", ip("192.0.2.1")).unwrap().failed();
        clock.advance(TimeDelta::seconds(61));
        throttle.check(ADA, ip("192.0.2.1")).unwrap().failed();
    }

    #[test]
    fn an_ipv6_customer_is_one_address_and_a_mapped_ipv4_address_is_itself() {
        assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), network(ip("2001:db8:1:2:ffff::1")));
        assert_ne!(network(ip("2001:db8:1:2::")), network(ip("2001:db8:1:3::")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_ne!(network(ip("::ffff:192.0.2.1")), network(ip("::ffff:192.0.2.2")));
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = RateLimiter::new(Clock::system(), Limit { burst: 1, interval_seconds: 60 }, 10);
        for key in 0..1_000 {
            limiter.take(key).unwrap();
        }
        assert_eq!(limiter.lock().len(), 10);
        assert!(limiter.take(999).is_err(), "the latest are remembered");
        limiter.take(0).unwrap();
    }

    #[test]
    fn settings_have_defaults() {
        let settings: ThrottleSettings = serde_json::from_str(r#"{"capacity": 7}"#).unwrap();
        assert_eq!(settings, ThrottleSettings { capacity: 7, ..ThrottleSettings::default() });
    }

    proptest! {
        /// Over any course of time, a key gets at most its burst and one more for each interval that passed; and who
        /// waits as long as told is let in.
        #[test]
        fn no_course_of_events_gets_more_than_the_limit(
            burst in 1_u32..6,
            interval in 1_u32..100,
            steps in prop::collection::vec((0_i64..200, any::<bool>()), 1..60),
        ) {
            let clock = Clock::system();
            let limiter = RateLimiter::new(clock.clone(), Limit { burst, interval_seconds: interval }, 10);
            let start = clock.now();
            let mut taken = 0;
            for (wait, obey) in steps {
                clock.advance(TimeDelta::seconds(wait));
                match limiter.take("key") {
                    Ok(()) => taken += 1,
                    Err(Error::Throttled { retry_after }) => {
                        prop_assert!(retry_after <= Duration::from_secs(u64::from(interval)));
                        if obey {
                            clock.advance(TimeDelta::from_std(retry_after).unwrap());
                            prop_assert!(limiter.take("key").is_ok());
                            taken += 1;
                        }
                    }
                    Err(other) => panic!("{other:?}"),
                }
                let passed = (clock.now() - start).num_seconds() / i64::from(interval);
                prop_assert!(taken <= i64::from(burst) + passed + 1);
            }
        }
    }
}
