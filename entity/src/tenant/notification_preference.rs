//! How a user wants to hear of one kind of thing. Kinds without a preference have the defaults of their kind.

use sea_orm::entity::prelude::*;

use super::{notification::NotificationKind, user};
use crate::record::{Record, Relation as Link, Scope, one};

crate::tenant_table! {
    /// A user's wish.
    "notification_preference" {
        /// Whose it is.
        pub user_id: Uuid,
        /// What it is about.
        pub kind: NotificationKind,
        /// Whether it is shown in the application.
        pub in_app: bool,
        /// Whether it comes by e-mail.
        pub email: bool,
    }
}

impl Record for Entity {
    const NAME: &'static str = "notification_preference";
    const MODULE: &'static str = "notifications";
    const SCOPE: Scope = Scope::Personal { column: "user_id" };

    fn relations() -> Vec<Link> {
        vec![one::<user::Entity>("user", "user_id")]
    }

    crate::record_meta!();
}
