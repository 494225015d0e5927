//! Reminders: when the moment comes at which somebody wants to be reminded of an activity, `activity.due` is raised, once.
//! What users hear of it follows from the event.
//!
//! The event is raised in the transaction that takes the reminder away. An activity that was done, cancelled or deleted
//! meanwhile has none any more.

use chrono::{DateTime, Utc};
use entity::{
    master::WorkKind,
    tenant::activity::{self, ActivityStatus},
};
use futures_util::{FutureExt, future::BoxFuture};
use sea_orm::{ColumnTrait, Condition};

use crate::{data::TenantDb, error::Result, jobs::Work};

/// How many reminders of a tenant are raised before others have their turn.
const BATCH: u64 = 100;

/// Raises what is due.
pub struct Reminders;

async fn raise_due(db: &TenantDb) -> Result<Option<DateTime<Utc>>> {
    for reminder in db.reminders_due(BATCH).await? {
        db.write(async |unit| {
            if !unit.take_reminder(&reminder).await? {
                return Ok(());
            }
            let id = reminder.activity_id;
            let open = [ActivityStatus::Planned, ActivityStatus::InProgress];
            let to_do = Condition::all().add(activity::Column::Id.eq(id)).add(activity::Column::Status.is_in(open));
            if let Some(activity) = unit.find::<activity::Entity>(to_do).await? {
                unit.raise_of::<activity::Entity>("due", id, &activity);
            }
            Ok(())
        })
        .await?;
    }
    db.reminder_next().await
}

impl Work for Reminders {
    fn kind(&self) -> WorkKind {
        WorkKind::Reminder
    }

    fn run<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        raise_due(db).boxed()
    }

    fn next<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        db.reminder_next().boxed()
    }
}
