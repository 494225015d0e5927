//! The table of a record: the columns that every record carries, its own, its references and its indexes.

use sea_orm_migration::prelude::*;

use crate::columns;

/// The table of one record.
pub struct RecordTable {
    /// Its name, singular.
    pub name: &'static str,
    /// The columns of its own.
    pub columns: Vec<ColumnDef>,
    /// Columns that hold the id of a row in another table.
    pub references: &'static [(&'static str, &'static str)],
    /// Its indexes besides the usual ones.
    pub indexes: Vec<Index>,
}

/// An index on a record's table. It covers the rows that are not deleted.
pub struct Index {
    /// The columns, separated by commas.
    pub columns: &'static str,
    /// Whether no two rows may agree in them.
    pub unique: bool,
    /// A further condition on the rows it covers.
    pub only: Option<&'static str>,
}

/// An index for reading.
#[must_use]
pub const fn index(columns: &'static str) -> Index {
    Index { columns, unique: false, only: None }
}

/// An index that keeps values unique among the rows that are not deleted.
#[must_use]
pub const fn unique(columns: &'static str) -> Index {
    Index { columns, unique: true, only: None }
}

impl RecordTable {
    /// Creates the table and its indexes: by creation (the default order of lists), by creator, by owner, and
    /// unique by external reference where the record has these columns.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub async fn create(self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        let name = self.name;
        let mut table = Table::create();
        table.table(name);
        table.col(columns::id());
        table.col(columns::uuid("tenant_id"));
        table.col(columns::integer("version"));
        table.col(columns::time("created_at"));
        table.col(columns::uuid("created_by"));
        table.col(columns::time("updated_at"));
        table.col(columns::uuid("updated_by"));
        table.col(columns::boolean("is_deleted"));
        table.col(columns::time_null("deleted_at"));
        table.col(columns::uuid_null("deleted_by"));
        let has = |column: &str| self.columns.iter().any(|c| c.get_column_name() == column);
        let (owned, mirrored) = (has("owner_id"), has("external_reference"));
        for column in self.columns {
            table.col(column);
        }
        for (column, target) in self.references {
            table.foreign_key(ForeignKey::create().from(name, *column).to(*target, "id"));
        }
        manager.create_table(table).await?;
        create_index(manager, name, &index("created_at, id")).await?;
        if owned {
            create_index(manager, name, &index("created_by, created_at, id")).await?;
            create_index(manager, name, &index("owner_id, created_at, id")).await?;
        }
        if mirrored {
            let by_reference =
                Index { columns: "external_reference", unique: true, only: Some("external_reference IS NOT NULL") };
            create_index(manager, name, &by_reference).await?;
        }
        for index in &self.indexes {
            create_index(manager, name, index).await?;
        }
        Ok(())
    }
}

/// Creates an index over the rows that are not deleted. The statement is the same on both engines.
async fn create_index(manager: &SchemaManager<'_>, table: &str, index: &Index) -> Result<(), DbErr> {
    let kind = if index.unique { "UNIQUE INDEX" } else { "INDEX" };
    let prefix = if index.unique { "uq" } else { "ix" };
    let suffix = index.columns.replace(", ", "_");
    let columns = index.columns.split(", ").map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(", ");
    let only = index.only.map(|only| format!(" AND {only}")).unwrap_or_default();
    let sql =
        format!("CREATE {kind} {prefix}_{table}_{suffix} ON \"{table}\" ({columns}) WHERE is_deleted = FALSE{only}");
    manager.get_connection().execute_unprepared(&sql).await?;
    Ok(())
}
