//! The rules of activities.
//!
//! PLANNED → IN_PROGRESS → COMPLETED or CANCELLED; a step may be left out, none goes back, and what is completed or
//! cancelled stays so. COMPLETED has the moment when it was done, which is not in the future; other activities have
//! none. It does not end before it begins. The recurrence is an RRULE ([`super::recurrence`]), the attendees are e-mail
//! addresses, and what it is about is a record that the actor sees ([`super::related`]).
//!
//! An activity that is not done has a reminder at `remind_at`, unless that has passed when it is written. When its time
//! comes `activity.due` is raised, once (`services::automation::reminders`).

use chrono::{DateTime, Duration, Utc};
use entity::tenant::activity::{self, ActivityStatus, Entity, Priority};
use sea_orm::ActiveValue::{self, Set};
use serde_json::json;
use uuid::Uuid;

use super::{recurrence, related};
use crate::{
    data::{Rules, Unit, email_address},
    error::{Error, Result, UserErrorCode},
};

/// The status that can follow a status.
const fn follows(status: ActivityStatus) -> &'static [ActivityStatus] {
    use ActivityStatus::{Cancelled, Completed, InProgress, Planned};
    match status {
        Planned => &[InProgress, Completed, Cancelled],
        InProgress => &[Completed, Cancelled],
        Completed | Cancelled => &[],
    }
}

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut activity::ActiveModel) -> Result<()> {
        let status = match new.status {
            ActiveValue::Set(status) => status,
            _ => ActivityStatus::Planned,
        };
        new.status = Set(status);
        if new.priority.is_not_set() {
            new.priority = Set(Priority::Normal);
        }
        check(unit, None, new, status)?;
        related::check(unit, None, &new.related_type, &new.related_id).await
    }

    async fn before_update(
        unit: &mut Unit,
        before: &activity::Model,
        change: &mut activity::ActiveModel,
    ) -> Result<()> {
        let status = match change.status {
            ActiveValue::Set(status) => status,
            _ => before.status,
        };
        if status != before.status && !follows(before.status).contains(&status) {
            let message = match before.status {
                ActivityStatus::Completed => "a completed activity stays completed; plan a new one",
                ActivityStatus::Cancelled => "a cancelled activity stays cancelled; plan a new one",
                _ => "an activity does not go back; it goes on to IN_PROGRESS, COMPLETED or CANCELLED",
            };
            return refuse(UserErrorCode::InvalidState, "status", message);
        }
        check(unit, Some(before), change, status)?;
        let about = Some((&before.related_type, before.related_id));
        related::check(unit, about, &change.related_type, &change.related_id).await
    }

    async fn before_delete(unit: &mut Unit, row: &activity::Model) -> Result<()> {
        match reminder(row) {
            Some(_) => unit.remind(row.id, None).await,
            None => Ok(()),
        }
    }

    async fn after_write(unit: &mut Unit, before: Option<&activity::Model>, after: &activity::Model) -> Result<()> {
        remind(unit, before, after).await?;
        if after.status == ActivityStatus::Completed && before.is_none_or(|before| before.status != after.status) {
            unit.raise::<Self>("completed", after.id);
        }
        Ok(())
    }
}

/// When the owner is to be reminded of an activity; none when it is done or gone.
fn reminder(activity: &activity::Model) -> Option<DateTime<Utc>> {
    let open = matches!(activity.status, ActivityStatus::Planned | ActivityStatus::InProgress);
    activity.remind_at.filter(|_| open && !activity.is_deleted)
}

/// Keeps the reminder as the activity says. One whose moment has passed reminds nobody; a little late is not too late,
/// since "now" was a moment ago on the user's clock.
async fn remind(unit: &mut Unit, before: Option<&activity::Model>, after: &activity::Model) -> Result<()> {
    let (was, is) = (before.and_then(reminder), reminder(after));
    if was == is {
        return Ok(());
    }
    let grace = if before.is_some_and(|before| before.is_deleted) { Duration::zero() } else { Duration::minutes(1) };
    let to_come = is.filter(|at| *at > unit.now() - grace);
    if was.is_none() && to_come.is_none() {
        return Ok(());
    }
    unit.remind(after.id, to_come).await
}

fn refuse<T>(code: UserErrorCode, field: &str, message: &str) -> Result<T> {
    Err(Error::user(code, &["input", field], message))
}

/// Checks the values that are given, and makes the moment of completion what the status asks for.
fn check(
    unit: &Unit,
    before: Option<&activity::Model>,
    row: &mut activity::ActiveModel,
    status: ActivityStatus,
) -> Result<()> {
    let done = status == ActivityStatus::Completed;
    match (&row.completed_at, done) {
        (ActiveValue::Set(Some(at)), true) if *at > unit.now() => {
            return refuse(UserErrorCode::Invalid, "completedAt", "an activity is not completed in the future");
        }
        (ActiveValue::Set(Some(_)), true) => {}
        (ActiveValue::Set(Some(_)), false) => {
            return refuse(UserErrorCode::Invalid, "completedAt", "only a completed activity has been done");
        }
        (_, true) if before.is_none_or(|before| before.completed_at.is_none()) => {
            row.completed_at = Set(Some(unit.now()));
        }
        _ => row.completed_at = ActiveValue::NotSet,
    }
    let times_given = row.start_at.is_set() || row.due_at.is_set();
    let start = time(&row.start_at, before.and_then(|before| before.start_at));
    let due = time(&row.due_at, before.and_then(|before| before.due_at));
    if times_given && start.zip(due).is_some_and(|(start, due)| due < start) {
        return refuse(UserErrorCode::Invalid, "dueAt", "an activity does not end before it begins");
    }
    if let ActiveValue::Set(Some(rule)) = &row.recurrence
        && !rule.trim().is_empty()
    {
        match recurrence::normalised(rule) {
            Ok(rule) => row.recurrence = Set(Some(rule)),
            Err(message) => return refuse(UserErrorCode::Invalid, "recurrence", &message),
        }
    }
    if let ActiveValue::Set(attendees) = &row.attendees {
        row.attendees = Set(json!(addresses(attendees)?));
    }
    Ok(())
}

fn time(value: &ActiveValue<Option<DateTime<Utc>>>, before: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    match value {
        ActiveValue::Set(value) => *value,
        _ => before,
    }
}

/// The addresses in their usual form, each once.
fn addresses(attendees: &serde_json::Value) -> Result<Vec<String>> {
    let mut addresses: Vec<String> = Vec::new();
    for (place, attendee) in attendees.as_array().into_iter().flatten().enumerate() {
        match attendee.as_str().and_then(|text| email_address(text.trim())) {
            Some(address) if addresses.contains(&address) => {}
            Some(address) => addresses.push(address),
            None => {
                let path = ["input", "attendees", &place.to_string()];
                return Err(Error::user(UserErrorCode::Invalid, &path, "this is no e-mail address"));
            }
        }
    }
    Ok(addresses)
}

/// Completes an activity. One that is completed already stays as it is.
///
/// # Errors
/// As [`Unit::update`].
pub async fn complete(
    unit: &mut Unit,
    id: Uuid,
    completed_at: Option<DateTime<Utc>>,
    expected: Option<i32>,
) -> Result<Uuid> {
    let change = activity::ActiveModel {
        status: Set(ActivityStatus::Completed),
        completed_at: completed_at.map_or(ActiveValue::NotSet, |at| Set(Some(at))),
        ..Default::default()
    };
    unit.update::<Entity>(id, expected, change).await?;
    Ok(id)
}
