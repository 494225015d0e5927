//! A tenant: one company that uses the platform, with a database of its own.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// One tenant.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenant")]
pub struct Model {
    /// The tenant's id, which every row of its database carries too.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant's name in URLs: lower-case letters, digits and hyphens.
    #[sea_orm(column_type = "Text", unique)]
    pub slug: String,
    /// The company's name.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Whether the tenant is being made, in use, suspended or gone.
    pub status: TenantStatus,
    /// Where its database is, when not where the platform's template says.
    #[sea_orm(column_type = "Text", nullable)]
    pub database_url: Option<String>,
    /// How many tenant migrations have run; 0 until the database exists.
    pub schema_version: i32,
    /// How far provisioning has come, so that it can go on after a crash.
    pub provisioning_step: ProvisioningStep,
    /// The ISO 4217 code of the currency in which totals are given.
    #[sea_orm(column_type = "Text")]
    pub base_currency: String,
    /// The IANA name of the time zone in which days begin.
    #[sea_orm(column_type = "Text")]
    pub time_zone: String,
    /// The BCP 47 tag of the language in which the platform writes to people.
    #[sea_orm(column_type = "Text")]
    pub locale: String,
    /// Grows by one with each change.
    pub version: i32,
    /// When the tenant was asked for.
    pub created_at: DateTimeUtc,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
    /// When the tenant could first be used.
    pub provisioned_at: Option<DateTimeUtc>,
    /// Since when it is suspended.
    pub suspended_at: Option<DateTimeUtc>,
    /// When it was removed.
    pub deleted_at: Option<DateTimeUtc>,
}

/// The life of a tenant: PROVISIONING → ACTIVE ⇄ SUSPENDED → DELETED.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TenantStatus {
    /// Its database is being made.
    Provisioning,
    /// In use.
    Active,
    /// Every request is answered with TENANT_SUSPENDED; nothing is lost.
    Suspended,
    /// Removed.
    Deleted,
}

/// The steps of provisioning, each of which can be repeated. The stored step is the last one that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProvisioningStep {
    /// The tenant, its built-in roles and its first administrator stand in the master database.
    Registered,
    /// The database exists and every migration has run.
    DatabaseReady,
    /// The database holds its first users, roles and pipeline.
    Seeded,
    /// The tenant can be used.
    Done,
}

/// What a tenant refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Who can log in.
    #[sea_orm(has_many = "super::account::Entity")]
    Account,
    /// What they may do.
    #[sea_orm(has_many = "super::role::Entity")]
    Role,
    /// The programs that act for them.
    #[sea_orm(has_many = "super::api_key::Entity")]
    ApiKey,
}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}

impl Related<super::role::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Role.def()
    }
}

impl Related<super::api_key::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::ApiKey.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
