//! An API key, the tenant's side of it: what lists show and the audit log tells of it. What decides is the `api_key`
//! row of the same id in the master database, which also holds the hash of the key and when it was last used.

use sea_orm::entity::prelude::*;

use super::user;
use crate::{
    master::DataScope,
    record::{Record, Relation as Link, one},
};

crate::tenant_table! {
    /// A program that acts for the user who made the key.
    "api_key" {
        /// What the key is for.
        #[sea_orm(column_type = "String(StringLen::N(100))")]
        pub name: String,
        /// The name folded for comparison.
        pub name_folded: String,
        /// The eight characters by which the key is recognised.
        #[sea_orm(column_type = "String(StringLen::N(8))")]
        pub prefix: String,
        /// The user who made it and for whom it acts.
        pub owner_id: Uuid,
        /// The names of the permissions it has at most: a JSON array of strings.
        #[sea_orm(column_type = "Json")]
        pub permissions: Json,
        /// Which records it reaches at most.
        pub data_scope: DataScope,
        /// Until when it counts; missing: until it is revoked.
        pub expires_at: Option<DateTimeUtc>,
        /// When it was revoked.
        pub revoked_at: Option<DateTimeUtc>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "api_key";
    const MODULE: &'static str = "api_keys";

    fn relations() -> Vec<Link> {
        vec![one::<user::Entity>("owner", "owner_id")]
    }

    crate::record_meta!();
}
