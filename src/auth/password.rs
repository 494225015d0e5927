//! Passwords: how they are stored, checked and judged.
//!
//! Argon2id, in PHC strings that carry their own parameters, so that parameters can be raised while old hashes still
//! verify ([`PasswordHasher::needs_rehash`] says which to renew at the next login). Hashing is made to be expensive, so
//! it runs on blocking threads, at most so many at once, and no more than a queue's worth may wait: a flood of logins
//! is told to come back and cannot eat the machine's memory.
//!
//! An address without an account costs a caller as much time as a wrong password ([`PasswordHasher::verify_unknown`]).
//!
//! A password is compared in Unicode's NFKC form, because the same keys give different code points on different
//! systems. Nothing here logs, stores or echoes a password.

use std::{sync::Arc, thread, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version, password_hash,
};
use tokio::{sync::Semaphore, task};
use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result, UserError, UserErrorCode};

/// The fewest characters of a password.
pub const MIN_LENGTH: usize = 10;
/// The most characters of a password.
pub const MAX_LENGTH: usize = 128;

/// The cost of a password, and how many may be checked at once.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// Memory for one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// Lanes of that memory.
    pub parallelism: u32,
    /// Hashes computed at the same time; 0: one for each processor.
    pub concurrency: usize,
    /// Hashes that may wait for their turn; beyond it callers are told to try again.
    pub queue: usize,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2, parallelism: 1, concurrency: 0, queue: 64 }
    }
}

/// Hashes and verifies passwords. Cheap to clone; clones share their limits.
#[derive(Clone, Debug)]
pub struct PasswordHasher {
    params: Params,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    /// The hash of nothing, with the parameters of every new hash.
    dummy: Arc<str>,
}

impl PasswordHasher {
    /// # Errors
    /// When Argon2 cannot work with the parameters.
    pub fn new(settings: &PasswordSettings) -> Result<Self> {
        let PasswordSettings { memory_kib, iterations, parallelism, concurrency, queue } = *settings;
        let params = Params::new(memory_kib, iterations, parallelism, None)
            .map_err(|error| Error::internal(format!("the password settings cannot be used: {error}")))?;
        let concurrency =
            if concurrency == 0 { thread::available_parallelism().map_or(1, Into::into) } else { concurrency };
        // No password gives 32 zero bytes, and nobody learns anything when one does.
        let dummy = format!(
            "$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${salt}${output}",
            salt = "A".repeat(22),
            output = "A".repeat(43),
        );
        Ok(Self {
            params,
            running: Arc::new(Semaphore::new(concurrency)),
            admitted: Arc::new(Semaphore::new(concurrency.saturating_add(queue).min(Semaphore::MAX_PERMITS))),
            dummy: dummy.into(),
        })
    }

    /// The password as a PHC string with a salt of its own.
    ///
    /// # Errors
    /// [`Error::Throttled`] when too many wait already.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let (argon2, password) = (self.argon2(), normalize(password));
        self.run(move || argon2.hash_password(password.as_bytes()).map(|hash: PasswordHash| hash.to_string())).await
    }

    /// Whether `stored` is a hash of the password.
    ///
    /// # Errors
    /// [`Error::Throttled`] when too many wait already; [`Error::Internal`] when `stored` is no Argon2 hash.
    pub async fn verify(&self, password: &str, stored: &str) -> Result<bool> {
        let (argon2, password, stored) = (self.argon2(), normalize(password), stored.to_owned());
        self.run(move || {
            let stored = PasswordHash::new(&stored)?;
            match argon2.verify_password(password.as_bytes(), &stored) {
                Ok(()) => Ok(true),
                Err(password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Takes as long as [`verify`](Self::verify) does for a wrong password: for addresses without an account, and for
    /// accounts without a password.
    ///
    /// # Errors
    /// [`Error::Throttled`] when too many wait already.
    pub async fn verify_unknown(&self, password: &str) -> Result<()> {
        self.verify(password, &self.dummy).await.map(|_| ())
    }

    /// Whether `stored` was made with other parameters than new hashes are.
    #[must_use]
    pub fn needs_rehash(&self, stored: &str) -> bool {
        let Ok(stored) = PasswordHash::new(stored) else { return true };
        let same = |params: Params| {
            (params.m_cost(), params.t_cost(), params.p_cost())
                == (self.params.m_cost(), self.params.t_cost(), self.params.p_cost())
        };
        stored.algorithm.as_str() != Algorithm::Argon2id.as_str()
            || stored.version != Some(Version::V0x13.into())
            || !Params::try_from(&stored).is_ok_and(same)
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
    }

    /// Runs the work on a blocking thread when its turn comes. The permits go with the work, not with the caller: work
    /// whose caller has gone away still counts until it is done.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, password_hash::Error> + Send + 'static,
    ) -> Result<T> {
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_| Error::Throttled { retry_after: Duration::from_secs(1) })?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(Error::internal)?;
        task::spawn_blocking(move || {
            let _permits = (admitted, running);
            work()
        })
        .await
        .map_err(Error::internal)?
        .map_err(|error| Error::internal(format!("password hash: {error}")))
    }
}

fn normalize(password: &str) -> String {
    password.nfkc().collect()
}

/// What speaks against a new password; nothing when it may be used. `email` is the account's address, `field` the
/// input's path for the errors.
#[must_use]
pub fn violations(password: &str, email: &str, field: &[&str]) -> Vec<UserError> {
    let password = normalize(password);
    let length = password.chars().count();
    let refuse = |code, message: String| vec![UserError::new(code, field, message)];
    if length == 0 {
        return refuse(UserErrorCode::Blank, "A password is required".to_owned());
    }
    if length < MIN_LENGTH {
        return refuse(UserErrorCode::Invalid, format!("The password must have at least {MIN_LENGTH} characters"));
    }
    if length > MAX_LENGTH {
        return refuse(UserErrorCode::TooLong, format!("The password must have at most {MAX_LENGTH} characters"));
    }
    let folded = password.to_lowercase();
    let email = normalize(email.trim()).to_lowercase();
    let name = email.split('@').next().unwrap_or_default();
    if folded == email || folded == name {
        return refuse(UserErrorCode::Invalid, "The password must not be the e-mail address".to_owned());
    }
    if is_common(&folded) {
        return refuse(UserErrorCode::Invalid, "The password is too easy to guess".to_owned());
    }
    Vec::new()
}

/// Whether the password is among the first that a guesser tries, or made of fewer than four different characters.
fn is_common(folded: &str) -> bool {
    let mut characters: Vec<char> = folded.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    characters.len() < 4 || COMMON.contains(&folded)
}

/// The commonest passwords of ten characters and more, in lower case, and what a user of this product would try first.
const COMMON: &[&str] = &[
    "0123456789",
    "01234567890",
    "0987654321",
    "1029384756",
    "1234512345",
    "123456123456",
    "1234567890",
    "1234567890a",
    "12345678900",
    "12345678901",
    "123456789012",
    "1234567891",
    "12345678910",
    "123456789123",
    "123456789a",
    "123456789q",
    "123qweasdzxc",
    "147258369a",
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u",
    "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv",
    "1qazxsw23edc",
    "3.1415926535",
    "9876543210",
    "a123456789",
    "a1b2c3d4e5",
    "abc1234567",
    "abc123456789",
    "abcd123456",
    "abcd12345678",
    "abcdefghij",
    "abcdefghijk",
    "abcdefghijkl",
    "admin12345",
    "admin123456",
    "administrator",
    "asdf123456",
    "asdfasdfasdf",
    "asdfghjkl1",
    "asdfghjkl123",
    "asdfghjkl;",
    "aa123456789",
    "baseball123",
    "basketball",
    "butterfly1",
    "changeme123",
    "changeme1234",
    "charlie123",
    "chocolate1",
    "christopher",
    "computer123",
    "correcthorsebatterystaple",
    "dragon1234",
    "football123",
    "football1234",
    "forever123",
    "iloveyou12",
    "iloveyou123",
    "iloveyou1234",
    "jennifer123",
    "letmein123",
    "letmein1234",
    "liverpool1",
    "manchester",
    "master1234",
    "michael123",
    "minecraft123",
    "monkey1234",
    "motherlode",
    "nicholas123",
    "p@ssw0rd12",
    "p@ssw0rd123",
    "p@ssw0rd1234",
    "p@ssword123",
    "passw0rd12",
    "passw0rd123",
    "passw0rd1234",
    "password!1",
    "password.1",
    "password00",
    "password01",
    "password11",
    "password12",
    "password123",
    "password123!",
    "password1234",
    "password12345",
    "password123456",
    "password1!",
    "password@1",
    "password@123",
    "passwordpassword",
    "pokemon123",
    "princess12",
    "princess123",
    "q1w2e3r4t5",
    "q1w2e3r4t5y6",
    "qazwsx1234",
    "qazwsxedc1",
    "qazwsxedcrfv",
    "qwe123qwe123",
    "qwer123456",
    "qwerasdfzxcv",
    "qwert12345",
    "qwerty1234",
    "qwerty12345",
    "qwerty123456",
    "qwerty123456789",
    "qwertyuiop",
    "qwertyuiop1",
    "qwertyuiop123",
    "qwertyuiop[]",
    "qwertyuiopasdfghjkl",
    "qwertyuiopasdfghjklzxcvbnm",
    "rapport123",
    "rapport1234",
    "rapportcrm",
    "rapportcrm123",
    "rapportrapport",
    "samantha123",
    "secret1234",
    "skywalker1",
    "starwars123",
    "strawberry",
    "summer2023!",
    "summer2024!",
    "summer2025!",
    "summer2026!",
    "sunshine12",
    "sunshine123",
    "superman123",
    "test123456",
    "test1234567",
    "testtest123",
    "trustno1234",
    "victoria123",
    "welcome123",
    "welcome123!",
    "welcome1234",
    "welcome2024",
    "welcome2025",
    "welcome2026",
    "winter2023!",
    "winter2024!",
    "winter2025!",
    "winter2026!",
    "zaq12wsxcde3",
    "zaq1xsw2cde3",
    "zxcvbnm123",
    "zxcvbnm,./",
    "zxcvbnm1234",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cheap() -> PasswordSettings {
        PasswordSettings { memory_kib: 8, iterations: 1, parallelism: 1, concurrency: 2, queue: 64 }
    }

    #[tokio::test]
    async fn a_hash_verifies_its_password_and_no_other() {
        let hasher = PasswordHasher::new(&cheap()).unwrap();
        let stored = hasher.hash("correct horse").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert_ne!(stored, hasher.hash("correct horse").await.unwrap(), "each hash has its own salt");
        assert!(hasher.verify("correct horse", &stored).await.unwrap());
        assert!(!hasher.verify("correct horsf", &stored).await.unwrap());
        assert!(!hasher.verify("", &stored).await.unwrap());
        assert!(!hasher.verify(&"x".repeat(100_000), &stored).await.unwrap());
    }

    #[tokio::test]
    async fn the_same_keys_are_the_same_password_on_every_system() {
        let hasher = PasswordHasher::new(&cheap()).unwrap();
        let stored = hasher.hash("Zürich-\u{e9}t\u{e9}").await.unwrap();
        assert!(hasher.verify("Zu\u{308}rich-e\u{301}te\u{301}", &stored).await.unwrap());
    }

    #[tokio::test]
    async fn a_broken_hash_is_our_fault_and_not_a_wrong_password() {
        let hasher = PasswordHasher::new(&cheap()).unwrap();
        for stored in
            ["", "secret", "$argon2id$v=19$m=8,t=1,p=1$", "$scrypt$ln=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAA"]
        {
            let outcome = hasher.verify("whatever it is", stored).await;
            assert!(!matches!(outcome, Ok(true)), "{stored}");
        }
        assert_eq!(hasher.verify("whatever it is", "secret").await.unwrap_err().code(), "INTERNAL_SERVER_ERROR");
    }

    #[tokio::test]
    async fn the_dummy_is_a_hash_of_the_same_cost() {
        let hasher = PasswordHasher::new(&PasswordSettings::default()).unwrap();
        assert!(!hasher.needs_rehash(&hasher.dummy));
        hasher.verify_unknown("whatever it is").await.unwrap();
        assert!(!hasher.verify("whatever it is", &hasher.dummy).await.unwrap());
    }

    #[tokio::test]
    async fn parameters_that_changed_ask_for_a_new_hash() {
        let old = PasswordHasher::new(&cheap()).unwrap();
        let new = PasswordHasher::new(&PasswordSettings { iterations: 2, ..cheap() }).unwrap();
        let stored = old.hash("correct horse").await.unwrap();
        assert!(!old.needs_rehash(&stored));
        assert!(new.needs_rehash(&stored));
        assert!(new.needs_rehash("nonsense"));
        assert!(new.needs_rehash(&stored.replace("argon2id", "argon2i")));
        assert!(new.verify("correct horse", &stored).await.unwrap(), "the old hash still opens the door");
    }

    #[tokio::test]
    async fn more_than_the_queue_holds_are_told_to_come_back() {
        let hasher = PasswordHasher::new(&PasswordSettings { concurrency: 1, queue: 1, ..cheap() }).unwrap();
        let running = Arc::clone(&hasher.running).acquire_owned().await.unwrap();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                tokio::spawn({
                    let hasher = hasher.clone();
                    async move { hasher.hash("x").await }
                })
            })
            .collect();
        while hasher.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hasher.hash("x").await.unwrap_err().code(), "THROTTLED");
        drop(running);
        for outcome in waiting {
            outcome.await.unwrap().unwrap();
        }
        hasher.hash("x").await.unwrap();
        assert_eq!(hasher.running.available_permits(), 1);
        assert_eq!(hasher.admitted.available_permits(), 2);
    }

    #[test]
    fn impossible_parameters_are_refused() {
        assert!(PasswordHasher::new(&PasswordSettings { memory_kib: 1, ..cheap() }).is_err());
        assert!(PasswordHasher::new(&PasswordSettings { iterations: 0, ..cheap() }).is_err());
        assert!(PasswordHasher::new(&PasswordSettings { queue: usize::MAX, ..cheap() }).is_ok());
    }

    #[test]
    fn settings_have_defaults() {
        let settings: PasswordSettings = serde_json::from_str(r#"{"iterations": 3}"#).unwrap();
        assert_eq!(settings, PasswordSettings { iterations: 3, ..PasswordSettings::default() });
        assert!(serde_json::from_str::<PasswordSettings>(r#"{"iteration": 3}"#).is_err());
    }

    #[test]
    fn the_policy() {
        let code = |password: &str| {
            let found = violations(password, "Ada.Lovelace@Acme.example", &["input", "password"]);
            assert!(found.iter().all(|error| error.field == Some(vec!["input".to_owned(), "password".to_owned()])));
            found.first().map(|error| error.code)
        };
        assert_eq!(code(""), Some(UserErrorCode::Blank));
        assert_eq!(code("short-one"), Some(UserErrorCode::Invalid));
        assert_eq!(code("longer-one"), None);
        assert_eq!(code(&"ab€c".repeat(32)), None);
        assert_eq!(code(&("ab€c".repeat(32) + "x")), Some(UserErrorCode::TooLong));
        assert_eq!(code("ADA.lovelace@acme.example"), Some(UserErrorCode::Invalid));
        assert_eq!(code("ada.LOVELACE"), Some(UserErrorCode::Invalid));
        assert_eq!(code("Password123"), Some(UserErrorCode::Invalid));
        assert_eq!(code("abababababab"), Some(UserErrorCode::Invalid));
        assert_eq!(code("ada.lovelace's horse"), None);
    }

    #[test]
    fn the_list_holds_only_what_the_other_rules_let_through() {
        for common in COMMON {
            assert!(common.chars().count() >= MIN_LENGTH, "{common} is too short to matter");
            assert_eq!(*common, common.to_lowercase());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(password in ".{0,200}", email in ".{0,60}") {
            let found = violations(&password, &email, &["password"]);
            prop_assert!(found.len() <= 1);
            let length = normalize(&password).chars().count();
            prop_assert!(!found.is_empty() || (MIN_LENGTH..=MAX_LENGTH).contains(&length));
        }
    }
}
