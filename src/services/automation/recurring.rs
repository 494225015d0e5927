//! The recurring jobs of the platform.
//!
//! | job | when | what it does |
//! |---|---|---|
//! | `ProcessEmailQueueJob` | every 2 minutes | waiting e-mail |
//! | `ProcessWebhookDeliveriesJob` | every 5 minutes | webhook deliveries that are due |
//! | `SendReminderNotificationsJob` | every 10 minutes | reminders that are due |
//! | `CleanupOldDataJob` | every hour | see [`super::cleanup`] |
//!
//! What users wait for waits for none of them: it is worked on when it is committed or at its due second
//! ([`crate::jobs::Worker`]). These are the safety net. A tick asks the index which tenants have something due that nobody is
//! at, hands those to the worker of this node, and says in its summary how much there was and how late. It opens no tenant's
//! database.

use chrono::{DateTime, Duration, Utc};
use entity::master::WorkKind;
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    data::due::DueWork,
    error::Result,
    jobs::{Declared, Job, Summary},
};

/// How many tenants a tick hands to the worker. What is left over is found by the worker itself.
const HANDED: u64 = 500;
/// Work that waits for longer than this is late, and the log says so.
const LATE: Duration = Duration::minutes(1);

/// A safety net over one kind of work.
pub struct Net {
    due: DueWork,
    kind: WorkKind,
    name: &'static str,
    description: &'static str,
    schedule: &'static str,
}

impl Net {
    /// Over outgoing e-mail.
    #[must_use]
    pub fn email(due: DueWork) -> Self {
        let (name, schedule) = ("ProcessEmailQueueJob", "*/2 * * * *");
        Self { due, kind: WorkKind::Email, name, description: "Hands waiting e-mail to the worker.", schedule }
    }

    /// Over webhooks.
    #[must_use]
    pub fn webhooks(due: DueWork) -> Self {
        let (name, schedule) = ("ProcessWebhookDeliveriesJob", "*/5 * * * *");
        let description = "Hands webhook deliveries that are due to the worker.";
        Self { due, kind: WorkKind::Webhook, name, description, schedule }
    }

    /// Over reminders.
    #[must_use]
    pub fn reminders(due: DueWork) -> Self {
        let (name, schedule) = ("SendReminderNotificationsJob", "*/10 * * * *");
        Self {
            due,
            kind: WorkKind::Reminder,
            name,
            description: "Hands reminders that are due to the worker.",
            schedule,
        }
    }

    async fn hand_over(&self, now: DateTime<Utc>) -> Result<Summary> {
        let waiting = self.due.waiting(self.kind, HANDED).await?;
        let failing = waiting.iter().filter(|work| work.failures > 0).count();
        let late = waiting.iter().filter(|work| work.due_at.is_some_and(|due| due < now - LATE)).count();
        if late > 0 {
            tracing::warn!(kind = ?self.kind, tenants = late, "work is late: no worker has come to it for a minute");
        }
        for work in &waiting {
            self.due.hint(work.tenant_id, work.kind);
        }
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(Summary::default()
            .with("tenants", count(waiting.len()))
            .with("late", count(late))
            .with("failing", count(failing)))
    }
}

impl Job for Net {
    fn name(&self) -> &'static str {
        self.name
    }

    fn description(&self) -> &'static str {
        self.description
    }

    fn declared(&self) -> Declared {
        Declared::sweep(self.schedule)
    }

    fn run(&self, _tick: DateTime<Utc>) -> BoxFuture<'_, Result<Summary>> {
        let now = self.due.now();
        self.hand_over(now).boxed()
    }
}
