//! Reminders that are still to come. The rules of activities set and clear them in the transaction of the change; the one
//! who takes a reminder raises its event in the same transaction, so that it is raised once.

use chrono::{DateTime, Utc};
use entity::{master::WorkKind, tenant::reminder};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::OnConflict,
};
use uuid::Uuid;

use super::{TenantDb, Unit};
use crate::error::Result;

impl Unit {
    /// Sets the reminder of an activity, or clears it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remind(&mut self, activity_id: Uuid, at: Option<DateTime<Utc>>) -> Result<()> {
        self.db.counted();
        let Some(due_at) = at else {
            let clear = reminder::Entity::delete_many()
                .filter(reminder::Column::ActivityId.eq(activity_id))
                .filter(reminder::Column::TenantId.eq(self.actor().tenant_id));
            clear.exec(&self.tx).await?;
            return Ok(());
        };
        let row = reminder::ActiveModel {
            activity_id: Set(activity_id),
            tenant_id: Set(self.actor().tenant_id),
            due_at: Set(due_at),
        };
        let moved = OnConflict::column(reminder::Column::ActivityId).update_column(reminder::Column::DueAt).to_owned();
        let set = reminder::Entity::insert(row).on_conflict(moved).into_query();
        self.tx.execute(&set).await?;
        self.make_due(WorkKind::Reminder, due_at);
        Ok(())
    }

    /// Takes a reminder that is due; answers false when somebody else took it, or it was moved.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_reminder(&mut self, reminder: &reminder::Model) -> Result<bool> {
        self.db.counted();
        let take = reminder::Entity::delete_many()
            .filter(reminder::Column::ActivityId.eq(reminder.activity_id))
            .filter(reminder::Column::TenantId.eq(self.actor().tenant_id))
            .filter(reminder::Column::DueAt.eq(reminder.due_at));
        Ok(take.exec(&self.tx).await?.rows_affected == 1)
    }
}

impl TenantDb {
    /// Reminders that are due, the longest due first: at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reminders_due(&self, limit: u64) -> Result<Vec<reminder::Model>> {
        let query = reminder::Entity::find()
            .filter(reminder::Column::TenantId.eq(self.tenant.id))
            .filter(reminder::Column::DueAt.lte(self.clock().now()))
            .order_by_asc(reminder::Column::DueAt)
            .limit(limit);
        self.counted();
        Ok(query.all(self.tenant.engine.reader()).await?)
    }

    /// When the next reminder is due; none when none is to come.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reminder_next(&self) -> Result<Option<DateTime<Utc>>> {
        let query = reminder::Entity::find()
            .filter(reminder::Column::TenantId.eq(self.tenant.id))
            .order_by_asc(reminder::Column::DueAt)
            .limit(1);
        self.counted();
        Ok(query.one(self.tenant.engine.reader()).await?.map(|reminder| reminder.due_at))
    }
}
