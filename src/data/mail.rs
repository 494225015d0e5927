//! The tenant's outgoing e-mail, for the mailer. Messages come to be in a unit of work
//! ([`super::Unit::queue_email`]); what becomes of them afterwards is no change of a record, so it leaves no audit entry
//! and no event.
//!
//! An attempt is counted, and the next one set, before the message is handed to the mail server: a message that a crash
//! interrupts is tried again, and one that crashes the process is given up in the end.

use chrono::{DateTime, Utc};
use entity::tenant::email_message::{self, EmailStatus};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use serde_json::json;

use super::TenantDb;
use crate::error::Result;

/// What became of an attempt to send a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The mail server took it.
    Taken,
    /// It is tried again at the time that was set when the attempt began.
    Later {
        /// What went wrong.
        reason: String,
    },
    /// It is given up.
    Never {
        /// Whether the mail server refused the recipient.
        bounced: bool,
        /// What went wrong.
        reason: String,
    },
}

impl TenantDb {
    /// Messages that are due, the longest due first: at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mail_due(&self, limit: u64) -> Result<Vec<email_message::Model>> {
        let query = self
            .mail()
            .filter(email_message::Column::NextAttemptAt.lte(self.clock().now()))
            .order_by_asc(email_message::Column::NextAttemptAt)
            .order_by_asc(email_message::Column::Id)
            .limit(limit);
        self.counted();
        Ok(query.all(self.tenant.engine.reader()).await?)
    }

    /// When the next message is due; none when none waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mail_next(&self) -> Result<Option<DateTime<Utc>>> {
        let query = self
            .mail()
            .order_by_asc(email_message::Column::NextAttemptAt)
            .order_by_asc(email_message::Column::Id)
            .limit(1);
        self.counted();
        Ok(query.one(self.tenant.engine.reader()).await?.map(|message| message.next_attempt_at))
    }

    fn mail(&self) -> sea_orm::Select<email_message::Entity> {
        email_message::Entity::find()
            .filter(email_message::Column::TenantId.eq(self.tenant.id))
            // Said in the statement itself: an index over those that wait serves no status that is a parameter.
            .filter(Expr::cust("\"status\" = 'QUEUED'"))
    }

    /// Begins an attempt: counts it, and sets when the next one is, should this one come to nothing. Answers false when
    /// somebody else has begun it meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mail_begin(&self, message: &email_message::Model, next: DateTime<Utc>) -> Result<bool> {
        let begin = email_message::Entity::update_many()
            .col_expr(email_message::Column::Attempts, Expr::value(message.attempts + 1))
            .col_expr(email_message::Column::NextAttemptAt, Expr::value(next))
            .filter(email_message::Column::Id.eq(message.id))
            .filter(email_message::Column::TenantId.eq(self.tenant.id))
            .filter(email_message::Column::Status.eq(EmailStatus::Queued))
            .filter(email_message::Column::Attempts.eq(message.attempts));
        self.counted();
        Ok(begin.exec(self.tenant.engine.writer()).await?.rows_affected == 1)
    }

    /// Ends the attempt that was begun with this message. What it was filled with goes when it is sent or given up: it
    /// may hold a one-time link. Nothing happens when somebody else has begun another attempt meanwhile.
    ///
    /// # Errors
    /// When the database fails; the message is then sent once more.
    pub async fn mail_end(&self, message: &email_message::Model, sent: &Sent) -> Result<()> {
        let (status, reason) = match sent {
            Sent::Taken => (EmailStatus::Sent, None),
            Sent::Later { reason } => (EmailStatus::Queued, Some(reason)),
            Sent::Never { bounced: true, reason } => (EmailStatus::Bounced, Some(reason)),
            Sent::Never { bounced: false, reason } => (EmailStatus::Failed, Some(reason)),
        };
        let mut end = email_message::Entity::update_many()
            .col_expr(email_message::Column::Status, Expr::value(status))
            .col_expr(email_message::Column::LastError, Expr::value(reason.cloned()))
            .filter(email_message::Column::Id.eq(message.id))
            .filter(email_message::Column::TenantId.eq(self.tenant.id))
            .filter(email_message::Column::Status.eq(EmailStatus::Queued))
            .filter(email_message::Column::Attempts.eq(message.attempts + 1));
        if status != EmailStatus::Queued {
            end = end.col_expr(email_message::Column::Variables, Expr::value(json!({})));
        }
        if status == EmailStatus::Sent {
            end = end.col_expr(email_message::Column::SentAt, Expr::value(self.clock().now()));
        }
        self.counted();
        end.exec(self.tenant.engine.writer()).await?;
        Ok(())
    }
}
