//! The audit log in the API. Module `audit`. It is read and never written.

use async_graphql::{Json, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::audit_log::ActorKind;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::user::User;
use crate::{
    data::{ids, plan::Children},
    graphql::kit::id::Id,
};

/// What was done to a record, by whom. Entries are numbered without gaps and chained by their hashes. Needs
/// `audit.read`; with the scope OWN one sees what one did oneself.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct AuditLog {
    /// Its id.
    pub id: Id<Self>,
    /// When it was done.
    pub created_at: DateTime<Utc>,
    /// How the one who acted came in; a SYSTEM entry has no `actor`.
    pub actor_kind: ActorKind,
    /// What was done: `created`, `updated`, `deleted` or `restored`.
    pub action: String,
    /// The stem of the record's type, such as `customer`.
    pub record_type: String,
    /// The record's version after it.
    pub record_version: i32,
    /// The SHA-256 of the salted changes: it stays when the changes themselves are erased.
    pub commitment: String,
    /// The SHA-256 of this entry and of the hash of the one before.
    pub hash: String,
    #[graphql(skip)]
    seq: i64,
    #[graphql(skip)]
    record_id: Uuid,
    #[graphql(skip)]
    changes: Value,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    AuditLog for audit_log;
    values { actor_kind: ActorKind }
    needs { seq: ["seq"], record_id: ["record_type", "record_id"], changes: ["changes"] }
    relations {
        /// The user who did it, or whose API key did; null for the platform itself. Needs `users.read`.
        one actor: User,
    }
    methods {
        /// Its number in the tenant: without gaps, in the order of the commits. As text, since it may outgrow `Int`.
        async fn seq(&self) -> String {
            self.seq.to_string()
        }

        /// The record's id; `node` and `nodes` answer what it is now.
        async fn record_id(&self) -> async_graphql::ID {
            async_graphql::ID(ids::encode(&self.record_type, self.record_id))
        }

        /// Every field that changed: `{"field": {"from": …, "to": …}}`. Of records that the actor may not read any more, too:
        /// `audit.read` is the permission to see everything that was done, with the scope OWN what one did oneself.
        async fn changes(&self) -> Json<Value> {
            Json(self.changes.clone())
        }
    }
}

crate::queries! {
    AuditLog;
    query AuditLogQuery {
        /// An entry of the audit log. Null when there is none. Needs `audit.read`.
        one audit_log;
        /// The audit log of the tenant, the newest entry first. Needs `audit.read`.
        many audit_logs;
    }
}
