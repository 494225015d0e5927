//! A user, the tenant's side of it: whom records belong to. The account with its password lives in the master
//! database under the same id.

use sea_orm::entity::prelude::*;

use super::{activity, api_key, audit_log, contact, customer, interaction, lead, opportunity, role, ticket};
use crate::record::{Record, Relation as Link, Scope, many, one};

crate::value_set! {
    /// Whether a user can log in.
    UserStatus {
        /// Invited, has not chosen a password yet.
        Invited,
        /// Can log in.
        Active,
        /// Cannot log in.
        Disabled,
    }
}

crate::tenant_table! {
    /// A person who works in the tenant.
    "user" {
        /// The full name.
        #[sea_orm(column_type = "String(StringLen::N(200))")]
        pub name: String,
        /// The name folded for comparison.
        pub name_folded: String,
        /// The e-mail address to log in with.
        #[sea_orm(column_type = "String(StringLen::N(254))")]
        pub email: String,
        /// `email` folded; unique in the tenant.
        pub email_folded: String,
        /// What the person does.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub job_title: Option<String>,
        /// `job_title` folded.
        pub job_title_folded: Option<String>,
        /// Whom the person reports to.
        pub manager_id: Option<Uuid>,
        /// Whether the person can log in.
        pub status: UserStatus,
        /// The role.
        pub role_id: Option<Uuid>,
        /// The role's name.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub role_name: Option<String>,
        /// `role_name` folded.
        pub role_name_folded: Option<String>,
        /// The id in the integrator's own system, unique where present.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub external_reference: Option<String>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "user";
    const MODULE: &'static str = "users";
    const SCOPE: Scope = Scope::Reference;

    fn relations() -> Vec<Link> {
        vec![
            one::<Self>("manager", "manager_id"),
            many::<Self>("reports", "manager_id"),
            one::<role::Entity>("role", "role_id"),
            many::<customer::Entity>("customers", "owner_id"),
            many::<contact::Entity>("contacts", "owner_id"),
            many::<lead::Entity>("leads", "owner_id"),
            many::<opportunity::Entity>("opportunities", "owner_id"),
            many::<ticket::Entity>("tickets", "owner_id"),
            many::<activity::Entity>("activities", "owner_id"),
            many::<interaction::Entity>("interactions", "owner_id"),
            many::<api_key::Entity>("apiKeys", "owner_id"),
            many::<audit_log::Entity>("auditLogs", "actor_id"),
        ]
    }

    crate::record_meta!();
}
