//! Who acts. Every read and write of tenant data happens for an [`Actor`]; without one there is no door.

use std::sync::Arc;

use uuid::Uuid;

use super::permission::{DataScope, Permission, PermissionSet};
use crate::error::{Error, Result};

/// Who acts in a tenant, and what they may do there. Built once a request, from the server's own knowledge of the
/// user's role, never from the claims of a token.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The tenant in which the actor acts.
    pub tenant_id: Uuid,
    /// The user; for an API key the key's creator; nil for the platform itself.
    pub user_id: Uuid,
    /// How the actor came in.
    pub kind: ActorKind,
    /// What the actor may do.
    pub permissions: Arc<PermissionSet>,
    /// Which records the actor reaches.
    pub scope: DataScope,
}

/// How an actor came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    /// A user with an access token.
    User,
    /// A program with an API key.
    ApiKey {
        /// The key.
        key_id: Uuid,
    },
    /// The platform itself: provisioning, jobs, imports from the command line.
    System,
}

impl Actor {
    /// The platform itself, allowed everything in one tenant.
    #[must_use]
    pub fn system(tenant_id: Uuid) -> Self {
        Self {
            tenant_id,
            user_id: Uuid::nil(),
            kind: ActorKind::System,
            permissions: Arc::new(Permission::all().collect()),
            scope: DataScope::All,
        }
    }

    /// Whether the actor holds the permission.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.allows(permission)
    }

    /// # Errors
    /// [`Error::Forbidden`] when the actor lacks the permission.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.may(permission) { Ok(()) } else { Err(Error::Forbidden { permission: permission.to_string() }) }
    }
}
