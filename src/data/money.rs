//! Amounts of money: whole minor units of an ISO 4217 currency, never a float. And other exact numbers: whole units of
//! their last decimal.

use std::str::FromStr;

use iso_currency::Currency;
use rust_decimal::Decimal;

/// An amount in minor units (cents, for most currencies) and its currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// The amount in minor units of the currency.
    pub minor: i64,
    /// The currency, ISO 4217.
    pub currency: Currency,
}

impl Money {
    /// An amount given in major units, such as 12.34.
    ///
    /// # Errors
    /// A sentence for people, when the amount has more decimals than the currency or is too large.
    pub fn from_major(amount: Decimal, currency: Currency) -> Result<Self, String> {
        let decimals = exponent(currency);
        match units(amount, decimals) {
            Ok(minor) => Ok(Self { minor, currency }),
            Err(Unfit::Decimals) => Err(format!("{} has {decimals} decimals", currency.code())),
            Err(Unfit::Size) => Err("the amount is too large".to_owned()),
        }
    }

    /// The amount in major units, with the currency's number of decimals.
    #[must_use]
    pub fn major(&self) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(self.minor), exponent(self.currency))
    }
}

/// Why a number does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has too many decimals.
    Decimals,
    /// It is too large.
    Size,
}

/// A number as whole units of its last decimal: 2.5 with three decimals is 2500.
///
/// # Errors
/// Why it does not fit.
pub fn units(number: Decimal, decimals: u32) -> Result<i64, Unfit> {
    let units = number.checked_mul(Decimal::from(10u64.pow(decimals))).ok_or(Unfit::Size)?;
    if !units.fract().is_zero() {
        return Err(Unfit::Decimals);
    }
    let units = units.trunc();
    i64::try_from(units.mantissa() / 10i128.pow(units.scale())).map_err(|_| Unfit::Size)
}

/// How many decimals a currency has.
#[must_use]
pub fn exponent(currency: Currency) -> u32 {
    u32::from(currency.exponent().unwrap_or(0))
}

/// The currency of an ISO 4217 code.
#[must_use]
pub fn currency(code: &str) -> Option<Currency> {
    Currency::from_str(code).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_follow_the_currency() {
        let money = |amount: &str, code: &str| {
            Money::from_major(amount.parse().unwrap(), currency(code).unwrap()).map(|money| money.minor)
        };
        assert_eq!(money("12.34", "EUR"), Ok(1234));
        assert_eq!(money("12.3400", "EUR"), Ok(1234));
        assert_eq!(money("12", "JPY"), Ok(12));
        assert_eq!(money("1.234", "KWD"), Ok(1234));
        assert_eq!(money("-0.01", "USD"), Ok(-1));
        assert_eq!(money("12.345", "EUR"), Err("EUR has 2 decimals".to_owned()));
        assert!(money("92233720368547758.08", "USD").is_err());
    }

    proptest! {
        #[test]
        fn every_amount_survives(minor: i64) {
            for code in ["USD", "JPY", "KWD"] {
                let money = Money { minor, currency: currency(code).unwrap() };
                prop_assert_eq!(Money::from_major(money.major(), money.currency), Ok(money));
            }
        }
    }
}
