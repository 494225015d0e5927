//! The texts of an e-mail that the tenant has changed. Where there is no row, the texts are ours.

use sea_orm::entity::prelude::*;

use crate::record::{Record, Relation as Link, Scope};

crate::value_set! {
    /// The e-mails that leave.
    EmailTemplateName {
        /// Invites somebody to the tenant; its link lets the reader choose a password.
        Invitation,
        /// Lets the reader choose a new password.
        PasswordReset,
        /// Tells a user what concerns him.
        Notification,
    }
}

crate::tenant_table! {
    /// The texts of one e-mail.
    "email_template" {
        /// Which e-mail.
        pub name: EmailTemplateName,
        /// The subject.
        #[sea_orm(column_type = "String(StringLen::N(300))")]
        pub subject: String,
        /// The text, for readers without HTML.
        #[sea_orm(column_type = "String(StringLen::N(20000))")]
        pub text: String,
        /// The same as HTML.
        #[sea_orm(column_type = "String(StringLen::N(50000))")]
        pub html: String,
    }
}

impl Record for Entity {
    const NAME: &'static str = "email_template";
    const MODULE: &'static str = "email_templates";
    const SCOPE: Scope = Scope::Reference;

    fn relations() -> Vec<Link> {
        Vec::new()
    }

    crate::record_meta!();
}
