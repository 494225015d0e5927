//! When a recurring job is due: a cron text in a time zone, the change to and from summer time included.
//!
//! The text has five fields (minute, hour, day of the month, month, day of the week) or is a name such as `@daily`. It
//! speaks of the clock on the wall. Where that clock jumps, the rules are those of Vixie's cron:
//!
//! - A job of fixed times (no `*` in minute and hour) whose time is jumped over in spring runs at the first moment after the
//!   jump; one whose time comes twice in autumn runs the first time.
//! - A job of intervals (`*/30 * * * *`) runs whenever the wall clock says so: not in the hour that is jumped over, and both
//!   times in the hour that comes twice.
//!
//! croner finds the times on the wall; which moments those are is decided here. (Its own search begins anew from a time on
//! the wall, which in autumn is two moments.)

use std::collections::VecDeque;

use chrono::{DateTime, Duration, NaiveDateTime, Offset, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use entity::master::MisfirePolicy;

/// A tick that is later than this was missed.
pub const MISFIRE: Duration = Duration::seconds(60);
/// How far before and after a moment the wall clock can jump.
const NEAR: Duration = Duration::hours(3);
/// How far it is looked back for ticks that were missed, in steps: the first that shows enough of them.
const BACK: [Duration; 5] =
    [Duration::hours(1), Duration::days(1), Duration::days(32), Duration::days(366), Duration::days(5 * 366)];

/// Why a schedule cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The cron text, with the reason.
    Text(String),
    /// The time zone, with the reason.
    Zone(String),
}

/// A cron text in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
    /// Whether it is a job of fixed times.
    fixed: bool,
}

impl Schedule {
    /// Reads a cron text, and the name of a time zone.
    ///
    /// # Errors
    /// What is wrong, and how it should be.
    pub fn parse(text: &str, zone: &str) -> Result<Self, Refused> {
        let zone: Tz = zone.trim().parse().map_err(|_| {
            Refused::Zone(format!(
                "there is no time zone \"{}\"; write an IANA name such as Europe/Berlin",
                zone.trim()
            ))
        })?;
        let text = text.trim();
        let fields: Vec<&str> = text.split_whitespace().collect();
        if !text.starts_with('@') && fields.len() != 5 {
            return Err(Refused::Text(format!(
                "a schedule has five fields (minute, hour, day of the month, month, day of the week), this has {}",
                fields.len()
            )));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| Refused::Text(format!("this cannot be read: {error}")))?;
        let wild = |field: &&str| field.contains(['*', '?']);
        let fixed = !text.eq_ignore_ascii_case("@hourly") && !fields.iter().take(2).any(wild);
        let schedule = Self { cron, zone, fixed };
        // February 30: readable, and never.
        match schedule.on_the_wall(DateTime::UNIX_EPOCH.naive_utc(), true) {
            Some(_) => Ok(schedule),
            None => Err(Refused::Text("there is no such day in any year".to_owned())),
        }
    }

    /// The first tick after a moment.
    #[must_use]
    pub fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let wall = |at: DateTime<Utc>| at.with_timezone(&self.zone).naive_local();
        let offset = |at: DateTime<Utc>| self.zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        // Near a jump, what is earlier on the wall can be later.
        let jumps = offset(moment - NEAR) != offset(moment + NEAR);
        let mut wall = self.on_the_wall(if jumps { wall(moment - NEAR) } else { wall(moment) }, true)?;
        let mut first: Option<DateTime<Utc>> = None;
        loop {
            let moments = self.moments(wall);
            for at in moments.into_iter().flatten().filter(|at| *at > moment) {
                first = Some(first.map_or(at, |first| first.min(at)));
            }
            // The earliest moments of later times on the wall are later.
            if first.is_some() && moments[0].is_some_and(|earliest| earliest > moment) {
                return first;
            }
            wall = self.on_the_wall(wall, false)?;
        }
    }

    /// The next time on the wall that the text names.
    fn on_the_wall(&self, from: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        // croner would carry fractions of a second into what it finds.
        let from = from.with_nanosecond(0).unwrap_or(from);
        self.cron.find_next_occurrence(&from.and_utc(), inclusive).ok().map(|found| found.naive_utc())
    }

    /// The moments at which a tick of this time on the wall is; the earlier one first.
    fn moments(&self, wall: NaiveDateTime) -> [Option<DateTime<Utc>>; 2] {
        use chrono::LocalResult::{Ambiguous, None as Gap, Single};
        let utc = |at: DateTime<Tz>| Some(at.with_timezone(&Utc));
        match self.zone.from_local_datetime(&wall) {
            Single(at) => [utc(at), None],
            Ambiguous(first, _) if self.fixed => [utc(first), None],
            Ambiguous(first, second) => [utc(first), utc(second)],
            Gap if !self.fixed => [None, None],
            Gap => {
                // Clocks jump at whole minutes, and never by more than a day.
                let minutes = (1..=24 * 60).map(|minutes| wall + Duration::minutes(minutes));
                let after = minutes.into_iter().find_map(|wall| self.zone.from_local_datetime(&wall).earliest());
                [after.and_then(utc), None]
            }
        }
    }

    /// Which ticks, of those from `first` until now, are to have their jobs.
    #[must_use]
    pub fn due(
        &self,
        first: DateTime<Utc>,
        now: DateTime<Utc>,
        misfire: MisfirePolicy,
        catch_up: i32,
    ) -> Vec<DateTime<Utc>> {
        let most = match misfire {
            MisfirePolicy::Coalesce => 1,
            // As many as can be in time.
            MisfirePolicy::Skip => 2,
            MisfirePolicy::CatchUp => usize::try_from(catch_up).unwrap_or(1).max(1),
        };
        let mut ticks = self.last(first, now, most);
        if misfire == MisfirePolicy::Skip {
            ticks.retain(|tick| now - *tick <= MISFIRE);
        }
        ticks.into()
    }

    /// The last ticks until now, of those from `first` on: at most so many, in order.
    fn last(&self, first: DateTime<Utc>, now: DateTime<Utc>, most: usize) -> VecDeque<DateTime<Utc>> {
        let mut ticks = VecDeque::new();
        for back in BACK {
            let from = first.max(now - back);
            ticks.clear();
            // `first` is a tick itself.
            let mut tick = if from == first { Some(first) } else { self.after(from) };
            while let Some(at) = tick.filter(|at| *at <= now) {
                ticks.push_back(at);
                if ticks.len() > most {
                    ticks.pop_front();
                }
                tick = self.after(at);
            }
            if from == first || ticks.len() >= most {
                break;
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> Schedule {
        Schedule::parse(text, "Europe/Berlin").unwrap()
    }

    fn utc(text: &str) -> DateTime<Utc> {
        format!("{text}:00Z").parse().unwrap()
    }

    fn ticks(schedule: &Schedule, from: &str, until: &str) -> Vec<String> {
        let mut ticks = Vec::new();
        let mut at = utc(from);
        while let Some(next) = schedule.after(at).filter(|next| *next <= utc(until)) {
            ticks.push(next.format("%dT%H:%M").to_string());
            at = next;
        }
        ticks
    }

    #[test]
    fn a_fixed_time_runs_once_a_day_whatever_the_wall_clock_does() {
        let half_past_two = schedule("30 2 * * *");
        let spring = ticks(&half_past_two, "2027-03-27T00:00", "2027-03-30T00:00");
        assert_eq!(
            spring,
            ["27T01:30", "28T01:00", "29T00:30"],
            "the 28th has no 02:30; 03:00 is the first moment after it"
        );
        let autumn = ticks(&half_past_two, "2027-10-30T00:00", "2027-11-02T00:00");
        assert_eq!(autumn, ["30T00:30", "31T00:30", "01T01:30"], "the 31st has two; the first counts");
        assert_eq!(
            half_past_two.after(utc("2027-03-01T00:00") + Duration::milliseconds(250)),
            Some(utc("2027-03-01T01:30"))
        );
        // Asked in the midst of the hour that comes twice.
        assert_eq!(half_past_two.after(utc("2027-10-31T01:10")), Some(utc("2027-11-01T01:30")));
    }

    #[test]
    fn an_interval_runs_whenever_the_wall_clock_says_so() {
        let half_hours = schedule("*/30 * * * *");
        let spring = ticks(&half_hours, "2027-03-28T00:00", "2027-03-28T02:00");
        assert_eq!(spring, ["28T00:30", "28T01:00", "28T01:30", "28T02:00"]);
        let autumn = ticks(&half_hours, "2027-10-30T23:30", "2027-10-31T02:00");
        assert_eq!(autumn, ["31T00:00", "31T00:30", "31T01:00", "31T01:30", "31T02:00"], "02:00 and 02:30 come twice");
        let twos = schedule("*/20 2 * * *");
        assert_eq!(ticks(&twos, "2027-03-28T00:00", "2027-03-28T23:00"), [] as [&str; 0], "there is no 2 o'clock");
        assert_eq!(ticks(&twos, "2027-10-30T23:00", "2027-10-31T23:00").len(), 6);
        let hours = schedule("@hourly");
        assert_eq!(
            ticks(&hours, "2027-10-30T23:30", "2027-10-31T03:00"),
            ["31T00:00", "31T01:00", "31T02:00", "31T03:00"]
        );
    }

    /// Whatever moment is asked about, near a jump too: nothing between it and its answer is a tick.
    #[test]
    fn the_next_tick_is_the_same_whenever_it_is_asked() {
        for text in ["*/7 * * * *", "0 */2 * * *", "30 2 * * *", "15 1-3 * * *", "5 2,3 * * 0", "@daily"] {
            for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"] {
                let schedule = Schedule::parse(text, zone).unwrap();
                for day in ["2027-03-14", "2027-03-28", "2027-04-04", "2027-10-03", "2027-10-31", "2027-11-07"] {
                    let begin = utc(&format!("{day}T00:00")) - Duration::days(1);
                    let mut next = schedule.after(begin).unwrap();
                    for minutes in (0..72 * 60).step_by(11) {
                        let moment = begin + Duration::minutes(minutes);
                        while next <= moment {
                            next = schedule.after(next).unwrap();
                        }
                        assert_eq!(schedule.after(moment), Some(next), "{text} {zone} {moment}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_or_never_comes_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "five fields"),
            ("* * * *", "five fields"),
            ("0 * * * * *", "five fields"),
            ("61 * * * *", "cannot be read"),
            ("* 25 * * *", "cannot be read"),
            ("a b c d e", "cannot be read"),
            ("@sometimes", "cannot be read"),
            ("0 0 30 2 *", "no such day"),
        ] {
            match Schedule::parse(text, "UTC") {
                Err(Refused::Text(said)) => assert!(said.contains(reason), "{text}: {said}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(matches!(Schedule::parse("* * * * *", "Mars/Olympus"), Err(Refused::Zone(_))));
    }

    #[test]
    fn missed_ticks_are_made_up_for_as_the_policy_says() {
        let minutes = Schedule::parse("*/10 * * * *", "UTC").unwrap();
        let (first, now) = (utc("2026-01-01T00:00"), utc("2027-06-01T12:05"));
        let due = |misfire, catch_up| minutes.due(first, now, misfire, catch_up);
        assert_eq!(due(MisfirePolicy::Coalesce, 0), [utc("2027-06-01T12:00")]);
        assert!(due(MisfirePolicy::Skip, 0).is_empty());
        let three = ["2027-06-01T11:40", "2027-06-01T11:50", "2027-06-01T12:00"].map(utc);
        assert_eq!(due(MisfirePolicy::CatchUp, 3), three);
        assert_eq!(due(MisfirePolicy::CatchUp, 100).len(), 100);
        // In time, every policy says the same.
        for misfire in [MisfirePolicy::Coalesce, MisfirePolicy::Skip, MisfirePolicy::CatchUp] {
            let now = first + Duration::seconds(5);
            assert_eq!(minutes.due(first, now, misfire, 3), [first]);
        }
        let yearly = Schedule::parse("0 0 1 1 *", "UTC").unwrap();
        assert_eq!(
            yearly.due(first, now, MisfirePolicy::CatchUp, 9),
            ["2026-01-01T00:00", "2027-01-01T00:00"].map(utc)
        );
    }
}
