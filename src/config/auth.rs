//! `[auth]`: sessions, passwords, throttling, and the secret that signs access tokens.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    problem::Problem,
    value::{Secret, duration, optional, optional_secret},
};

/// What to do about a secret that is missing or weak.
const MEND_SECRET: &str = "Make one with `openssl rand -base64 48` and give it in that variable, or in a file named by \
                           auth.secret_file (RAPPORT_AUTH__SECRET_FILE).";

/// What to do about a sealing secret that is weak.
const MEND_SEALING: &str = "Put a new one, made with `openssl rand -base64 48`, before it.";

/// The least memory of a password hash that a server accepts (OWASP's smallest recommended setting), in KiB.
const LEAST_SERVING_MEMORY_KIB: u32 = 7168;

/// Sessions, passwords and throttling.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The secret that signs access tokens; from the environment or from [`Auth::secret_file`].
    #[serde(deserialize_with = "optional_secret")]
    pub secret: Option<Secret>,
    /// The file that the secret was read from.
    #[serde(deserialize_with = "optional_path")]
    pub secret_file: Option<PathBuf>,
    /// The secrets that other secrets are sealed with, the newest first; [`Auth::sealing`] answers those that count.
    pub sealing_secrets: Vec<Secret>,
    /// The file that they were read from.
    #[serde(deserialize_with = "optional_path")]
    pub sealing_secrets_file: Option<PathBuf>,
    /// The claim `iss` of access tokens.
    pub issuer: String,
    /// The claim `aud` of access tokens.
    pub audience: String,
    /// How many minutes an access token is good for.
    pub access_token_minutes: u32,
    /// How many days a session lives without being used.
    pub refresh_token_days: u32,
    /// Anyone may register a new tenant.
    pub registration: bool,
    /// Argon2id: memory in KiB.
    pub argon2_memory_kib: u32,
    /// Argon2id: passes.
    pub argon2_iterations: u32,
    /// Argon2id: lanes.
    pub argon2_parallelism: u32,
    /// How many passwords are hashed at the same time; 0: one for each core.
    pub max_concurrent_hashes: usize,
    /// The time in which failed logins are counted.
    #[serde(deserialize_with = "duration")]
    pub throttle_window: Duration,
    /// Failed logins at one account from one client address within the window.
    pub throttle_attempts_per_account: u32,
    /// Failed logins from one client address within the window.
    pub throttle_attempts_per_address: u32,
}

fn optional_path<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(optional(deserializer)?.map(PathBuf::from))
}

impl Auth {
    /// How long an access token is good for.
    #[must_use]
    pub fn access_token_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.access_token_minutes) * 60)
    }

    /// How long a session lives without being used.
    #[must_use]
    pub fn refresh_token_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.refresh_token_days) * 86_400)
    }

    /// The secrets that other secrets are sealed with, the newest first: those that were set for it, else the one that
    /// signs access tokens.
    pub fn sealing(&self) -> impl Iterator<Item = &Secret> {
        let own = self.sealing_secrets.is_empty().then_some(self.secret.as_ref()).flatten();
        self.sealing_secrets.iter().chain(own)
    }

    /// Reads the files of the secrets, where there are any.
    pub(super) fn read_secret_files(&mut self) -> Result<(), Problem> {
        self.read_secret_file()?;
        let Some(file) = &self.sealing_secrets_file else { return Ok(()) };
        let problem = |message: String, mend: &str| Problem::new("auth.sealing_secrets_file", message, mend);
        if !self.sealing_secrets.is_empty() {
            return Err(problem(
                "is given besides auth.sealing_secrets, and only one of them can count".to_owned(),
                "Take one of RAPPORT_AUTH__SEALING_SECRETS and RAPPORT_AUTH__SEALING_SECRETS_FILE away.",
            ));
        }
        let text = std::fs::read_to_string(file).map_err(|error| {
            problem(
                format!("{} cannot be read: {error}", file.display()),
                "The file must exist, hold one secret on each line, and be readable by the user that runs rapport.",
            )
        })?;
        self.sealing_secrets = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Secret::new).collect();
        if self.sealing_secrets.is_empty() {
            return Err(problem(
                format!("{} holds no secret", file.display()),
                "Write one on each line, the newest first.",
            ));
        }
        Ok(())
    }

    fn read_secret_file(&mut self) -> Result<(), Problem> {
        let Some(file) = &self.secret_file else { return Ok(()) };
        let problem = |message: String, mend: &str| Problem::new("auth.secret_file", message, mend);
        if self.secret.is_some() {
            return Err(problem(
                "is given besides auth.secret, and only one of them can count".to_owned(),
                "Take one of RAPPORT_AUTH__SECRET and RAPPORT_AUTH__SECRET_FILE away.",
            ));
        }
        let text = std::fs::read_to_string(file).map_err(|error| {
            problem(
                format!("{} cannot be read: {error}", file.display()),
                "The file must exist, hold only the secret, and be readable by the user that runs rapport.",
            )
        })?;
        self.secret = Some(Secret::new(text.trim_end_matches(['\n', '\r'])));
        Ok(())
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        for (setting, value) in [("auth.issuer", &self.issuer), ("auth.audience", &self.audience)] {
            if value.trim().is_empty() {
                problems.push(Problem::new(setting, "is empty", "Write for example \"rapport\"."));
            }
        }
        let mut range = |setting, value: u32, least: u32, most: u32, unit| {
            if !(least..=most).contains(&value) {
                problems.push(Problem::new(
                    setting,
                    format!("is {value}"),
                    format!("It must be from {least} to {most} {unit}."),
                ));
            }
        };
        range("auth.access_token_minutes", self.access_token_minutes, 1, 1440, "minutes");
        range("auth.refresh_token_days", self.refresh_token_days, 1, 365, "days");
        range("auth.argon2_iterations", self.argon2_iterations, 1, 100, "passes");
        range("auth.argon2_parallelism", self.argon2_parallelism, 1, 64, "lanes");
        let least_memory = self.argon2_parallelism.clamp(1, 64) * 8;
        range("auth.argon2_memory_kib", self.argon2_memory_kib, least_memory, 4_194_304, "KiB");
        range("auth.throttle_attempts_per_account", self.throttle_attempts_per_account, 1, 1_000_000, "attempts");
        range("auth.throttle_attempts_per_address", self.throttle_attempts_per_address, 1, 1_000_000, "attempts");
        if self.throttle_window.is_zero() {
            problems.push(Problem::new(
                "auth.throttle_window",
                "must be more than nothing",
                "Write for example \"15m\".",
            ));
        }
    }

    pub(super) fn check_serving(&self, problems: &mut Vec<Problem>) {
        match &self.secret {
            None => problems.push(Problem::new("auth.secret", "is not set", MEND_SECRET)),
            Some(secret) => {
                if let Some(weakness) = weakness(secret.expose()) {
                    problems.push(Problem::new("auth.secret", weakness, MEND_SECRET));
                }
            }
        }
        for secret in &self.sealing_secrets {
            if let Some(weakness) = weakness(secret.expose()) {
                problems.push(Problem::new("auth.sealing_secrets", format!("holds one that {weakness}"), MEND_SEALING));
            }
        }
        if self.argon2_memory_kib < LEAST_SERVING_MEMORY_KIB {
            problems.push(Problem::new(
                "auth.argon2_memory_kib",
                format!("is {}: password hashes this cheap do not hold when they are stolen", self.argon2_memory_kib),
                "Use the default, 19456.",
            ));
        }
    }
}

/// Why a secret does not hold, if it does not. It finds what people type and copy, not everything that is guessable.
pub(super) fn weakness(secret: &str) -> Option<String> {
    let bytes = secret.as_bytes();
    if bytes.len() < 32 {
        return Some(format!("is too short: {} bytes, at least 32 are needed", bytes.len()));
    }
    let lower = secret.to_lowercase();
    let placeholders =
        ["change", "secret", "password", "example", "placeholder", "default", "your-", "your_", "insecure"];
    if let Some(word) = placeholders.iter().find(|word| lower.contains(*word)) {
        return Some(format!("looks like a placeholder (it contains \"{word}\")"));
    }
    if bytes.iter().collect::<BTreeSet<_>>().len() < 10 {
        return Some("has fewer than 10 different characters".to_owned());
    }
    if (1..=bytes.len() / 2).any(|period| bytes.iter().skip(period).zip(bytes).all(|(later, earlier)| later == earlier))
    {
        return Some("repeats itself".to_owned());
    }
    let in_order = bytes.windows(2).filter(|pair| matches!(pair, [a, b] if b.wrapping_sub(*a) == 1)).count();
    if in_order * 2 > bytes.len() {
        return Some("is mostly characters in their order".to_owned());
    }
    None
}
