//! The unit of work: one transaction of rows, their audit entries and their events.
//!
//! A write checks the permission, re-reads the row through the actor's scope (locking it), compares
//! `expectedVersion`, checks and normalises every value, runs the record's [`Rules`], stamps the audit columns and
//! notes the difference. When the work is done the journal is sealed and committed, and only then do listeners hear
//! of it. A unit that is dropped, because the request was cancelled or ran out of time, rolls back.

mod rows;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use entity::{
    master::WorkKind,
    record::{Kind, Link, Record, RecordMeta},
    tenant::email_message::{self, EmailStatus},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IdenStatic, Iterable,
    ModelTrait, QueryFilter, QuerySelect, SqlErr, Value,
    sea_query::{Alias, Condition, Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::{
    Deleted, Rules, TenantDb, checks,
    find::column,
    hints::Hint,
    idempotency::{Outcome, Step},
    ids,
    journal::{Change, Difference, Journal},
    scope, value,
};
use crate::{
    auth::{Action, Actor, ActorKind, Permission},
    error::{Error, Result, UserError, UserErrorCode},
    failpoint,
};

/// The work that every event makes due: that of the consumers of the outbox.
const CONSUMERS: [WorkKind; 2] = [WorkKind::Notification, WorkKind::Webhook];

/// One transaction that writes. See the module.
pub struct Unit {
    pub(super) tx: DatabaseTransaction,
    pub(super) db: TenantDb,
    now: DateTime<Utc>,
    journal: Journal,
    savepoints: u32,
    waived: Vec<String>,
    /// What this unit makes due and when, which is noted before it is committed.
    due: HashMap<WorkKind, DateTime<Utc>>,
}

impl TenantDb {
    /// Runs `work` in one transaction: committed when it answers `Ok`, rolled back otherwise.
    ///
    /// # Errors
    /// Those of `work`, and those of the database.
    // The commit is boxed, here and below: it is large, and would lie on the stack of every writer.
    pub async fn write<T>(&self, work: impl AsyncFnOnce(&mut Unit) -> Result<T>) -> Result<T> {
        let mut unit = Unit::begin(self).await?;
        match work(&mut unit).await {
            Ok(done) => {
                Box::pin(unit.commit()).await?;
                Ok(done)
            }
            Err(error) => {
                unit.tx.rollback().await?;
                Err(error)
            }
        }
    }

    /// Runs one mutation under the request's idempotency key, if it came with one: what a user can mend becomes part
    /// of the outcome, and a repeated request gets the outcome of the first.
    ///
    /// # Errors
    /// What the caller did wrong, and faults of ours.
    pub async fn mutate(&self, work: impl AsyncFnOnce(&mut Unit) -> Result<Outcome>) -> Result<Outcome> {
        let number = self.request.steps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut unit = Unit::begin(self).await?;
        let Some(key) = &self.request.key else {
            return match work(&mut unit).await {
                Ok(outcome) => Box::pin(unit.commit()).await.map(|()| outcome),
                Err(error) => {
                    unit.tx.rollback().await?;
                    refused(error)
                }
            };
        };
        let step = Step {
            key,
            number: i32::try_from(number).unwrap_or(i32::MAX),
            tenant_id: self.actor.tenant_id,
            actor_id: self.actor.user_id,
            now: unit.now,
        };
        if let Some(earlier) = step.take(&unit.tx).await? {
            unit.tx.rollback().await?;
            return Ok(earlier);
        }
        let before = unit.savepoint().await?;
        let outcome = match work(&mut unit).await {
            Ok(outcome) => outcome,
            Err(error) => match refused(error) {
                Ok(outcome) => {
                    unit.rollback_to(before).await?;
                    outcome
                }
                Err(error) => {
                    unit.tx.rollback().await?;
                    return Err(error);
                }
            },
        };
        step.store(&unit.tx, &outcome).await?;
        Box::pin(unit.commit()).await?;
        Ok(outcome)
    }
}

/// The outcome of an error that a user can mend; any other error stays one.
///
/// # Errors
/// The error itself when no user can mend it.
pub fn refused(error: Error) -> Result<Outcome> {
    match error {
        Error::User(errors) => Ok(Outcome::refused(errors)),
        Error::NotFound => {
            Ok(Outcome::refused(vec![UserError::new(UserErrorCode::NotFound, &["id"], "there is no such record")]))
        }
        other => Err(other),
    }
}

/// A point within a unit to go back to.
pub struct Savepoint {
    name: String,
    mark: super::journal::Mark,
}

impl Unit {
    pub(super) async fn begin(db: &TenantDb) -> Result<Self> {
        let tx = db.tenant.engine.begin().await?;
        Ok(Self {
            tx,
            db: db.clone(),
            now: db.clock().now(),
            journal: Journal::default(),
            savepoints: 0,
            waived: Vec::new(),
            due: HashMap::new(),
        })
    }

    pub(super) async fn commit(self) -> Result<()> {
        let tenant = &self.db.tenant;
        // Before the journal is sealed: from there to the commit all other writers of the tenant wait.
        let mut due = self.due;
        if self.journal.has_events() {
            due.extend(CONSUMERS.map(|kind| (kind, self.now)));
        }
        let (now, later): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, at)| *at <= self.now);
        let now: Vec<WorkKind> = now.into_iter().map(|(kind, _)| kind).collect();
        for (kind, at) in later {
            tenant.due.mark(tenant.id, kind, at).await?;
        }
        tenant.due.mark_all(tenant.id, &now, self.now).await?;
        failpoint::pass("unit.marked");
        let salt = || HEXLOWER.encode(&rand::random::<[u8; 16]>());
        let (events, statements) = self.journal.seal(&self.tx, tenant.id, &self.db.actor, self.now, salt).await?;
        self.db.request.statements.fetch_add(statements, std::sync::atomic::Ordering::Relaxed);
        failpoint::pass("unit.sealed");
        self.tx.commit().await?;
        failpoint::pass("unit.committed");
        for kind in now {
            tenant.due.hint(tenant.id, kind);
        }
        if let Some(newest) = events.last() {
            tenant.hints.tell(Hint::Events { tenant_id: tenant.id, seq: newest.seq });
        }
        tenant.feed.publish(events);
        Ok(())
    }

    /// The moment of this unit: everything it writes carries it.
    #[must_use]
    pub const fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.db.actor
    }

    /// Lets what is written from now on break this rule, such as `lost_reason`: for imports of what happened elsewhere,
    /// where nobody can say any more what the rule asks for. A record's service names the rules that can be waived.
    pub fn waive(&mut self, rule: impl Into<String>) {
        self.waived.push(rule.into());
    }

    /// Whether this rule is waived.
    #[must_use]
    pub fn waives(&self, rule: &str) -> bool {
        self.waived.iter().any(|waived| waived == rule)
    }

    /// Marks this point, so that what follows can be undone without the rest.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn savepoint(&mut self) -> Result<Savepoint> {
        self.savepoints += 1;
        let name = format!("s{}", self.savepoints);
        self.tx.execute_unprepared(&format!("SAVEPOINT {name}")).await?;
        Ok(Savepoint { name, mark: self.journal.mark() })
    }

    /// Undoes everything since the savepoint: rows, audit entries and events.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        let name = &savepoint.name;
        self.tx.execute_unprepared(&format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")).await?;
        self.journal.rewind(savepoint.mark);
        Ok(())
    }

    /// Forgets a savepoint whose work stays. Thousands of open ones would slow PostgreSQL down.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release(&mut self, savepoint: Savepoint) -> Result<()> {
        self.tx.execute_unprepared(&format!("RELEASE SAVEPOINT {}", savepoint.name)).await?;
        Ok(())
    }

    /// A row that the actor may read.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, [`Error::Forbidden`] without the read permission.
    pub async fn get<R: Record>(&self, id: Uuid) -> Result<R::Model> {
        self.find::<R>(Condition::all().add(Expr::col((Alias::new(R::NAME), Alias::new("id"))).eq(id)))
            .await?
            .ok_or(Error::NotFound)
    }

    /// The first row that the actor may read and that meets the condition.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the read permission.
    pub async fn find<R: Record>(&self, condition: impl Into<Condition>) -> Result<Option<R::Model>> {
        let meta = R::meta();
        let reach = scope::reach(meta, self.actor(), meta.name, Deleted::Hidden)?;
        self.db.counted();
        Ok(R::find().filter(reach).filter(condition.into()).one(&self.tx).await?)
    }

    /// All rows of the tenant that meet the condition, whoever may see them. For rules, which must hold for all rows
    /// and not only for those that the actor sees; what it answers must not reach the actor.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_rows<R: Record>(&self, condition: impl Into<Condition>) -> Result<Vec<R::Model>> {
        let meta = R::meta();
        let system = Actor::system(self.actor().tenant_id);
        let reach = scope::reach(meta, &system, meta.name, Deleted::Hidden)?;
        self.db.counted();
        Ok(R::find().filter(reach).filter(condition.into()).all(&self.tx).await?)
    }

    /// The next number of a series of the tenant, such as that of tickets: without gaps, because it is taken in this
    /// transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_number(&self, series: &str) -> Result<i64> {
        let take = Query::insert()
            .into_table("number_series")
            .columns(["name", "tenant_id", "last"])
            .values_panic([series.into(), self.actor().tenant_id.into(), 1i64.into()])
            .on_conflict(
                sea_orm::sea_query::OnConflict::column("name")
                    .value("last", Expr::col((Alias::new("number_series"), Alias::new("last"))).add(1))
                    .to_owned(),
            )
            .returning_col("last")
            .to_owned();
        self.db.counted();
        let row = self.tx.query_one(&take).await?.ok_or_else(|| Error::internal("no number was given"))?;
        Ok(row.try_get_by_index(0)?)
    }

    /// Inserts a row.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission, [`Error::User`] for what a user can mend.
    pub async fn insert<R: Rules>(&mut self, mut new: R::ActiveModel) -> Result<R::Model> {
        self.actor().require(scope::permission(R::meta(), Action::Write))?;
        R::before_insert(self, &mut new).await?;
        let after = self.put::<R>(new, true).await?;
        R::after_write(self, None, &after).await?;
        Ok(after)
    }

    /// Inserts a row that follows from a rule: history, defaults. No permission is asked for and no rules run.
    ///
    /// # Errors
    /// [`Error::User`] for what a user can mend.
    pub async fn insert_by_rule<R: Record>(&mut self, new: R::ActiveModel) -> Result<R::Model> {
        self.put::<R>(new, false).await
    }

    /// Changes a row. When nothing would change, nothing is written.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the actor does not see the row, [`Error::Forbidden`] without the permission,
    /// [`Error::User`] for what a user can mend, a stale version among it.
    pub async fn update<R: Rules>(
        &mut self,
        id: Uuid,
        expected: Option<i32>,
        mut change: R::ActiveModel,
    ) -> Result<R::Model> {
        let before = self.own::<R>(id, expected, Action::Write, Deleted::Hidden).await?;
        R::before_update(self, &before, &mut change).await?;
        let (after, changed) = self.alter::<R>(&before, change, Change::Updated, true).await?;
        if changed {
            R::after_write(self, Some(&before), &after).await?;
        }
        Ok(after)
    }

    /// Changes a row as a rule demands: no permission is asked for and no rules run.
    ///
    /// # Errors
    /// [`Error::User`] for what a user can mend.
    pub async fn update_by_rule<R: Record>(&mut self, before: &R::Model, change: R::ActiveModel) -> Result<R::Model> {
        Ok(self.alter::<R>(before, change, Change::Updated, false).await?.0)
    }

    /// Deletes a row. It keeps its place and can be restored.
    ///
    /// # Errors
    /// As [`Unit::update`].
    pub async fn delete<R: Rules>(&mut self, id: Uuid, expected: Option<i32>) -> Result<R::Model> {
        let before = self.own::<R>(id, expected, Action::Delete, Deleted::Hidden).await?;
        R::before_delete(self, &before).await?;
        self.delete_by_rule::<R>(&before).await
    }

    /// A row that a service is about to change by [`Unit::update_by_rule`] or [`Unit::delete_by_rule`]: seen by the
    /// actor, who holds the permission for `action`; locked, and of the expected version.
    ///
    /// # Errors
    /// As [`Unit::update`].
    pub async fn claim<R: Record>(&mut self, id: Uuid, expected: Option<i32>, action: Action) -> Result<R::Model> {
        self.own::<R>(id, expected, action, Deleted::Hidden).await
    }

    /// A row that a service is about to bring back by [`Unit::restore_by_rule`], as [`Unit::claim`] answers one that is
    /// there; one that is not deleted is answered as well.
    ///
    /// # Errors
    /// As [`Unit::update`].
    pub async fn claim_deleted<R: Record>(&mut self, id: Uuid) -> Result<R::Model> {
        self.own::<R>(id, None, Action::Restore, Deleted::Included).await
    }

    /// Puts an e-mail into the tenant's queue: it is sent when this unit has been committed, and never otherwise. Its
    /// variables may hold a one-time link, so it leaves no audit entry and no event.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue_email(&mut self, recipient: &str, template: &str, variables: serde_json::Value) -> Result<Uuid> {
        let id = ids::new(self.now);
        let message = email_message::ActiveModel {
            id: ActiveValue::Set(id),
            tenant_id: ActiveValue::Set(self.actor().tenant_id),
            recipient: ActiveValue::Set(recipient.to_owned()),
            template: ActiveValue::Set(template.to_owned()),
            variables: ActiveValue::Set(variables),
            status: ActiveValue::Set(EmailStatus::Queued),
            attempts: ActiveValue::Set(0),
            created_at: ActiveValue::Set(self.now),
            next_attempt_at: ActiveValue::Set(self.now),
            sent_at: ActiveValue::Set(None),
            last_error: ActiveValue::Set(None),
        };
        self.db.counted();
        email_message::Entity::insert(message).exec_without_returning(&self.tx).await?;
        self.make_due(WorkKind::Email, self.now);
        Ok(id)
    }

    /// Brings a deleted row back; one that is not deleted stays as it is.
    ///
    /// # Errors
    /// As [`Unit::update`].
    pub async fn restore<R: Rules>(&mut self, id: Uuid) -> Result<R::Model> {
        let before = self.own::<R>(id, None, Action::Restore, Deleted::Included).await?;
        if before.get(column::<R>("is_deleted")?) == Value::from(false) {
            return Ok(before);
        }
        let after = self.restore_by_rule::<R>(&before, ActiveModelTrait::default()).await?;
        R::after_write(self, Some(&before), &after).await?;
        Ok(after)
    }

    /// Notes that this unit makes something due.
    pub(super) fn make_due(&mut self, kind: WorkKind, at: DateTime<Utc>) {
        let due = self.due.entry(kind).or_insert(at);
        *due = std::cmp::min(at, *due);
    }

    /// Raises an event of a record beside those that every write raises, such as `opportunity.won`.
    pub fn raise<R: Record>(&mut self, event: &str, record_id: Uuid) {
        let actor = self.db.actor.clone();
        self.journal.raise(R::meta(), event, record_id, &actor, self.now);
    }

    /// Raises an event of a row that this unit does not change, with all that the row says.
    pub fn raise_of<R: Record>(&mut self, event: &str, record_id: Uuid, row: &R::Model) {
        let values: Vec<_> = R::Column::iter().map(|column| (column.as_str(), row.get(column))).collect();
        let actor = self.db.actor.clone();
        self.journal.raise_of(R::meta(), event, record_id, &values, &actor, self.now);
    }

    /// The row that is to be changed: seen by the actor, locked, of the expected version.
    async fn own<R: Record>(
        &mut self,
        id: Uuid,
        expected: Option<i32>,
        action: Action,
        deleted: Deleted,
    ) -> Result<R::Model> {
        let meta = R::meta();
        self.actor().require(scope::permission(meta, action))?;
        let reach = scope::reach(meta, self.actor(), meta.name, deleted)?;
        self.db.counted();
        let row = R::find()
            .filter(reach)
            .filter(Expr::col((Alias::new(meta.name), Alias::new("id"))).eq(id))
            .lock_exclusive()
            .one(&self.tx)
            .await?
            .ok_or(Error::NotFound)?;
        let version = version_of::<R>(&row)?;
        match expected {
            Some(expected) if expected != version => Err(self.stale(meta, id, expected, version).await?),
            _ => Ok(row),
        }
    }

    /// Which fields others have changed since `expected`.
    async fn stale(&self, meta: &RecordMeta, id: Uuid, expected: i32, version: i32) -> Result<Error> {
        let since = Query::select()
            .column("changes")
            .from("audit_log")
            .and_where(Expr::col("tenant_id").eq(self.actor().tenant_id))
            .and_where(Expr::col("record_id").eq(id))
            .and_where(Expr::col("record_version").gt(expected))
            .to_owned();
        self.db.counted();
        let mut fields = Vec::new();
        for row in self.tx.query_all(&since).await? {
            if let serde_json::Value::Object(changes) = row.try_get_by_index(0)? {
                fields.extend(changes.into_iter().map(|(field, _)| field));
            }
        }
        fields.sort();
        fields.dedup();
        let what = if fields.is_empty() { String::new() } else { format!(": {}", fields.join(", ")) };
        let message = format!("this {} is at version {version}, not {expected}; changed since{what}", meta.name);
        Ok(Error::user(UserErrorCode::StaleVersion, &["expectedVersion"], message))
    }

    /// Checks, stamps and inserts a row, and notes it.
    async fn put<R: Record>(&mut self, mut new: R::ActiveModel, by_user: bool) -> Result<R::Model> {
        let meta = R::meta();
        let user = self.actor().user_id;
        let id = match new.get(column::<R>("id")?) {
            ActiveValue::Set(Value::Uuid(Some(id))) => id,
            _ => ids::new(self.now),
        };
        set::<R>(&mut new, "id", id)?;
        set::<R>(&mut new, "tenant_id", self.actor().tenant_id)?;
        set::<R>(&mut new, "version", 1)?;
        set::<R>(&mut new, "created_at", self.now)?;
        set::<R>(&mut new, "created_by", user)?;
        set::<R>(&mut new, "updated_at", self.now)?;
        set::<R>(&mut new, "updated_by", user)?;
        set::<R>(&mut new, "is_deleted", false)?;
        if meta.column("owner_id").is_some() {
            let owner = column::<R>("owner_id")?;
            match new.get(owner) {
                ActiveValue::Set(Value::Uuid(Some(other))) if other != user && by_user => self.may_assign(meta)?,
                ActiveValue::Set(_) => {}
                // The platform owns nothing: it must say who does.
                _ if user.is_nil() => {}
                _ => new.set(owner, user.into()),
            }
        }
        checks::check::<R>(&mut new, true)?;
        if by_user {
            self.check_references(meta, &checks::set_values::<R>(&new)).await?;
        }
        self.db.counted();
        let after = new.insert(&self.tx).await.map_err(|error| taken(meta, error))?;
        let difference = R::Column::iter()
            .map(|column| {
                let value = after.get(column);
                (column.as_str(), value.as_null(), value)
            })
            .filter(|(_, _, value)| !value::is_null(value))
            .collect();
        self.note::<R>(Change::Created, &difference, &after)?;
        Ok(after)
    }

    /// Checks, stamps and makes a change, and notes it. Answers the row and whether anything changed.
    async fn alter<R: Record>(
        &mut self,
        before: &R::Model,
        mut change: R::ActiveModel,
        kind: Change,
        by_user: bool,
    ) -> Result<(R::Model, bool)> {
        let meta = R::meta();
        checks::check::<R>(&mut change, false)?;
        let mut references = Vec::new();
        let mut changed = false;
        for (name, value) in checks::set_values::<R>(&change) {
            let of = column::<R>(name)?;
            if before.get(of) == value {
                change.not_set(of);
                continue;
            }
            changed = true;
            if name == "owner_id" && by_user {
                self.may_assign(meta)?;
            }
            references.push((name, value));
        }
        if !changed {
            return Ok((before.clone(), false));
        }
        if by_user {
            self.check_references(meta, &references).await?;
        }
        let Value::Uuid(Some(id)) = before.get(column::<R>("id")?) else {
            return Err(Error::internal("a row without an id"));
        };
        set::<R>(&mut change, "id", id)?;
        set::<R>(&mut change, "version", version_of::<R>(before)? + 1)?;
        set::<R>(&mut change, "updated_at", self.now)?;
        set::<R>(&mut change, "updated_by", self.actor().user_id)?;
        self.db.counted();
        let after = change.update(&self.tx).await.map_err(|error| taken(meta, error))?;
        let difference = R::Column::iter()
            .map(|column| (column.as_str(), before.get(column), after.get(column)))
            .filter(|(_, before, after)| before != after)
            .collect();
        self.note::<R>(kind, &difference, &after)?;
        Ok((after, true))
    }

    fn note<R: Record>(&mut self, change: Change, difference: &Difference, after: &R::Model) -> Result<()> {
        let Value::Uuid(Some(id)) = after.get(column::<R>("id")?) else {
            return Err(Error::internal("a row without an id"));
        };
        let version = version_of::<R>(after)?;
        let values: Vec<_> = R::Column::iter().map(|column| (column.as_str(), after.get(column))).collect();
        let actor = self.db.actor.clone();
        self.journal.note(R::meta(), change, id, version, difference, &values, &actor, self.now);
        Ok(())
    }

    fn may_assign(&self, meta: &RecordMeta) -> Result<()> {
        if self.actor().kind == ActorKind::System {
            return Ok(());
        }
        self.actor().require(Permission::new(meta.module, Action::Assign))
    }

    /// Every id that a row is to refer to must be one that the actor sees. One statement for all of them.
    async fn check_references(&self, meta: &RecordMeta, values: &[(&'static str, Value)]) -> Result<()> {
        let mut query = Query::select();
        let mut asked = Vec::new();
        let mut errors = Vec::new();
        for (name, value) in values {
            let Some(of) = meta.column(name).filter(|of| of.kind == Kind::Uuid) else { continue };
            let (Some(relation), Value::Uuid(Some(id))) = (meta.reference(name), value) else { continue };
            // Who makes or changes a row is there: he is acting.
            if *id == self.actor().user_id && matches!(*name, "owner_id" | "created_by" | "updated_by") {
                continue;
            }
            debug_assert!(matches!(relation.link, Link::One { .. }), "a reference is a to-one relation");
            let target = (relation.target)();
            let Ok(reach) = scope::reach(target, self.actor(), target.name, Deleted::Hidden) else {
                errors.push(missing(&of.field, target));
                continue;
            };
            let found = Query::select()
                .expr(Expr::cust("1"))
                .from(target.name)
                .cond_where(reach)
                .and_where(Expr::col((Alias::new(target.name), Alias::new("id"))).eq(*id))
                .to_owned();
            query.expr(Expr::exists(found));
            asked.push((&of.field, target));
        }
        if !asked.is_empty() {
            self.db.counted();
            let row = self.tx.query_one(&query).await?.ok_or_else(|| Error::internal("EXISTS answered nothing"))?;
            for (index, (field, target)) in asked.into_iter().enumerate() {
                if !row.try_get_by_index::<bool>(index)? {
                    errors.push(missing(field, target));
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::User(errors)) }
    }
}

fn missing(field: &str, target: &RecordMeta) -> UserError {
    UserError::new(UserErrorCode::NotFound, &["input", field], format!("there is no such {}", target.name))
}

fn version_of<R: Record>(row: &R::Model) -> Result<i32> {
    match row.get(column::<R>("version")?) {
        Value::Int(Some(version)) => Ok(version),
        _ => Err(Error::internal("a row without a version")),
    }
}

fn set<R: Record>(row: &mut R::ActiveModel, name: &str, value: impl Into<Value>) -> Result<()> {
    row.set(column::<R>(name)?, value.into());
    Ok(())
}

/// A violated unique index, as something a user can mend.
fn taken(meta: &RecordMeta, error: DbErr) -> Error {
    let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() else { return error.into() };
    // SQLite names table and column, PostgreSQL the index, which is called after them.
    let of = meta.columns.iter().filter(|of| of.name != "id").find(|of| {
        let name = of.folded.unwrap_or(of.name);
        message.contains(&format!("{}.{name}", meta.name)) || message.contains(&format!("uq_{}_{name}", meta.name))
    });
    match of {
        Some(of) => Error::user(UserErrorCode::Taken, &["input", &of.field], format!("this {} is taken", of.field)),
        None => Error::Conflict("this clashes with a record that exists".to_owned()),
    }
}
