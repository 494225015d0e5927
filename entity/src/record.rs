//! What the platform must know of a table.
//!
//! A table that does not implement [`Record`] does not exist for the application: it cannot be found, filtered,
//! planned, written, audited or exported. The metadata is built once from SeaORM's own column definitions, so the
//! only things a record adds by hand are its names, its scope and its relations.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IdenStatic, IntoActiveModel, Iterable,
    sea_query::{ColumnType, StringLen},
};

/// What a column holds, as far as filters, audit and JSON care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A UUID.
    Uuid,
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// A moment, UTC, in microseconds.
    Time,
    /// A day.
    Date,
    /// A JSON value.
    Json,
    /// An amount in minor units of the currency in the row's `currency` column.
    Money,
    /// A number with this many decimals, stored as a whole number of its smallest unit: 2.5 with three decimals is 2500.
    Decimal(u32),
}

/// A column.
#[derive(Debug)]
pub struct Column {
    /// Its name in the table, `annual_revenue`.
    pub name: &'static str,
    /// Its name in the API, in events and in audit rows, `annualRevenue`.
    pub field: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be empty.
    pub nullable: bool,
    /// The longest text it takes, in characters.
    pub max_length: Option<u32>,
    /// The column that holds this text folded for comparison (`name_folded`), where there is one.
    pub folded: Option<&'static str>,
}

/// A relation from one record to another.
#[derive(Clone, Copy, Debug)]
pub struct Relation {
    /// Its name in the API: `owner`, `contacts`.
    pub name: &'static str,
    /// The record it leads to.
    pub target: fn() -> &'static RecordMeta,
    /// How the rows are linked.
    pub link: Link,
}

/// How two records are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// This row's column holds the id of the other.
    One {
        /// The column of this record.
        column: &'static str,
    },
    /// The other rows' column holds this row's id.
    Many {
        /// The column of the other record.
        column: &'static str,
        /// A second condition on the other record: a column and the value it must have.
        only: Option<(&'static str, &'static str)>,
    },
}

/// Which rows of a record an actor with DataScope OWN reaches.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// Those the actor created or owns (`owner_id`).
    Owned,
    /// All of them: what everybody refers to, such as products.
    Reference,
    /// Those that the actor did: entries of the audit log.
    DoneBy {
        /// The column that holds the id of who did it.
        column: &'static str,
    },
    /// Those that are the actor's own, whatever his DataScope: notifications. The platform reaches all.
    Personal {
        /// The column that holds the id of whose it is.
        column: &'static str,
    },
    /// Those whose parent is in scope: lines, comments, history.
    Child {
        /// The column that holds the parent's id.
        column: &'static str,
        /// The parent.
        parent: fn() -> &'static RecordMeta,
    },
}

/// What non-generic code needs to know of a record.
#[derive(Debug)]
pub struct RecordMeta {
    /// The stem of all its names: table, id prefix, events.
    pub name: &'static str,
    /// The permission module it belongs to.
    pub module: &'static str,
    /// Which rows DataScope OWN reaches.
    pub scope: Scope,
    /// Its columns, shadow columns for folded text left out.
    pub columns: Vec<Column>,
    /// Where it leads.
    pub relations: Vec<Relation>,
    /// Whether deleting keeps the row (`is_deleted`).
    pub soft_delete: bool,
    /// Whether changes of it stand in the audit log.
    pub audited: bool,
    /// The usual order of its lists: a column, and whether from the greatest down.
    pub order: (&'static str, bool),
}

impl RecordMeta {
    /// Reads the metadata of a record from its columns.
    #[must_use]
    pub fn of<R: Record>() -> Self {
        let names: Vec<&'static str> = R::Column::iter().map(|column| column.as_str()).collect();
        let shadow = |name: &str| names.iter().copied().find(|other| other.strip_suffix(FOLDED) == Some(name));
        let columns = R::Column::iter()
            .filter(|column| !column.as_str().ends_with(FOLDED))
            .map(|column| {
                let definition = column.def();
                let (kind, max_length) = kind_of(definition.get_column_type());
                Column {
                    name: column.as_str(),
                    field: camel_case(column.as_str()),
                    kind,
                    nullable: definition.is_null(),
                    max_length,
                    folded: shadow(column.as_str()),
                }
            })
            .collect();
        let mut relations = R::relations();
        for (name, column) in [("createdBy", "created_by"), ("updatedBy", "updated_by")] {
            if names.contains(&column) {
                relations.push(one::<crate::tenant::user::Entity>(name, column));
            }
        }
        Self {
            name: R::NAME,
            module: R::MODULE,
            scope: R::SCOPE,
            columns,
            relations,
            soft_delete: names.contains(&"is_deleted"),
            audited: R::AUDITED,
            order: R::ORDER,
        }
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The relation of that name.
    #[must_use]
    pub fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == name)
    }

    /// The relation that a column is the key of: `owner` for `owner_id`.
    #[must_use]
    pub fn reference(&self, column: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| matches!(relation.link, Link::One { column: own } if own == column))
    }
}

/// The suffix of the columns that hold folded text.
pub const FOLDED: &str = "_folded";

fn kind_of(column: &ColumnType) -> (Kind, Option<u32>) {
    match column {
        ColumnType::Uuid => (Kind::Uuid, None),
        ColumnType::Boolean => (Kind::Bool, None),
        ColumnType::SmallInteger | ColumnType::Integer | ColumnType::BigInteger => (Kind::Int, None),
        ColumnType::TimestampWithTimeZone => (Kind::Time, None),
        ColumnType::Date => (Kind::Date, None),
        ColumnType::Json | ColumnType::JsonBinary => (Kind::Json, None),
        ColumnType::Money(_) => (Kind::Money, None),
        ColumnType::Decimal(Some((_, decimals))) => (Kind::Decimal(*decimals), None),
        ColumnType::String(StringLen::N(max)) => (Kind::Text, Some(*max)),
        _ => (Kind::Text, None),
    }
}

/// `annual_revenue` as `annualRevenue`.
#[must_use]
pub fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match (c, upper) {
            ('_', _) => upper = true,
            (c, true) => {
                camel.push(c.to_ascii_uppercase());
                upper = false;
            }
            (c, false) => camel.push(c),
        }
    }
    camel
}

/// A table of the tenant's database that the application knows.
pub trait Record:
    EntityTrait<
        Model: IntoActiveModel<<Self as EntityTrait>::ActiveModel> + Send + Sync,
        ActiveModel: ActiveModelTrait + Send,
    >
{
    /// The stem of all its names, singular: table, id prefix, event prefix.
    const NAME: &'static str;
    /// Its permission module, plural.
    const MODULE: &'static str;
    /// Which rows DataScope OWN reaches.
    const SCOPE: Scope = Scope::Owned;
    /// The usual order of its lists: a column, and whether from the greatest down. The newest first, unless it says so.
    const ORDER: (&'static str, bool) = ("created_at", true);

    /// Whether changes of it stand in the audit log. Its events are raised in any case.
    const AUDITED: bool = true;

    /// Where it leads; who created and who changed it last is added to these.
    fn relations() -> Vec<Relation>;

    /// The metadata, built at first use. Written by [`record_meta!`](crate::record_meta).
    fn meta() -> &'static RecordMeta;
}

/// A relation whose key is in this record's `column`.
#[must_use]
pub fn one<R: Record>(name: &'static str, column: &'static str) -> Relation {
    Relation { name, target: R::meta, link: Link::One { column } }
}

/// A relation whose key is in the other record's `column`.
#[must_use]
pub fn many<R: Record>(name: &'static str, column: &'static str) -> Relation {
    Relation { name, target: R::meta, link: Link::Many { column, only: None } }
}

/// The records that name this one (of type `name`) in their `related_to`.
#[must_use]
pub fn related<R: Record>(name: &'static str, own: &'static str) -> Relation {
    Relation { name, target: R::meta, link: Link::Many { column: "related_id", only: Some(("related_type", own)) } }
}

/// The body of [`Record::meta`].
#[macro_export]
macro_rules! record_meta {
    () => {
        fn meta() -> &'static $crate::record::RecordMeta {
            static META: std::sync::OnceLock<$crate::record::RecordMeta> = std::sync::OnceLock::new();
            META.get_or_init($crate::record::RecordMeta::of::<Self>)
        }
    };
}

/// A table of the tenant's database: the given columns and those that every record carries.
#[macro_export]
macro_rules! tenant_table {
    ($(#[$doc:meta])* $table:literal { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, sea_orm::DeriveEntityModel)]
        #[sea_orm(table_name = $table)]
        pub struct Model {
            /// UUIDv7.
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: uuid::Uuid,
            /// The tenant; every statement filters by it.
            pub tenant_id: uuid::Uuid,
            /// 1 at creation, one more at each write.
            pub version: i32,
            /// When it was made.
            pub created_at: chrono::DateTime<chrono::Utc>,
            /// Who made it; nil is the platform.
            pub created_by: uuid::Uuid,
            /// When it was last changed.
            pub updated_at: chrono::DateTime<chrono::Utc>,
            /// Who changed it last.
            pub updated_by: uuid::Uuid,
            /// Whether it is deleted; a deleted record can be restored.
            pub is_deleted: bool,
            /// When it was deleted.
            pub deleted_at: Option<chrono::DateTime<chrono::Utc>>,
            /// Who deleted it.
            pub deleted_by: Option<uuid::Uuid>,
            $($fields)*
        }

        /// SeaORM's own relations are not used: a record declares its relations in `Record::relations`.
        #[derive(Clone, Copy, Debug, sea_orm::EnumIter, sea_orm::DeriveRelation)]
        pub enum Relation {}

        impl sea_orm::ActiveModelBehavior for ActiveModel {}
    };
}

/// A set of named values, stored as text, shown in the API, in SCREAMING_SNAKE_CASE everywhere. Its default, the first,
/// stands in an object whose field was not asked for, and is never shown.
#[macro_export]
macro_rules! value_set {
    ($(#[$doc:meta])* $name:ident {
        $(#[$first_doc:meta])* $first:ident, $($(#[$variant_doc:meta])* $variant:ident),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Hash,
            sea_orm::EnumIter, sea_orm::DeriveActiveEnum, async_graphql::Enum, serde::Serialize, serde::Deserialize,
        )]
        #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(32))", rename_all = "SCREAMING_SNAKE_CASE")]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum $name {
            $(#[$first_doc])*
            #[default]
            $first,
            $($(#[$variant_doc])* $variant),*
        }
    };
}
