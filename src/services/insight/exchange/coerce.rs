//! Texts of a file as values of columns.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SubsecRound, Utc};
use entity::record::{Column, Kind};
use iso_currency::Currency;
use sea_orm::Value;
use serde_json::Value as Json;

use super::filter::number;
use crate::{
    condition::fold::fold,
    data::{
        ids,
        money::{self, Money, Unfit},
    },
    error::UserErrorCode,
};

/// Why a text is no value of a column.
pub type Refusal = (UserErrorCode, String);

/// The value of a column from a text that is not empty. `named` are the values that it can have, where they have
/// names; `currency` is that of the row's amounts.
///
/// # Errors
/// The code and a sentence for people.
pub fn value(
    column: &Column,
    text: &str,
    named: Option<&[String]>,
    currency: Option<Currency>,
) -> Result<Value, Refusal> {
    let invalid = |message: String| (UserErrorCode::Invalid, message);
    Ok(match column.kind {
        Kind::Text => match named {
            Some(names) => one_of(text, names).map_err(invalid)?.into(),
            None => text.into(),
        },
        Kind::Int => {
            let whole = number(text).filter(|number| number.fract().is_zero()).map(|number| number.trunc().normalize());
            let whole = whole.ok_or_else(|| invalid(format!("\"{text}\" is no whole number")))?;
            whole.to_string().parse::<i64>().map_err(|_| invalid(format!("\"{text}\" is too much")))?.into()
        }
        Kind::Money => {
            let amount = number(text).ok_or_else(|| invalid(format!("\"{text}\" is no amount")))?;
            let currency = currency.ok_or_else(|| (UserErrorCode::Blank, "an amount needs a currency".to_owned()))?;
            Money::from_major(amount, currency).map_err(invalid)?.minor.into()
        }
        Kind::Decimal(decimals) => {
            let number = number(text).ok_or_else(|| invalid(format!("\"{text}\" is no number")))?;
            let units = money::units(number, decimals).map_err(|unfit| match unfit {
                Unfit::Decimals => invalid(format!("\"{text}\" has more than {decimals} decimals")),
                Unfit::Size => invalid(format!("\"{text}\" is too much")),
            })?;
            units.into()
        }
        Kind::Bool => match fold(text).as_str() {
            "true" | "yes" | "y" | "1" | "on" => true.into(),
            "false" | "no" | "n" | "0" | "off" => false.into(),
            _ => return Err(invalid(format!("\"{text}\" is neither true nor false"))),
        },
        Kind::Date => match moment(text) {
            Some(at) => at.date_naive().into(),
            None => return Err(invalid(no_date(text))),
        },
        Kind::Time => moment(text).ok_or_else(|| invalid(no_date(text)))?.into(),
        Kind::Json => Value::Json(Some(Box::new(list(text)))),
        Kind::Uuid => return Err(invalid(format!("\"{text}\" names no record"))),
    })
}

fn no_date(text: &str) -> String {
    format!("\"{text}\" is no date such as 2016-10-20; say how it is written, as in: date %d-%m-%Y")
}

/// A moment in ISO 8601: a date (midnight UTC), with or without a time and a zone.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let at = if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        at.to_utc()
    } else if let Ok(day) = text.parse::<NaiveDate>() {
        day.and_time(NaiveTime::MIN).and_utc()
    } else {
        text.replacen(' ', "T", 1).parse::<chrono::NaiveDateTime>().ok()?.and_utc()
    };
    (1..=9999).contains(&at.year()).then(|| at.trunc_subsecs(6))
}

/// Names are compared without regard to case, and with spaces and hyphens as underscores.
fn one_of(text: &str, names: &[String]) -> Result<String, String> {
    let wanted = fold(text).to_uppercase().replace([' ', '-'], "_");
    match names.iter().find(|name| **name == wanted) {
        Some(name) => Ok(name.clone()),
        None => Err(format!("\"{text}\" is none of {}", names.join(", "))),
    }
}

/// A list: a JSON array, or values between semicolons or commas.
fn list(text: &str) -> Json {
    if let Ok(Json::Array(items)) = serde_json::from_str(text)
        && items.iter().all(Json::is_string)
    {
        return Json::Array(items);
    }
    let at = if text.contains(';') { ';' } else { ',' };
    text.split(at).map(str::trim).filter(|item| !item.is_empty()).collect::<Vec<_>>().into()
}

/// The record's name and the id that a text is: a TypeID, or a UUID for a record that is known.
#[must_use]
pub fn id(text: &str) -> Option<(Option<&str>, uuid::Uuid)> {
    match ids::decode(text) {
        Some((name, id)) => Some((Some(name), id)),
        None => text.parse().ok().map(|id| (None, id)),
    }
}

#[cfg(test)]
mod tests {
    use entity::{record::Record, tenant::contact, tenant::customer};
    use proptest::prelude::*;

    use super::*;

    fn customer(column: &str, text: &str) -> Result<Value, Refusal> {
        let names = ["PROSPECT".to_owned(), "IN_PROGRESS".to_owned()];
        let named = (column == "status").then_some(names.as_slice());
        value(customer::Entity::meta().column(column).unwrap(), text, named, Some(Currency::USD))
    }

    #[test]
    fn texts_become_values() {
        assert_eq!(customer("employee_count", "2822"), Ok(Value::from(2822i64)));
        assert_eq!(customer("employee_count", "2822.0"), Ok(Value::from(2822i64)));
        assert_eq!(customer("annual_revenue", "1100040000"), Ok(Value::from(110_004_000_000i64)));
        assert_eq!(customer("status", "in progress"), Ok(Value::from("IN_PROGRESS")));
        assert_eq!(customer("tags", "a; b,c ;"), Ok(Value::from(serde_json::json!(["a", "b,c"]))));
        assert_eq!(customer("tags", "[\"a;b\"]"), Ok(Value::from(serde_json::json!(["a;b"]))));
        assert_eq!(customer("name", "x"), Ok(Value::from("x")));
        let contact = |column: &str, text| value(contact::Entity::meta().column(column).unwrap(), text, None, None);
        assert_eq!(contact("is_primary", "Yes"), Ok(Value::from(true)));
        for text in ["2016-10-20", "2016-10-20T00:00:00Z", "2016-10-20 00:00:00", "2016-10-20T02:00:00+02:00"] {
            let at: DateTime<Utc> = "2016-10-20T00:00:00Z".parse().unwrap();
            assert_eq!(contact("marketing_consent_at", text), Ok(Value::from(at)), "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (column, text) in [
            ("employee_count", "many"),
            ("employee_count", "1.5"),
            ("employee_count", "99999999999999999999"),
            ("annual_revenue", "1.234"),
            ("annual_revenue", "1,000"),
            ("status", "lost"),
            ("parent_id", "x"),
            ("created_at", "20-10-2016"),
            ("created_at", "+262142-12-31"),
            ("is_deleted", "perhaps"),
        ] {
            assert!(customer(column, text).is_err(), "{column}: {text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,30}", column in 0..20usize) {
            let columns = &customer::Entity::meta().columns;
            let _ = value(&columns[column % columns.len()], &text, None, Some(Currency::JPY));
        }
    }
}
