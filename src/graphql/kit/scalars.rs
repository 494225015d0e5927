//! The scalars and value types of the API.

use async_graphql::{InputObject, InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value};
use iso_currency::Currency;
use rust_decimal::Decimal as Number;
use serde::{Deserialize, Deserializer};

use crate::data::money;

/// A decimal number as text, such as `"12.34"`, so that no digit is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decimal(pub Number);

/// A decimal number as text, such as `"12.34"`, so that no digit is lost. A JSON number is taken as well.
#[Scalar]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(InputValueError::expected_type(value)),
        };
        text.parse().map(Self).map_err(|_| InputValueError::custom("expected a decimal number such as \"12.34\""))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// Reads a number that is stored as whole units of its last decimal; for `#[serde(deserialize_with)]`.
///
/// # Errors
/// When it is no whole number.
pub fn units<'de, const DECIMALS: u32, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let units = i64::deserialize(deserializer)?;
    Ok(Decimal(Number::from_i128_with_scale(i128::from(units), DECIMALS)))
}

/// As [`units`], for a number that may be missing.
///
/// # Errors
/// When it is no whole number.
pub fn units_or_none<'de, const DECIMALS: u32, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Decimal>, D::Error> {
    let units = Option::<i64>::deserialize(deserializer)?;
    Ok(units.map(|units| Decimal(Number::from_i128_with_scale(i128::from(units), DECIMALS))))
}

/// A day, `YYYY-MM-DD` (RFC 3339 full-date).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Date(pub chrono::NaiveDate);

/// A day, `YYYY-MM-DD` (RFC 3339 full-date).
#[Scalar]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) if text.len() == 10 => {
                text.parse().map(Self).map_err(|_| InputValueError::custom("expected a day such as \"2026-01-31\""))
            }
            _ => Err(InputValueError::custom("expected a day such as \"2026-01-31\"")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

macro_rules! text_scalar {
    ($(#[$doc:meta])* $name:ident $(($($option:tt)*))?, $check:expr, $refusal:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        pub struct $name(pub String);

        $(#[$doc])*
        #[Scalar $(($($option)*))?]
        impl ScalarType for $name {
            fn parse(value: Value) -> InputValueResult<Self> {
                let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
                let check: fn(&str) -> Option<String> = $check;
                check(text.trim()).map(Self).ok_or_else(|| InputValueError::custom($refusal))
            }

            fn to_value(&self) -> Value {
                Value::String(self.0.clone())
            }
        }
    };
}

text_scalar! {
    /// A currency's code, ISO 4217, such as `EUR`.
    CurrencyCode,
    |text| money::currency(text).map(|currency| currency.code().to_owned()),
    "expected an ISO 4217 currency code such as EUR"
}

// The form of these three is checked where they are written, together with everything else that a user can mend, so
// that a form on a screen gets all its mistakes at once. As scalars they say what a text is.
text_scalar! {
    /// An e-mail address.
    EmailAddress, |text| Some(text.to_owned()), "expected an e-mail address"
}
text_scalar! {
    /// A phone number, E.164: `+` and up to 15 digits. Spaces and other separators are dropped.
    PhoneNumber, |text| Some(text.to_owned()), "expected a phone number"
}
text_scalar! {
    /// An absolute http or https URL.
    URL(name = "URL"), |text| Some(text.to_owned()), "expected a URL"
}

/// An amount of money.
#[derive(Clone, Debug, Default, PartialEq, Eq, SimpleObject)]
#[graphql(shareable)]
pub struct Money {
    /// The amount in major units, with the currency's number of decimals.
    pub amount: Decimal,
    /// The currency.
    pub currency: CurrencyCode,
}

impl Money {
    /// An amount in minor units of a currency; `None` when there is no such currency.
    #[must_use]
    pub fn of(minor: i64, code: &str) -> Option<Self> {
        let currency = money::currency(code)?;
        let amount = Decimal(money::Money { minor, currency }.major());
        Some(Self { amount, currency: CurrencyCode(code.to_owned()) })
    }
}

impl Money {
    /// A total in minor units of a currency, which may be larger than a single amount; `None` when there is no such
    /// currency, or the total has more than 28 digits.
    #[must_use]
    pub fn of_total(minor: i128, code: &str) -> Option<Self> {
        let exponent = money::exponent(money::currency(code)?);
        let amount = Decimal(Number::try_from_i128_with_scale(minor, exponent).ok()?);
        Some(Self { amount, currency: CurrencyCode(code.to_owned()) })
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Stored {
            minor: i64,
            currency: String,
        }
        let Stored { minor, currency } = Stored::deserialize(deserializer)?;
        Self::of(minor, &currency).ok_or_else(|| serde::de::Error::custom("an amount without a currency"))
    }
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, InputObject)]
pub struct MoneyInput {
    /// The amount in major units, such as `"12.34"`; no more decimals than the currency has.
    pub amount: Decimal,
    /// The currency.
    pub currency: CurrencyCode,
}

impl MoneyInput {
    /// The amount in minor units, and the currency's code.
    ///
    /// # Errors
    /// A message for people when the amount does not fit the currency.
    pub fn minor(&self) -> Result<(i64, String), String> {
        let currency: Currency = money::currency(&self.currency.0).ok_or("there is no such currency")?;
        Ok((money::Money::from_major(self.amount.0, currency)?.minor, currency.code().to_owned()))
    }
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq, SimpleObject)]
#[graphql(shareable)]
pub struct Address {
    /// Street and number.
    pub street: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// State, province or region.
    pub region: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Country.
    pub country: Option<String>,
}

/// A postal address. It replaces the whole address: parts that are left out are cleared.
#[derive(Clone, Debug, Default, InputObject)]
pub struct AddressInput {
    /// Street and number.
    pub street: Option<String>,
    /// Town.
    pub city: Option<String>,
    /// State, province or region.
    pub region: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Country.
    pub country: Option<String>,
}
