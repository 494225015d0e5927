//! What a tenant has to be done for it, and when: so that nobody opens the databases of tenants that have nothing due.
//!
//! `due_at` is never later than the earliest due time in the tenant's own database. It is lowered here before the
//! tenant's transaction commits; only who holds the lease raises it.

use sea_orm::entity::prelude::*;

/// One kind of work of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "due_work")]
pub struct Model {
    /// The tenant.
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    /// What is to be done.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: WorkKind,
    /// When; missing where nothing is to be done.
    pub due_at: Option<DateTimeUtc>,
    /// Grows by one whenever `due_at` is lowered, so that who holds the lease does not raise it over that.
    #[sea_orm(column_name = "gen")]
    pub generation: i64,
    /// Until then `due_at` is not raised beyond this: a node that has just lowered it need not do so again.
    pub marked_until: Option<DateTimeUtc>,
    /// The node that does the work now.
    #[sea_orm(column_type = "Text", nullable)]
    pub lease_owner: Option<String>,
    /// Until when it may, on the clock of the database server; it is renewed.
    pub lease_until: Option<DateTimeUtc>,
    /// Grows by one with each lease: whoever held an earlier one can write nothing here any more.
    pub lease_epoch: i64,
    /// How often in a row it has failed.
    pub failures: i32,
    /// Why it failed last.
    #[sea_orm(column_type = "Text", nullable)]
    pub last_error: Option<String>,
}

/// What can be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkKind {
    /// Outgoing e-mail.
    Email,
    /// Events that nobody was notified of yet.
    Notification,
    /// Events that no webhook was made of yet, and deliveries that are due.
    Webhook,
    /// What users want to be reminded of.
    Reminder,
    /// Once a day: what is kept long enough goes.
    Cleanup,
    /// Once a day: whether anything is due that nobody was told of.
    Sweep,
}

/// What the work refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The tenant.
    #[sea_orm(belongs_to = "super::tenant::Entity", from = "Column::TenantId", to = "super::tenant::Column::Id")]
    Tenant,
}

impl Related<super::tenant::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Tenant.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
