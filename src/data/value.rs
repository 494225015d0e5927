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
    money::{self, Money, currency},
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

/// The value of a column from what the API shows of the row: the other way of [`to_api`]. `shown` answers the value of a
/// field. What is not there, or is of another kind, is the kind's null.
#[must_use]
pub fn from_api<'a>(meta: &RecordMeta, column: &Column, shown: impl Fn(&str) -> Option<&'a Json>) -> Value {
    let text = |field: &str| shown(field).and_then(Json::as_str);
    let found = match (column.kind, column.name) {
        // What a row is about stands in two columns and is one field.
        (_, "related_type") if meta.column("related_id").is_some() => {
            text("relatedToId").and_then(ids::decode).map(|(name, _)| name.into())
        }
        (Kind::Uuid, name) => {
            let field = if name == "related_id" { "relatedToId" } else { column.field.as_str() };
            text(field).and_then(|text| {
                let typed = ids::decode(text).map(|(_, id)| id);
                typed.or_else(|| Uuid::parse_str(text).ok()).map(Value::from)
            })
        }
        (Kind::Money, _) => shown(&column.field).and_then(minor).map(Value::from),
        (Kind::Decimal(decimals), _) => text(&column.field)
            .and_then(|text| text.parse().ok())
            .and_then(|number| money::units(number, decimals).ok())
            .map(Value::from),
        (kind, _) => shown(&column.field).and_then(|json| from_json(kind, json)),
    };
    found.unwrap_or_else(|| null(column.kind))
}

/// The minor units of an amount.
fn minor(json: &Json) -> Option<i64> {
    if let Some(minor) = json.as_i64() {
        return Some(minor);
    }
    let currency = currency(json.get("currency")?.as_str()?)?;
    let amount = json.get("amount")?.as_str()?.parse().ok()?;
    Money::from_major(amount, currency).ok().map(|money| money.minor)
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

#[cfg(test)]
mod tests {
    use entity::{
        record::Record,
        tenant::{activity, customer, opportunity_line},
    };

    use super::*;

    /// What the API shows of a row is read back as it stood there.
    #[test]
    fn what_is_shown_is_read_back() {
        let id = Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057);
        let at = DateTime::from_timestamp_micros(1_767_225_600_000_001).unwrap();
        let day = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
        for (meta, name, value) in [
            (customer::Entity::meta(), "name", Value::from("Ångström")),
            (customer::Entity::meta(), "parent_id", id.into()),
            (customer::Entity::meta(), "parent_id", Value::Uuid(None)),
            (customer::Entity::meta(), "annual_revenue", 1234i64.into()),
            (customer::Entity::meta(), "annual_revenue", Value::BigInt(None)),
            (customer::Entity::meta(), "tags", Value::Json(Some(Box::new(json!(["a", "b"]))))),
            (customer::Entity::meta(), "created_at", at.into()),
            (customer::Entity::meta(), "is_deleted", true.into()),
            (entity::tenant::opportunity::Entity::meta(), "expected_close_date", day.into()),
            (opportunity_line::Entity::meta(), "quantity", 2500i64.into()),
            (activity::Entity::meta(), "owner_id", id.into()),
        ] {
            let column = meta.column(name).unwrap();
            let shown = to_api(meta, column, &value, Some("EUR"));
            let read = from_api(meta, column, |field| (field == column.field).then_some(&shown));
            assert_eq!(read, value, "{name}: {shown}");
        }
        let related = json!(ids::encode("customer", id));
        let shown = |field: &str| (field == "relatedToId").then_some(&related);
        let meta = activity::Entity::meta();
        assert_eq!(from_api(meta, meta.column("related_id").unwrap(), shown), id.into());
        assert_eq!(from_api(meta, meta.column("related_type").unwrap(), shown), "customer".into());
    }
}
