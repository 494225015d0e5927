//! How far an import has come, as long as it is not finished: written in the transaction of each batch, so that an
//! import that was cut off goes on where it stood.
//!
//! It is no record: it says nothing of the business, and each batch leaves audit entries and events of its own.

use sea_orm::entity::prelude::*;

/// One import that is not finished.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "import_progress")]
pub struct Model {
    /// The digest of what is imported how: the record, the file's content, the mapping.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub key: String,
    /// The tenant; every statement filters by it.
    pub tenant_id: Uuid,
    /// The module of the record, such as `customers`.
    #[sea_orm(column_type = "Text")]
    pub record: String,
    /// 1 while rows are read, 2 while references to later rows are set.
    pub pass: i32,
    /// The byte of the file at which the next batch begins.
    pub byte: i64,
    /// The line of the file at which the next batch begins.
    pub line: i64,
    /// How many rows were read.
    pub row: i64,
    /// How long the file of refused rows was.
    pub errors_length: i64,
    /// What became of the rows, and what was odd.
    #[sea_orm(column_type = "JsonBinary")]
    pub tally: Json,
    /// When it began.
    pub started_at: DateTimeUtc,
    /// When the last batch was written.
    pub updated_at: DateTimeUtc,
}

/// It refers to nothing.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
