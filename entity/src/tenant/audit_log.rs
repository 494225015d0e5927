//! The audit log: what was done to which record, by whom. Entries are written with every change, by the unit of work,
//! and are never changed. They are chained: each hash covers the one before.
//!
//! The salt of an entry's commitment is no part of the record: with it, what was erased could be guessed.

use sea_orm::entity::prelude::*;

use super::user;
use crate::record::{Record, Relation as Link, Scope, one};

crate::value_set! {
    /// How the one who acted came in.
    ActorKind {
        /// A user with a session.
        User,
        /// A program with an API key, for the user who made the key.
        ApiKey,
        /// The platform itself.
        System,
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_log")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant; every statement filters by it.
    pub tenant_id: Uuid,
    /// Its number in the tenant, without gaps.
    pub seq: i64,
    /// When it was done.
    pub created_at: DateTimeUtc,
    /// Who did it; nil is the platform.
    pub actor_id: Uuid,
    /// How that one came in.
    pub actor_kind: ActorKind,
    /// What was done: `created`, `updated`, `deleted` or `restored`.
    #[sea_orm(column_type = "String(StringLen::N(32))")]
    pub action: String,
    /// The stem of the record's type, such as `customer`.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub record_type: String,
    /// The record.
    pub record_id: Uuid,
    /// The record's version after it.
    pub record_version: i32,
    /// Every field that changed: `{"field": {"from": …, "to": …}}`.
    #[sea_orm(column_type = "Json")]
    pub changes: Json,
    /// The SHA-256 of the salted changes.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub commitment: String,
    /// The SHA-256 of this entry and the hash of the one before.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub hash: String,
}

/// SeaORM's own relations are not used: a record declares its relations in `Record::relations`.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Record for Entity {
    const NAME: &'static str = "audit_log";
    const MODULE: &'static str = "audit";
    const SCOPE: Scope = Scope::DoneBy { column: "actor_id" };

    fn relations() -> Vec<Link> {
        vec![one::<user::Entity>("actor", "actor_id")]
    }

    crate::record_meta!();
}
