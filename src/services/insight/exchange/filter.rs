//! The filters of the mapping language: what a column's value passes through.
//!
//! | filter | does |
//! |---|---|
//! | `times 1000000` | multiplies a number, exactly |
//! | `date %d-%m-%Y` | reads a date, or a date and a time, written in this way (as of strftime) |
//! | `replace Won=WON, GTXPro=GTX Pro` | puts another value in the place of some; the others stay |
//! | `or unknown` | a value for where there is none |
//! | `slug`, `slug .` | letters and digits in lower case, without accents, with `-` (or `.`) between words |
//! | `word 1`, `word -1` | one word, counted from the start or the end |
//! | `lower`, `upper` | in small or capital letters |
//!
//! Where there is no value, all but `or` do nothing.

use chrono::{
    NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc,
    format::{Item, Parsed, StrftimeItems, parse},
};
use rust_decimal::Decimal;

use crate::{condition::fold::fold, data::value::moment};

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// `times 1000000`.
    Times(Decimal),
    /// `date %d-%m-%Y`.
    Date(String),
    /// `replace Won=WON, Lost=LOST`.
    Replace(Vec<(String, String)>),
    /// `or unknown`.
    Or(String),
    /// `slug`, with the character between words.
    Slug(String),
    /// `word 1`; counted from the end where it is negative.
    Word(i32),
    /// `lower`.
    Lower,
    /// `upper`.
    Upper,
}

impl Filter {
    /// Reads a filter such as `date %d-%m-%Y`.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        let bare = |filter| if rest.is_empty() { Ok(filter) } else { Err(format!("\"{name}\" takes nothing")) };
        match name {
            "lower" => bare(Self::Lower),
            "upper" => bare(Self::Upper),
            "slug" => Ok(Self::Slug(if rest.is_empty() { "-".to_owned() } else { unquoted(rest) })),
            "or" if !rest.is_empty() => Ok(Self::Or(unquoted(rest))),
            "or" => Err("\"or\" takes a value, as in: or unknown".to_owned()),
            "times" => match number(rest) {
                Some(factor) => Ok(Self::Times(factor)),
                None => Err("\"times\" takes a number, as in: times 1000000".to_owned()),
            },
            "word" => match rest.parse() {
                Ok(place) if place != 0 => Ok(Self::Word(place)),
                _ => Err("\"word\" takes a place, as in: word 1, or word -1 for the last one".to_owned()),
            },
            "date" if rest.is_empty() || StrftimeItems::new(rest).any(|item| item == Item::Error) => {
                Err(format!("\"{rest}\" is no date format; write one as of strftime, such as: date %d-%m-%Y"))
            }
            "date" => Ok(Self::Date(rest.to_owned())),
            "replace" => pairs(rest).map(Self::Replace),
            "" => Err("a filter has no name".to_owned()),
            _ => Err(format!(
                "there is no filter \"{name}\"; there are times, date, replace, or, slug, word, lower, upper"
            )),
        }
    }

    /// What becomes of a value; an empty text is none.
    ///
    /// # Errors
    /// A sentence for people, when the filter does not take the value.
    pub fn apply(&self, value: String) -> Result<String, String> {
        if value.is_empty() {
            return Ok(if let Self::Or(other) = self { other.clone() } else { value });
        }
        Ok(match self {
            Self::Or(_) => value,
            Self::Times(factor) => {
                let number = number(&value).ok_or_else(|| format!("\"{value}\" is no number"))?;
                let product =
                    number.checked_mul(*factor).ok_or_else(|| format!("{value} times {factor} is too much"))?;
                product.normalize().to_string()
            }
            Self::Date(format) => {
                date(&value, format).ok_or_else(|| format!("\"{value}\" is no date written as {format}"))?
            }
            Self::Replace(pairs) => match pairs.iter().find(|(from, _)| *from == value) {
                Some((_, to)) => to.clone(),
                None => value,
            },
            Self::Slug(between) => slug(&value, between),
            Self::Word(place) => {
                let words: Vec<&str> = value.split_whitespace().collect();
                let steps = usize::try_from(place.unsigned_abs()).unwrap_or(usize::MAX) - 1;
                let word = if *place > 0 { words.get(steps) } else { words.iter().rev().nth(steps) };
                word.copied().unwrap_or_default().to_owned()
            }
            Self::Lower => value.to_lowercase(),
            Self::Upper => value.to_uppercase(),
        })
    }
}

/// A decimal number, as programs write it: `1100.04`, `-3`.
pub fn number(text: &str) -> Option<Decimal> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    plain.then(|| text.parse().ok()).flatten()
}

/// A date, or a moment where the format has a time, in the form of ISO 8601. A time without a zone is UTC.
fn date(text: &str, format: &str) -> Option<String> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, StrftimeItems::new(format)).ok()?;
    if let Ok(at) = parsed.to_datetime() {
        return Some(moment(at.to_utc()));
    }
    let day: NaiveDate = parsed.to_naive_date().ok()?;
    match parsed.to_naive_time() {
        Ok(time) => Some(moment(Utc.from_utc_datetime(&NaiveDateTime::new(day, time)))),
        // Half a time, such as an hour alone, begins when the hour begins.
        Err(_) if parsed.hour_mod_12().is_some() => {
            let hour = parsed.hour_div_12()? * 12 + parsed.hour_mod_12()?;
            let time = NaiveTime::from_hms_opt(hour, 0, 0)?;
            Some(moment(Utc.from_utc_datetime(&NaiveDateTime::new(day, time))))
        }
        Err(_) => Some(day.to_string()),
    }
}

fn slug(text: &str, between: &str) -> String {
    let folded = fold(text);
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(between)
}

/// `a=b, "c,d"=e` as pairs.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let usage = || "\"replace\" takes pairs, as in: replace Won=WON, Lost=LOST".to_owned();
    let mut found = Vec::new();
    for pair in split(text, ',') {
        if pair.trim().is_empty() {
            continue;
        }
        match split(&pair, '=').as_slice() {
            [from, to] if !from.trim().is_empty() => found.push((unquoted(from.trim()), unquoted(to.trim()))),
            _ => return Err(usage()),
        }
    }
    if found.is_empty() { Err(usage()) } else { Ok(found) }
}

/// Splits at a character that does not stand between double quotes.
fn split(text: &str, at: char) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        match pieces.last_mut() {
            Some(piece) if quoted || c != at => piece.push(c),
            _ => pieces.push(String::new()),
        }
    }
    pieces
}

fn unquoted(text: &str) -> String {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(filter: &str, value: &str) -> Result<String, String> {
        Filter::parse(filter)?.apply(value.to_owned())
    }

    #[test]
    fn values_pass_through() {
        for (filter, value, expected) in [
            ("times 1000000", "1100.04", "1100040000"),
            ("times 0.1", "-3", "-0.3"),
            ("date %d-%m-%Y", "20-10-2016", "2016-10-20"),
            ("date %m/%d/%Y %I:%M %p", "10/20/2016 3:05 PM", "2016-10-20T15:05:00.000000Z"),
            ("date %Y-%m-%d %H", "2016-10-20 15", "2016-10-20T15:00:00.000000Z"),
            ("date %Y-%m-%dT%H:%M:%S%z", "2016-10-20T15:05:00+0200", "2016-10-20T13:05:00.000000Z"),
            ("replace GTXPro=GTX Pro, Foo=Bar", "GTXPro", "GTX Pro"),
            ("replace GTXPro=GTX Pro", "GTX Basic", "GTX Basic"),
            (r#"replace "a,b"="c=d", e="#, "a,b", "c=d"),
            ("replace e=", "e", ""),
            ("or unknown", "", "unknown"),
            ("or unknown", "known", "known"),
            ("slug", "  Vicki Làflamme & Co. ", "vicki-laflamme-co"),
            ("slug .", "Mei-Mei Johns", "mei.mei.johns"),
            ("word 1", "Mei-Mei van Johns", "Mei-Mei"),
            ("word -1", "Mei-Mei van Johns", "Johns"),
            ("word 9", "Mei-Mei", ""),
            ("lower", "ÄB", "äb"),
            ("upper", "äb", "ÄB"),
            ("times 3", "", ""),
        ] {
            assert_eq!(apply(filter, value), Ok(expected.to_owned()), "{filter} of {value}");
        }
    }

    #[test]
    fn wrong_values_and_filters_are_refused() {
        for (filter, value) in [
            ("times 2", "1,5"),
            ("times 2", "1e5"),
            ("times 99999999999999999999", "99999999999999999999"),
            ("date %d-%m-%Y", "2016-10-20"),
            ("date %d-%m-%Y", "31-02-2016"),
            ("date", "x"),
            ("date %!", "x"),
            ("word 0", "x"),
            ("replace", "x"),
            ("replace a", "x"),
            ("or", "x"),
            ("lower case", "x"),
            ("shout", "x"),
            ("", "x"),
        ] {
            assert!(apply(filter, value).is_err(), "{filter} of {value}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(
            filter in "(times|date|replace|or|slug|word|lower|upper)? ?[-%a-zA-Z0-9=,\". ]{0,12}",
            value in "\\PC{0,16}",
        ) {
            let _ = apply(&filter, &value);
        }
    }
}
