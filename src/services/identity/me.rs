//! What the caller is told about himself. It needs no permission: whoever comes in may know as whom.

use std::sync::Arc;

use entity::master::tenant;
use uuid::Uuid;

use super::{Identity, Member};
use crate::{
    auth::{DataScope, PermissionSet},
    error::{Error, Result},
};

/// The caller, his role and what he may do.
#[derive(Clone, Debug)]
pub struct Me {
    /// The account, which is the user's id in the tenant too.
    pub user_id: Uuid,
    /// The e-mail address.
    pub email: String,
    /// The role.
    pub role_id: Uuid,
    /// The role's name.
    pub role_name: String,
    /// What the caller may do; for an API key less than the role allows.
    pub permissions: Arc<PermissionSet>,
    /// Which records the caller reaches.
    pub scope: DataScope,
    /// The tenant.
    pub tenant: tenant::Model,
}

impl Identity {
    /// Who the caller is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn me(&self, member: &Member) -> Result<Me> {
        let actor = &member.actor;
        let view = self.view(Some(actor.tenant_id));
        let account = view.account(actor.user_id).await?.ok_or(Error::NotFound)?;
        let common = view.common().await?;
        let role = self.role_of(&common, &account).await?;
        Ok(Me {
            user_id: account.id,
            email: account.email.clone(),
            role_id: role.id,
            role_name: role.name,
            permissions: actor.permissions.clone(),
            scope: actor.scope,
            tenant: common.tenant.clone(),
        })
    }

    /// A tenant as it stands in the master database: its name, time zone, base currency and language.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such tenant.
    pub async fn tenant(&self, tenant_id: Uuid) -> Result<tenant::Model> {
        Ok(self.view(Some(tenant_id)).common().await?.tenant.clone())
    }
}
