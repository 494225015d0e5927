//! When a delivery that came to nothing is tried again.

use chrono::{DateTime, Duration, Utc};
use entity::tenant::webhook::RetrySchedule;

/// The pauses of the default schedule: three attempts.
const DEFAULT: [Duration; 2] = [Duration::minutes(5), Duration::minutes(30)];
/// The pauses of the extended schedule: eight attempts over about 28 hours.
const EXTENDED: [Duration; 7] = [
    Duration::seconds(30),
    Duration::minutes(5),
    Duration::minutes(30),
    Duration::hours(2),
    Duration::hours(5),
    Duration::hours(10),
    Duration::hours(10),
];
/// The longest wait that a receiver may ask for.
const LONGEST: Duration = Duration::hours(24);
/// How far the pauses of the extended schedule are spread, so that what failed together is not tried again together.
const JITTER: f64 = 0.2;

const fn pauses(schedule: RetrySchedule) -> &'static [Duration] {
    match schedule {
        RetrySchedule::Default => &DEFAULT,
        RetrySchedule::Extended => &EXTENDED,
    }
}

/// How many attempts there are.
#[must_use]
pub const fn attempts(schedule: RetrySchedule) -> usize {
    pauses(schedule).len() + 1
}

/// How long to wait after so many attempts; none when that was the last one. `chance` is from 0 to 1; `asked` is what the
/// receiver asked for, which makes a pause longer and never shorter.
#[must_use]
pub fn pause(schedule: RetrySchedule, attempts: usize, chance: f64, asked: Option<Duration>) -> Option<Duration> {
    let pause = *pauses(schedule).get(attempts.checked_sub(1)?)?;
    let pause = match schedule {
        RetrySchedule::Default => pause,
        RetrySchedule::Extended => {
            let factor = 1.0 + JITTER * (2.0 * chance.clamp(0.0, 1.0) - 1.0);
            #[expect(clippy::cast_possible_truncation, reason = "some hours in milliseconds")]
            let spread = (pause.num_milliseconds() as f64 * factor) as i64;
            Duration::milliseconds(spread)
        }
    };
    Some(asked.map_or(pause, |asked| pause.max(asked.min(LONGEST))))
}

/// The wait that a header `retry-after` asks for: seconds, or a moment.
#[must_use]
pub fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    let wait = match header.parse::<u32>() {
        Ok(seconds) => Duration::seconds(seconds.into()),
        Err(_) => DateTime::parse_from_rfc2822(header).ok()?.to_utc() - now,
    };
    (wait > Duration::zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_three_attempts() {
        let after = |attempts| pause(RetrySchedule::Default, attempts, 0.9, None);
        assert_eq!((after(1), after(2), after(3)), (Some(Duration::minutes(5)), Some(Duration::minutes(30)), None));
        assert_eq!((attempts(RetrySchedule::Default), after(0)), (3, None));
    }

    #[test]
    fn the_extended_has_eight_over_about_28_hours() {
        let total = |chance| -> i64 {
            let pauses = (1..=7).map(|attempts| pause(RetrySchedule::Extended, attempts, chance, None).unwrap());
            pauses.map(|pause| pause.num_minutes()).sum()
        };
        assert_eq!(attempts(RetrySchedule::Extended), 8);
        assert_eq!(pause(RetrySchedule::Extended, 8, 0.5, None), None);
        assert_eq!((total(0.0) / 60, total(0.5) / 60, total(1.0) / 60), (22, 27, 33));
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_within_bounds() {
        let asked = |asked| pause(RetrySchedule::Default, 1, 0.0, Some(asked)).unwrap();
        assert_eq!(asked(Duration::seconds(10)), Duration::minutes(5));
        assert_eq!(asked(Duration::hours(1)), Duration::hours(1));
        assert_eq!(asked(Duration::days(30)), Duration::hours(24));
        let now = DateTime::from_timestamp(1_445_412_420, 0).unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::seconds(120)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(Duration::seconds(60)));
        for none in ["", "soon", "-5", "0", "Wed, 21 Oct 2015 07:20:00 GMT"] {
            assert_eq!(retry_after(none, now), None, "{none}");
        }
    }
}
