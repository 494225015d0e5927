//! Platform administrators: made from the command line, and by nobody through the API.

use entity::master::{PlatformAdminStatus, platform_admin};
use sea_orm::{ActiveValue::Set, EntityTrait};
use uuid::Uuid;

use super::Identity;
use crate::{
    auth::password,
    condition::fold::fold,
    data::{email_address, ids},
    error::{Error, Result, UserErrorCode},
};

impl Identity {
    /// Makes a platform administrator; answers the id.
    ///
    /// # Errors
    /// [`Error::User`] for a bad or taken address and a weak password.
    pub async fn platform_admin_create(&self, email: &str, password: &str) -> Result<Uuid> {
        let field = ["input", "email"];
        let email = email_address(email.trim())
            .ok_or_else(|| Error::user(UserErrorCode::Invalid, &field, "this is no e-mail address"))?;
        let violations = password::violations(password, &email, &["input", "password"]);
        if !violations.is_empty() {
            return Err(Error::User(violations));
        }
        let hash = self.0.hasher.hash(password).await?;
        let made = self.master().write(async |unit| {
            let now = unit.now();
            unit.insert(platform_admin::ActiveModel {
                id: Set(ids::new(now)),
                email_folded: Set(fold(&email)),
                email: Set(email.clone()),
                password_hash: Set(hash.clone()),
                status: Set(PlatformAdminStatus::Active),
                epoch: Set(0),
                last_login_at: Set(None),
                created_at: Set(now),
                updated_at: Set(now),
            })
            .await
        });
        match made.await {
            Ok(admin) => Ok(admin.id),
            Err(Error::Conflict(_)) => Err(Error::user(UserErrorCode::Taken, &field, "this email is taken")),
            Err(error) => Err(error),
        }
    }

    /// How many platform administrators there are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn platform_admins(&self) -> Result<usize> {
        Ok(self.master().all(platform_admin::Entity::find()).await?.len())
    }
}
