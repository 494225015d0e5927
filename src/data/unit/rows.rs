//! Rows that rules read, lock and remove on behalf of the row that is written.
//!
//! Rules must hold for all rows of the tenant and not only for those that the actor sees, so most of these ignore the
//! actor's DataScope; what they answer must not reach the actor.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use entity::record::{Record, RecordMeta};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, QueryFilter, QuerySelect,
    sea_query::{Alias, Condition, Expr, ExprTrait, Func, LockType, Query},
};
use uuid::Uuid;

use super::{Change, Unit, set};
use crate::{
    auth::Actor,
    condition::sql::Dialect,
    data::{Deleted, scope},
    error::{Error, Result},
};

/// The row of that id.
fn with_id<R: Record>(id: Uuid) -> Condition {
    Condition::all().add(Expr::col((Alias::new(R::NAME), Alias::new("id"))).eq(id))
}

impl Unit {
    /// The row with this id, whoever may see it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn any_row<R: Record>(&self, id: Uuid) -> Result<Option<R::Model>> {
        Ok(self.all_rows::<R>(with_id::<R>(id)).await?.pop())
    }

    /// The row with this id, whoever may see it, locked until the unit ends: for what is counted or added up over the
    /// rows that belong to it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_row<R: Record>(&self, id: Uuid) -> Result<Option<R::Model>> {
        Ok(self.locked::<R>(with_id::<R>(id), LockType::Update, Deleted::Hidden).await?.pop())
    }

    /// As [`Unit::lock_row`], also where the row is deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_row_ever<R: Record>(&self, id: Uuid) -> Result<Option<R::Model>> {
        Ok(self.locked::<R>(with_id::<R>(id), LockType::Update, Deleted::Included).await?.pop())
    }

    /// The row with this id, whoever may see it, which nobody changes until the unit ends; others may refer to it too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_row<R: Record>(&self, id: Uuid) -> Result<Option<R::Model>> {
        Ok(self.locked::<R>(with_id::<R>(id), LockType::Share, Deleted::Hidden).await?.pop())
    }

    /// Waits for every other unit that is here under the same name, until it ends: for rules over rows that no one of the
    /// units alone would lock. SQLite has one writer, so there it is always so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn one_at_a_time(&self, name: &str) -> Result<()> {
        if self.db.dialect() == Dialect::Postgres {
            let lock = Func::cust("pg_advisory_xact_lock").arg(Func::cust("hashtext").arg(name));
            self.db.counted();
            self.tx.query_one(&Query::select().expr(lock).to_owned()).await?;
        }
        Ok(())
    }

    /// All rows of the tenant that meet the condition, locked until the unit ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_rows<R: Record>(&self, condition: impl Into<Condition>) -> Result<Vec<R::Model>> {
        self.locked::<R>(condition.into(), LockType::Update, Deleted::Hidden).await
    }

    async fn locked<R: Record>(&self, condition: Condition, lock: LockType, deleted: Deleted) -> Result<Vec<R::Model>> {
        let meta = R::meta();
        let system = Actor::system(self.actor().tenant_id);
        let reach = scope::reach(meta, &system, meta.name, deleted)?;
        self.db.counted();
        Ok(R::find().filter(reach).filter(condition).lock(lock).all(&self.tx).await?)
    }

    /// Whether any row of the tenant meets the condition, whoever may see it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn exists<R: Record>(&self, condition: impl Into<Condition>) -> Result<bool> {
        let system = Actor::system(self.actor().tenant_id);
        self.any(R::meta(), &system, condition.into()).await
    }

    /// Whether there is a row of that record and id that the actor may read; not when the permission is missing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sees(&self, meta: &'static RecordMeta, id: Uuid) -> Result<bool> {
        let with_id = Condition::all().add(Expr::col((Alias::new(meta.name), Alias::new("id"))).eq(id));
        match self.any(meta, self.actor(), with_id).await {
            Err(Error::Forbidden { .. }) => Ok(false),
            seen => seen,
        }
    }

    /// Which of these records somebody else may read, by the same rule as lists; deleted ones count. For what is done on
    /// that one's behalf.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn seen_by(&self, actor: &Actor, meta: &'static RecordMeta, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
        let Ok(reach) = scope::reach(meta, actor, meta.name, Deleted::Included) else { return Ok(HashSet::new()) };
        if scope::reaches_all(meta, actor)? {
            return Ok(ids.iter().copied().collect());
        }
        let query = Query::select()
            .column((Alias::new(meta.name), Alias::new("id")))
            .from(meta.name)
            .cond_where(reach)
            .and_where(Expr::col((Alias::new(meta.name), Alias::new("id"))).is_in(ids.iter().copied()))
            .to_owned();
        self.db.counted();
        let rows = self.tx.query_all(&query).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    async fn any(&self, meta: &RecordMeta, actor: &Actor, condition: Condition) -> Result<bool> {
        let rows = Query::select()
            .expr(Expr::cust("1"))
            .from(meta.name)
            .cond_where(scope::reach(meta, actor, meta.name, Deleted::Hidden)?)
            .cond_where(condition)
            .to_owned();
        self.db.counted();
        let query = Query::select().expr(Expr::exists(rows)).to_owned();
        let row = self.tx.query_one(&query).await?.ok_or_else(|| Error::internal("EXISTS answered nothing"))?;
        Ok(row.try_get_by_index(0)?)
    }

    /// Deletes a row as a rule demands: no permission is asked for and no rules run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_by_rule<R: Record>(&mut self, before: &R::Model) -> Result<R::Model> {
        let mut change = <R::ActiveModel as ActiveModelTrait>::default();
        set::<R>(&mut change, "is_deleted", true)?;
        set::<R>(&mut change, "deleted_at", Some(self.now))?;
        set::<R>(&mut change, "deleted_by", Some(self.actor().user_id))?;
        Ok(self.alter::<R>(before, change, Change::Deleted, false).await?.0)
    }
    /// Brings a deleted row back as a rule demands, with a change that goes with it: no permission is asked for and no
    /// rules run.
    ///
    /// # Errors
    /// [`Error::User`] for what a user can mend: something unique may have been taken meanwhile.
    pub async fn restore_by_rule<R: Record>(
        &mut self,
        before: &R::Model,
        mut change: R::ActiveModel,
    ) -> Result<R::Model> {
        set::<R>(&mut change, "is_deleted", false)?;
        set::<R>(&mut change, "deleted_at", None::<DateTime<Utc>>)?;
        set::<R>(&mut change, "deleted_by", None::<Uuid>)?;
        Ok(self.alter::<R>(before, change, Change::Restored, false).await?.0)
    }
}
