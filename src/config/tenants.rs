//! `[tenants]`: what a new tenant starts with.

use serde::Deserialize;

use super::problem::Problem;

/// What a new tenant starts with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenants {
    /// The base currency, as an ISO 4217 code.
    pub base_currency: String,
    /// The time zone, by its IANA name.
    pub time_zone: String,
    /// Language and region, as a BCP 47 tag.
    pub locale: String,
}

impl Tenants {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if iso_currency::Currency::from_code(&self.base_currency).is_none() {
            problems.push(Problem::new(
                "tenants.base_currency",
                format!("`{}` is not a currency of ISO 4217", self.base_currency),
                "Write three capital letters, such as USD or EUR.",
            ));
        }
        for (setting, value, example) in [
            ("tenants.time_zone", &self.time_zone, "Write for example \"UTC\" or \"Europe/Vienna\"."),
            ("tenants.locale", &self.locale, "Write for example \"en\" or \"de-AT\"."),
        ] {
            let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
            if value.is_empty() || !value.chars().all(usable) {
                problems.push(Problem::new(setting, format!("`{value}` cannot be used"), example));
            }
        }
    }
}
