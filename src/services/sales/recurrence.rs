//! Recurrence rules: whether a text is an RRULE of RFC 5545 (section 3.3.10).
//!
//! The form and the ranges of every part are checked, and which parts go together; when the rule occurs is not computed
//! here.

const WEEKDAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/// The rule in upper case and without a leading `RRULE:`.
///
/// # Errors
/// A sentence for people, when it is no recurrence rule.
pub fn normalised(text: &str) -> Result<String, String> {
    let rule = text.trim().to_ascii_uppercase();
    let rule = rule.strip_prefix("RRULE:").unwrap_or(&rule);
    let mut parts: Vec<(&str, &str)> = Vec::new();
    for part in rule.split(';') {
        let (name, value) = part
            .split_once('=')
            .ok_or("a recurrence rule is made of parts such as FREQ=WEEKLY, separated by semicolons")?;
        if parts.iter().any(|(other, _)| *other == name) {
            return Err(format!("{name} stands twice in the recurrence rule"));
        }
        check_part(name, value)?;
        parts.push((name, value));
    }
    check_together(&parts)?;
    Ok(rule.to_owned())
}

fn check_part(name: &str, value: &str) -> Result<(), String> {
    let valid = match name {
        "FREQ" => matches!(value, "SECONDLY" | "MINUTELY" | "HOURLY" | "DAILY" | "WEEKLY" | "MONTHLY" | "YEARLY"),
        "INTERVAL" | "COUNT" => number(value).is_some_and(|number| number >= 1),
        "UNTIL" => is_moment(value),
        "BYSECOND" => each(value, |item| number(item).is_some_and(|number| number <= 60)),
        "BYMINUTE" => each(value, |item| number(item).is_some_and(|number| number <= 59)),
        "BYHOUR" => each(value, |item| number(item).is_some_and(|number| number <= 23)),
        "BYDAY" => each(value, is_weekday),
        "BYMONTHDAY" => each(value, |item| is_signed(item, 31)),
        "BYYEARDAY" | "BYSETPOS" => each(value, |item| is_signed(item, 366)),
        "BYWEEKNO" => each(value, |item| is_signed(item, 53)),
        "BYMONTH" => each(value, |item| number(item).is_some_and(|number| (1..=12).contains(&number))),
        "WKST" => WEEKDAYS.contains(&value),
        _ => return Err(format!("a recurrence rule has no part {name:?}")),
    };
    if valid { Ok(()) } else { Err(format!("{value:?} is no value of {name} in a recurrence rule")) }
}

/// Which parts need or exclude which others.
fn check_together(parts: &[(&str, &str)]) -> Result<(), String> {
    let value = |name: &str| parts.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    let freq = value("FREQ").ok_or("a recurrence rule says how often: FREQ is missing")?;
    let refuse = |message: &str| Err(message.to_owned());
    if value("COUNT").is_some() && value("UNTIL").is_some() {
        return refuse("a recurrence rule ends by COUNT or by UNTIL, not by both");
    }
    if value("BYWEEKNO").is_some() && freq != "YEARLY" {
        return refuse("BYWEEKNO goes with FREQ=YEARLY only");
    }
    if value("BYYEARDAY").is_some() && matches!(freq, "DAILY" | "WEEKLY" | "MONTHLY") {
        return refuse("BYYEARDAY does not go with FREQ=DAILY, WEEKLY or MONTHLY");
    }
    if value("BYMONTHDAY").is_some() && freq == "WEEKLY" {
        return refuse("BYMONTHDAY does not go with FREQ=WEEKLY");
    }
    let counted = value("BYDAY").is_some_and(|days| days.split(',').any(|day| day.len() > 2));
    if counted && (!matches!(freq, "MONTHLY" | "YEARLY") || value("BYWEEKNO").is_some()) {
        return refuse("a weekday with a number, such as 2MO, goes with FREQ=MONTHLY or YEARLY, and not with BYWEEKNO");
    }
    let chosen = parts.iter().any(|(name, _)| name.starts_with("BY") && *name != "BYSETPOS");
    if value("BYSETPOS").is_some() && !chosen {
        return refuse("BYSETPOS chooses among the days of another BY part");
    }
    Ok(())
}

fn each(list: &str, is_valid: impl Fn(&str) -> bool) -> bool {
    list.split(',').all(is_valid)
}

fn number(text: &str) -> Option<u32> {
    let digits = (1..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn is_signed(text: &str, most: u32) -> bool {
    number(unsigned(text)).is_some_and(|number| (1..=most).contains(&number))
}

/// `MO`, or `2MO` and `-1FR`: the second Monday, the last Friday.
fn is_weekday(text: &str) -> bool {
    let Some(split) = text.len().checked_sub(2).filter(|split| text.is_char_boundary(*split)) else { return false };
    let (count, day) = text.split_at(split);
    WEEKDAYS.contains(&day) && (count.is_empty() || is_signed(count, 53))
}

/// `20261231`, `20261231T235959` or `20261231T235959Z`.
fn is_moment(text: &str) -> bool {
    let text = text.strip_suffix('Z').filter(|rest| rest.contains('T')).unwrap_or(text);
    if text.len() == 8 {
        return number(&text[..4]).is_some() && chrono::NaiveDate::parse_from_str(text, "%Y%m%d").is_ok();
    }
    text.len() == 15 && chrono::NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::normalised;

    #[test]
    fn rules_of_the_specification() {
        for rule in [
            "FREQ=DAILY;COUNT=10",
            "FREQ=DAILY;UNTIL=19971224T000000Z",
            "FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA",
            "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
            "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
            "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
            "FREQ=MONTHLY;BYMONTHDAY=-3",
            "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
            "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
            "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
            "FREQ=DAILY;BYHOUR=9,10;BYMINUTE=0,20,40",
            "FREQ=YEARLY;UNTIL=20261231",
        ] {
            assert_eq!(normalised(rule).as_deref(), Ok(rule));
        }
        assert_eq!(normalised(" rrule:freq=daily "), Ok("FREQ=DAILY".to_owned()));
    }

    #[test]
    fn what_is_no_rule() {
        for text in [
            "",
            "every day",
            "FREQ=",
            "FREQ=FORTNIGHTLY",
            "COUNT=3",
            "FREQ=DAILY;FREQ=DAILY",
            "FREQ=DAILY;",
            "FREQ=DAILY;COUNT=0",
            "FREQ=DAILY;COUNT=1;UNTIL=20261231",
            "FREQ=DAILY;UNTIL=20261301",
            "FREQ=DAILY;UNTIL=20261231T250000Z",
            "FREQ=DAILY;INTERVAL=-1",
            "FREQ=DAILY;BYHOUR=24",
            "FREQ=DAILY;BYMONTH=0",
            "FREQ=WEEKLY;BYDAY=XX",
            "FREQ=WEEKLY;BYDAY=1MO",
            "FREQ=MONTHLY;BYDAY=54MO",
            "FREQ=MONTHLY;BYDAY=0MO",
            "FREQ=MONTHLY;BYMONTHDAY=32",
            "FREQ=MONTHLY;BYWEEKNO=2",
            "FREQ=MONTHLY;BYYEARDAY=2",
            "FREQ=WEEKLY;BYMONTHDAY=2",
            "FREQ=WEEKLY;BYSETPOS=1",
            "FREQ=DAILY;BYEASTER=0",
            "FREQ=DAILY;BYDAY=ö",
        ] {
            assert!(normalised(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}", rest in "[A-Z0-9=;,+-]{0,40}") {
            let _ = normalised(&text);
            let _ = normalised(&format!("FREQ=YEARLY;{rest}"));
        }
    }
}
