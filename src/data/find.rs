//! Typed reads: the rows of one record that the actor reaches, for rules and services. The API reads through
//! [`super::plan`].

use std::str::FromStr;

use entity::record::Record;
use sea_orm::{
    ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{IntoCondition, Order},
};
use uuid::Uuid;

use super::{Deleted, TenantDb, scope};
use crate::error::{Error, Result};

/// A query whose tenant, permission and scope are already fixed.
pub struct Scoped<R: Record> {
    select: Select<R>,
    db: TenantDb,
}

impl<R: Record> Scoped<R> {
    pub(super) fn new(db: &TenantDb) -> Result<Self> {
        let meta = R::meta();
        let reach = scope::reach(meta, &db.actor, meta.name, Deleted::Hidden)?;
        Ok(Self { select: R::find().filter(reach), db: db.clone() })
    }

    /// Only rows that meet the condition.
    #[must_use]
    pub fn filter(mut self, condition: impl IntoCondition) -> Self {
        self.select = self.select.filter(condition);
        self
    }

    /// Only the row with this id.
    #[must_use]
    pub fn id(self, id: Uuid) -> Self {
        match column::<R>("id") {
            Ok(column) => self.filter(column.eq(id)),
            Err(_) => self,
        }
    }

    /// In this order.
    #[must_use]
    pub fn order_by(mut self, column: R::Column, order: Order) -> Self {
        self.select = self.select.order_by(column, order);
        self
    }

    /// At most this many rows.
    #[must_use]
    pub fn limit(mut self, rows: u64) -> Self {
        self.select = self.select.limit(rows);
        self
    }

    /// All of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all(self) -> Result<Vec<R::Model>> {
        self.db.counted();
        Ok(self.select.all(self.db.tenant.engine.reader()).await?)
    }

    /// The first of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn one(self) -> Result<Option<R::Model>> {
        self.db.counted();
        Ok(self.select.one(self.db.tenant.engine.reader()).await?)
    }

    /// How many there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count(self) -> Result<u64>
    where
        R::Model: Sync,
    {
        self.db.counted();
        Ok(self.select.count(self.db.tenant.engine.reader()).await?)
    }
}

/// A column by its name.
pub(super) fn column<R: Record>(name: &str) -> Result<R::Column> {
    R::Column::from_str(name).map_err(|_| Error::internal(format!("{} has no column {name}", R::NAME)))
}
