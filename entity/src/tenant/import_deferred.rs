//! A row of an import that refers to a row further down: the second pass sets the reference.

use sea_orm::entity::prelude::*;

/// One row that waits for the second pass.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "import_deferred")]
pub struct Model {
    /// The import: the key of its progress.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub key: String,
    /// The line of the file.
    #[sea_orm(primary_key, auto_increment = false)]
    pub line: i64,
    /// The tenant; every statement filters by it.
    pub tenant_id: Uuid,
    /// The record that the row became.
    pub record_id: Uuid,
}

/// It refers to nothing.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
