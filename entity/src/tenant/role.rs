//! A role, the tenant's side of it: what lists show and the audit log tells of it. What decides is the `role` row of
//! the same id in the master database, and this record follows it.

use sea_orm::entity::prelude::*;

use super::user;
use crate::{
    master::DataScope,
    record::{Record, Relation as Link, Scope, many},
};

crate::tenant_table! {
    /// A named set of permissions, and which records they reach.
    "role" {
        /// The name.
        #[sea_orm(column_type = "String(StringLen::N(100))")]
        pub name: String,
        /// The name folded for comparison; unique in the tenant.
        pub name_folded: String,
        /// What it is for.
        #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
        pub description: Option<String>,
        /// Which records its permissions reach.
        pub scope: DataScope,
        /// Whether the platform defines it; such a role cannot be changed or deleted.
        pub is_built_in: bool,
        /// The names of its permissions: a JSON array of strings.
        #[sea_orm(column_type = "Json")]
        pub permissions: Json,
    }
}

impl Record for Entity {
    const NAME: &'static str = "role";
    const MODULE: &'static str = "roles";
    const SCOPE: Scope = Scope::Reference;

    fn relations() -> Vec<Link> {
        vec![many::<user::Entity>("users", "role_id")]
    }

    crate::record_meta!();
}
