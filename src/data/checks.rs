//! What every value must meet before it is written, whoever writes it, and the shadow columns that follow from it.
//!
//! Texts are trimmed and free of control characters; an empty text is no value; lengths are those of the columns;
//! `email`, `phone`, `website` and `currency` have their forms. What a user can mend is collected, not stopped at.

use chrono::Datelike;
use entity::record::{Column, Kind, Record};
use iso_currency::Currency;
use sea_orm::{ActiveModelTrait, ActiveValue, IdenStatic, Iterable, Value};
use serde_json::Value as Json;

use super::{find::column, money, value};
use crate::{
    condition::fold::fold,
    error::{Error, Result, UserError, UserErrorCode},
};

/// A text longer than this may hold several lines.
const ONE_LINE: u32 = 1000;

/// Normalises every value that is set in `row`, fills in the shadow columns and, for a new row, the empty values of
/// columns that must have one.
///
/// # Errors
/// [`Error::User`] with everything that a user must mend.
pub(super) fn check<R: Record>(row: &mut R::ActiveModel, is_new: bool) -> Result<()> {
    let meta = R::meta();
    let mut errors = Vec::new();
    for of in &meta.columns {
        let column = column::<R>(of.name)?;
        let given = match row.get(column) {
            ActiveValue::Set(value) | ActiveValue::Unchanged(value) => value,
            ActiveValue::NotSet if !is_new => continue,
            ActiveValue::NotSet => match of.kind {
                Kind::Json if !of.nullable => Value::Json(Some(Box::new(Json::Array(Vec::new())))),
                Kind::Bool if !of.nullable => false.into(),
                _ if of.nullable => value::null(of.kind),
                _ => {
                    errors.push(blank(of));
                    continue;
                }
            },
        };
        let accepted = match normalised(of, given) {
            Ok(accepted) => accepted,
            Err((code, message)) => {
                errors.push(UserError::new(code, &["input", of.field.as_str()], message));
                continue;
            }
        };
        if !of.nullable && value::is_null(&accepted) {
            errors.push(blank(of));
            continue;
        }
        if let Some(shadow) = of.folded {
            row.set(self::column::<R>(shadow)?, folded(&accepted));
        }
        if !(value::is_null(&accepted) && is_new && matches!(row.get(column), ActiveValue::NotSet)) {
            row.set(column, accepted);
        }
    }
    if let Some(error) = missing_currency::<R>(row)? {
        errors.push(error);
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::User(errors)) }
}

fn blank(of: &Column) -> UserError {
    UserError::new(UserErrorCode::Blank, &["input", of.field.as_str()], format!("{} is required", of.field))
}

/// An amount without a currency means nothing.
fn missing_currency<R: Record>(row: &R::ActiveModel) -> Result<Option<UserError>> {
    let meta = R::meta();
    let Some(_) = meta.column("currency") else { return Ok(None) };
    let currency_cleared = match row.get(column::<R>("currency")?) {
        ActiveValue::Set(currency) => value::is_null(&currency),
        _ => false,
    };
    for of in meta.columns.iter().filter(|of| of.kind == Kind::Money) {
        let amount_set = matches!(row.get(column::<R>(of.name)?), ActiveValue::Set(amount) if !value::is_null(&amount));
        if amount_set && currency_cleared {
            return Ok(Some(blank(of)));
        }
    }
    Ok(None)
}

type Refusal = (UserErrorCode, String);

/// The value as it is stored.
fn normalised(of: &Column, value: Value) -> Result<Value, Refusal> {
    match (of.kind, value) {
        (Kind::Text, Value::String(Some(text))) => text_of(of, &text).map(Value::String),
        (Kind::Json, Value::Json(Some(json))) => {
            check_json(of, &json)?;
            Ok(Value::Json(Some(json)))
        }
        (_, Value::ChronoDateTimeUtc(Some(at))) if !YEARS.contains(&at.year()) => Err(no_year(of)),
        (_, Value::ChronoDate(Some(date))) if !YEARS.contains(&date.year()) => Err(no_year(of)),
        (_, other) => Ok(other),
    }
}

/// The years that both engines store and sort.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

fn no_year(of: &Column) -> Refusal {
    (UserErrorCode::Invalid, format!("the year of {} is from 1 to 9999", of.field))
}

fn text_of(of: &Column, text: &str) -> Result<Option<String>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let several_lines = of.max_length.is_none_or(|max| max > ONE_LINE);
    if text.chars().any(|c| c.is_control() && !(several_lines && matches!(c, '\n' | '\r' | '\t'))) {
        return Err((UserErrorCode::Invalid, format!("{} holds a control character", of.field)));
    }
    if let Some(max) = of.max_length
        && text.chars().count() > max as usize
    {
        return Err((UserErrorCode::TooLong, format!("{} is longer than {max} characters", of.field)));
    }
    let invalid = |message: &str| Err((UserErrorCode::Invalid, message.to_owned()));
    match of.name {
        "email" => match email(text) {
            Some(email) => Ok(Some(email)),
            None => invalid("this is no e-mail address"),
        },
        "phone" => match phone(text) {
            Some(phone) => Ok(Some(phone)),
            None => invalid("this is no phone number in international form, such as +49 30 901820"),
        },
        "website" => match website(text) {
            Some(url) => Ok(Some(url)),
            None => invalid("this is no http or https address"),
        },
        "currency" => match money::currency(&text.to_uppercase()) {
            Some(currency) => Ok(Some(Currency::code(&currency).to_owned())),
            None => invalid("this is no ISO 4217 currency code"),
        },
        _ => Ok(Some(text.to_owned())),
    }
}

fn check_json(of: &Column, json: &Json) -> Result<(), Refusal> {
    const MOST: usize = 100;
    let Json::Array(items) = json else { return Ok(()) };
    if items.len() > MOST {
        return Err((UserErrorCode::TooLong, format!("{} holds more than {MOST} values", of.field)));
    }
    for item in items {
        if let Json::String(text) = item
            && (text.trim().is_empty() || text.chars().count() > 254 || text.chars().any(char::is_control))
        {
            return Err((UserErrorCode::Invalid, format!("{} holds a value that is empty or too long", of.field)));
        }
    }
    Ok(())
}

/// An e-mail address: one `@`, a local part and a domain with a dot, no white space; the domain in lower case
/// (the addr-spec of RFC 5322 without quoted strings and comments).
#[must_use]
pub fn email(text: &str) -> Option<String> {
    let (local, domain) = text.split_once('@')?;
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c));
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let domain_ok = domain.contains('.') && domain.len() <= 190 && domain.split('.').all(label_ok);
    (local_ok && domain_ok).then(|| format!("{local}@{}", domain.to_lowercase()))
}

/// A phone number in E.164: the separators that people write are dropped.
#[must_use]
pub fn phone(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}')).collect();
    let number = digits.strip_prefix('+').or_else(|| digits.strip_prefix("00"))?;
    let valid =
        (7..=15).contains(&number.len()) && !number.starts_with('0') && number.chars().all(|c| c.is_ascii_digit());
    valid.then(|| format!("+{number}"))
}

/// An absolute http or https URL with a host.
#[must_use]
pub fn website(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.host().is_some()).then(|| url.to_string())
}

/// What the shadow column holds.
fn folded(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.as_deref().map(fold)),
        Value::Json(Some(json)) => {
            let items = json.as_array().map(|items| items.iter().filter_map(Json::as_str).map(fold).collect());
            Value::Json(Some(Box::new(Json::from(items.unwrap_or_else(Vec::<String>::new)))))
        }
        other => other.clone(),
    }
}

/// The names of the columns that are set in `row`, with their values.
pub(super) fn set_values<R: Record>(row: &R::ActiveModel) -> Vec<(&'static str, Value)> {
    R::Column::iter()
        .filter_map(|column| match row.get(column) {
            ActiveValue::Set(value) => Some((column.as_str(), value)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{email, phone, website};

    #[test]
    fn email_addresses() {
        for good in ["a@b.example", "jörg.o'neil+tag@Sub.EXAMPLE"] {
            assert!(email(good).is_some(), "{good}");
        }
        for bad in ["", "a", "a@b", "@b.example", "a@@b.example", "a b@c.example", "a@-b.example", ".a@b.example"] {
            assert_eq!(email(bad), None, "{bad}");
        }
    }

    #[test]
    fn phone_numbers() {
        assert_eq!(phone("+1 (555) 010-0100").as_deref(), Some("+15550100100"));
        assert_eq!(phone("0049 30 901820").as_deref(), Some("+4930901820"));
        for bad in ["", "030 901820", "+0301234567", "+49abc", "+1234567890123456"] {
            assert_eq!(phone(bad), None, "{bad}");
        }
    }

    #[test]
    fn websites() {
        assert!(website("https://example.com/a?b=c").is_some());
        for bad in ["", "example.com", "javascript:alert(1)", "ftp://example.com", "https://"] {
            assert_eq!(website(bad), None, "{bad}");
        }
    }
}
