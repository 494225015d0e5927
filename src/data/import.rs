//! What an import asks of the database besides writing rows: look-ups for a whole batch at once, and how far it has
//! come, kept in the transaction of each batch.

use std::collections::BTreeSet;

use entity::{
    record::{Column, RecordMeta, Scope},
    tenant::{import_deferred, import_progress},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    sea_query::{Alias, Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::{Deleted, Unit, scope};
use crate::{
    condition::fold::fold,
    error::{Error, Result},
};

/// How many texts one statement looks up, within the parameters that both engines take.
const CHUNK: usize = 2_000;

/// A record that a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The text by which it was found, as [`comparable`] makes it.
    pub text: String,
    /// The record.
    pub id: Uuid,
    /// Its version.
    pub version: i32,
    /// The record above it, where it belongs to one: the pipeline of a stage.
    pub parent: Option<Uuid>,
}

/// The form in which a text is compared with a column: folded where the column has a folded shadow.
#[must_use]
pub fn comparable(column: &Column, text: &str) -> String {
    if column.folded.is_some() { fold(text) } else { text.trim().to_owned() }
}

impl Unit {
    /// The records in the actor's reach whose `column` holds one of the texts, each made by [`comparable`]. One
    /// statement for thousands of texts.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the read permission.
    pub async fn look_up(&self, meta: &RecordMeta, column: &Column, texts: &BTreeSet<String>) -> Result<Vec<Hit>> {
        let reach = scope::reach(meta, self.actor(), meta.name, Deleted::Hidden)?;
        let compared = || Expr::col((Alias::new(meta.name), Alias::new(column.folded.unwrap_or(column.name))));
        // PostgreSQL refuses the character NUL in any text, and no row holds one.
        let texts: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.contains('\0')).collect();
        let mut hits = Vec::new();
        for chunk in texts.chunks(CHUNK) {
            // Lists of a few lengths only, so that their statements can be kept.
            let padding = chunk.len().next_power_of_two().min(CHUNK) - chunk.len();
            let padded = chunk.iter().copied().chain(chunk.last().copied().into_iter().cycle().take(padding));
            let mut query = Query::select();
            query
                .expr(compared())
                .expr(Expr::col((Alias::new(meta.name), Alias::new("id"))))
                .expr(Expr::col((Alias::new(meta.name), Alias::new("version"))))
                .from(meta.name)
                .cond_where(reach.clone())
                .and_where(compared().is_in(padded));
            let parent = match meta.scope {
                Scope::Child { column, .. } => {
                    query.expr(Expr::col((Alias::new(meta.name), Alias::new(column))));
                    true
                }
                _ => false,
            };
            self.counted();
            for row in self.tx.query_all(&query).await? {
                hits.push(Hit {
                    text: row.try_get_by_index(0)?,
                    id: row.try_get_by_index(1)?,
                    version: row.try_get_by_index(2)?,
                    parent: if parent { Some(row.try_get_by_index(3)?) } else { None },
                });
            }
        }
        Ok(hits)
    }

    /// How far an import has come; none when it has not begun or is finished.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn import_progress(&self, key: &str) -> Result<Option<import_progress::Model>> {
        self.counted();
        let query = import_progress::Entity::find_by_id(key)
            .filter(import_progress::Column::TenantId.eq(self.actor().tenant_id));
        Ok(query.one(&self.tx).await?)
    }

    /// Writes how far an import has come: `before` is what stood there.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another process has moved it on meanwhile.
    pub async fn put_import_progress(
        &self,
        before: Option<&import_progress::Model>,
        after: import_progress::Model,
    ) -> Result<()> {
        self.counted();
        let Some(before) = before else {
            let inserted = after.into_active_model().insert(&self.tx).await;
            return inserted.map(|_| ()).map_err(|error| match error.sql_err() {
                Some(sea_orm::SqlErr::UniqueConstraintViolation(_)) => twice(),
                _ => error.into(),
            });
        };
        let moved = import_progress::Entity::update_many()
            .set(after.into_active_model().reset_all())
            .filter(import_progress::Column::Key.eq(&before.key))
            .filter(import_progress::Column::TenantId.eq(before.tenant_id))
            .filter(import_progress::Column::Pass.eq(before.pass))
            .filter(import_progress::Column::Byte.eq(before.byte))
            .exec(&self.tx)
            .await?;
        if moved.rows_affected == 1 { Ok(()) } else { Err(twice()) }
    }

    /// Forgets an import: it is finished, or begins anew.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_import(&self, key: &str) -> Result<()> {
        let tenant = self.actor().tenant_id;
        self.counted();
        import_progress::Entity::delete_many()
            .filter(import_progress::Column::Key.eq(key))
            .filter(import_progress::Column::TenantId.eq(tenant))
            .exec(&self.tx)
            .await?;
        self.counted();
        import_deferred::Entity::delete_many()
            .filter(import_deferred::Column::Key.eq(key))
            .filter(import_deferred::Column::TenantId.eq(tenant))
            .exec(&self.tx)
            .await?;
        Ok(())
    }

    /// Keeps rows (their lines and records) for the second pass.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn defer(&self, key: &str, rows: &[(i64, Uuid)]) -> Result<()> {
        let tenant_id = self.actor().tenant_id;
        for chunk in rows.chunks(CHUNK) {
            let rows = chunk.iter().map(|(line, record_id)| import_deferred::ActiveModel {
                key: Set(key.to_owned()),
                line: Set(*line),
                tenant_id: Set(tenant_id),
                record_id: Set(*record_id),
            });
            self.counted();
            import_deferred::Entity::insert_many(rows).exec_without_returning(&self.tx).await?;
        }
        Ok(())
    }

    /// The rows kept for the second pass, from one line to another, both included.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deferred(&self, key: &str, from: i64, to: i64) -> Result<Vec<(i64, Uuid)>> {
        self.counted();
        let rows = import_deferred::Entity::find()
            .filter(import_deferred::Column::Key.eq(key))
            .filter(import_deferred::Column::TenantId.eq(self.actor().tenant_id))
            .filter(import_deferred::Column::Line.between(from, to))
            .order_by_asc(import_deferred::Column::Line)
            .all(&self.tx)
            .await?;
        Ok(rows.into_iter().map(|row| (row.line, row.record_id)).collect())
    }

    fn counted(&self) {
        self.db.counted();
    }
}

fn twice() -> Error {
    Error::Conflict("the same import is running elsewhere".to_owned())
}
