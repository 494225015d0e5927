//! An operation that is sent twice happens once.
//!
//! A request may carry an `Idempotency-Key`. Each mutation of the request is a step under it. The first time, the
//! step's outcome (ids and user errors) is stored in the transaction of its effect; the answer to a repeated request
//! is built again from the stored outcome, for 24 hours. The same key with another body is refused.

use chrono::Duration;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction,
    sea_query::{Expr, ExprTrait, OnConflict, Query},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::journal::digest;
use crate::error::{Error, Result, UserError};

/// How long an outcome is kept.
const KEPT: Duration = Duration::hours(24);

/// The idempotency key of a request.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// What the client sent, 1 to 255 printable ASCII characters.
    pub key: String,
    /// The SHA-256 of the request's body.
    pub body_hash: String,
}

impl RequestKey {
    /// The key of a request with this body, given in parts.
    ///
    /// # Errors
    /// [`Error::BadInput`] when the key has the wrong form.
    pub fn of_body(key: &str, body: &[&str]) -> Result<Self> {
        if key.is_empty() || key.len() > 255 || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::BadInput("an Idempotency-Key is 1 to 255 printable ASCII characters".to_owned()));
        }
        Ok(Self { key: key.to_owned(), body_hash: digest(body) })
    }
}

/// What became of one mutation: an item for each of its inputs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome(pub Vec<Item>);

/// What became of one input.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Item {
    /// The record, when it was written.
    pub id: Option<Uuid>,
    /// What a user must mend, when it was not.
    pub errors: Vec<UserError>,
}

impl Outcome {
    /// One record was written.
    #[must_use]
    pub fn written(id: Uuid) -> Self {
        Self(vec![Item { id: Some(id), errors: Vec::new() }])
    }

    /// These records were written.
    #[must_use]
    pub fn all(ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self(ids.into_iter().map(|id| Item { id: Some(id), errors: Vec::new() }).collect())
    }

    /// Nothing was written.
    #[must_use]
    pub fn refused(errors: Vec<UserError>) -> Self {
        Self(vec![Item { id: None, errors }])
    }

    /// The first item, of a mutation with one input.
    #[must_use]
    pub fn single(self) -> Item {
        self.0.into_iter().next().unwrap_or_default()
    }
}

/// One step under a key, within a transaction.
pub(super) struct Step<'a> {
    pub(super) key: &'a RequestKey,
    pub(super) number: i32,
    pub(super) tenant_id: Uuid,
    pub(super) actor_id: Uuid,
    pub(super) now: chrono::DateTime<chrono::Utc>,
}

impl Step<'_> {
    /// Takes the step for this transaction, or answers what an earlier one stored. On PostgreSQL a second request
    /// waits here until the first has committed; on SQLite writers wait for each other anyway.
    pub(super) async fn take(&self, tx: &DatabaseTransaction) -> Result<Option<Outcome>> {
        let expired = Query::delete()
            .from_table("idempotency_key")
            .cond_where(self.own())
            .and_where(Expr::col("created_at").lt(self.now - KEPT))
            .to_owned();
        tx.execute(&expired).await?;
        let mut insert = Query::insert();
        insert
            .into_table("idempotency_key")
            .columns(["tenant_id", "actor_id", "key", "step", "body_hash", "outcome", "created_at"])
            .values_panic([
                self.tenant_id.into(),
                self.actor_id.into(),
                self.key.key.clone().into(),
                self.number.into(),
                self.key.body_hash.clone().into(),
                serde_json::json!([]).into(),
                self.now.into(),
            ])
            .on_conflict(OnConflict::columns(["actor_id", "key", "step"]).do_nothing().to_owned());
        if tx.execute(&insert).await?.rows_affected() == 1 {
            return Ok(None);
        }
        let stored =
            Query::select().columns(["body_hash", "outcome"]).from("idempotency_key").cond_where(self.own()).to_owned();
        let row = tx.query_one(&stored).await?.ok_or_else(|| Error::internal("the idempotency key vanished"))?;
        if row.try_get_by_index::<String>(0)? != self.key.body_hash {
            return Err(Error::IdempotencyKeyReused);
        }
        serde_json::from_value(row.try_get_by_index(1)?).map(Some).map_err(Error::internal)
    }

    /// Stores what became of the step.
    pub(super) async fn store(&self, tx: &DatabaseTransaction, outcome: &Outcome) -> Result<()> {
        let outcome = serde_json::to_value(outcome).map_err(Error::internal)?;
        let update =
            Query::update().table("idempotency_key").value("outcome", outcome).cond_where(self.own()).to_owned();
        tx.execute(&update).await?;
        Ok(())
    }

    fn own(&self) -> sea_orm::sea_query::Condition {
        sea_orm::sea_query::Condition::all()
            .add(Expr::col("tenant_id").eq(self.tenant_id))
            .add(Expr::col("actor_id").eq(self.actor_id))
            .add(Expr::col("key").eq(self.key.key.clone()))
            .add(Expr::col("step").eq(self.number))
    }
}
