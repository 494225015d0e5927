//! Database values as JSON and back, the same on both engines.
//!
//! SeaQuery's own conversion puts SQL quotes around timestamps, so this one is ours. It is what audit rows, events
//! and cursors hold.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use entity::record::{Column, Kind, RecordMeta};
use rust_decimal::Decimal;
use sea_orm::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{
    ids,
    money::{Money, currency},
};

/// A moment as the API shows it: RFC 3339, UTC, microseconds.
#[must_use]
pub fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A value as plain JSON: UUIDs and moments as text.
#[must_use]
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(v) => json!(v),
        Value::TinyInt(v) => json!(v),
        Value::SmallInt(v) => json!(v),
        Value::Int(v) => json!(v),
        Value::BigInt(v) => json!(v),
        Value::TinyUnsigned(v) => json!(v),
        Value::SmallUnsigned(v) => json!(v),
        Value::Unsigned(v) => json!(v),
        Value::BigUnsigned(v) => json!(v),
        Value::Float(v) => json!(v),
        Value::Double(v) => json!(v),
        Value::String(v) => json!(v),
        Value::Char(v) => json!(v),
        Value::Json(v) => v.as_ref().map_or(Json::Null, |json| (**json).clone()),
        Value::Uuid(v) => json!(v.map(|id| id.to_string())),
        Value::ChronoDate(v) => json!(v.map(|date| date.to_string())),
        Value::ChronoDateTimeUtc(v) => json!(v.map(moment)),
        Value::ChronoDateTimeWithTimeZone(v) => json!(v.map(|at| moment(at.to_utc()))),
        _ => Json::Null,
    }
}

/// A column's value as the API shows it: ids as TypeIDs of the record they lead to, money with its currency.
#[must_use]
pub fn to_api(meta: &RecordMeta, column: &Column, value: &Value, currency_code: Option<&str>) -> Json {
    match (column.kind, value) {
        (Kind::Uuid, Value::Uuid(Some(id))) => {
            let name = match column.name {
                "id" => meta.name,
                "tenant_id" => "tenant",
                "created_by" | "updated_by" | "deleted_by" => "user",
                other => match meta.reference(other) {
                    Some(relation) => (relation.target)().name,
                    None => return json!(id.to_string()),
                },
            };
            json!(ids::encode(name, *id))
        }
        (Kind::Money, Value::BigInt(Some(minor))) => match currency_code.and_then(currency) {
            Some(currency) => {
                let money = Money { minor: *minor, currency };
                json!({ "amount": money.major().to_string(), "currency": currency.code() })
            }
            None => json!(minor),
        },
        (Kind::Decimal(decimals), Value::BigInt(Some(units))) => {
            json!(Decimal::from_i128_with_scale(i128::from(*units), decimals).to_string())
        }
        _ => to_json(value),
    }
}

/// The value of a column from plain JSON; `None` when it is not of the column's kind. JSON null is the kind's null.
#[must_use]
pub fn from_json(kind: Kind, json: &Json) -> Option<Value> {
    if json.is_null() {
        return Some(null(kind));
    }
    Some(match kind {
        Kind::Int | Kind::Money | Kind::Decimal(_) => json.as_i64()?.into(),
        Kind::Bool => json.as_bool()?.into(),
        Kind::Uuid => Uuid::parse_str(json.as_str()?).ok()?.into(),
        Kind::Time => DateTime::parse_from_rfc3339(json.as_str()?).ok()?.to_utc().into(),
        Kind::Date => json.as_str()?.parse::<NaiveDate>().ok()?.into(),
        Kind::Text => json.as_str()?.into(),
        Kind::Json => Value::Json(Some(Box::new(json.clone()))),
    })
}

/// The null of a kind.
#[must_use]
pub fn null(kind: Kind) -> Value {
    match kind {
        Kind::Int | Kind::Money | Kind::Decimal(_) => Value::BigInt(None),
        Kind::Bool => Value::Bool(None),
        Kind::Uuid => Value::Uuid(None),
        Kind::Time => Value::ChronoDateTimeUtc(None),
        Kind::Date => Value::ChronoDate(None),
        Kind::Text => Value::String(None),
        Kind::Json => Value::Json(None),
    }
}

/// Whether a value is a null.
#[must_use]
pub fn is_null(value: &Value) -> bool {
    value == &value.as_null()
}
