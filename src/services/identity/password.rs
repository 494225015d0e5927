//! Passwords: changed by their owner, reset by a link, chosen with an invitation.
//!
//! A new password ends what could be in a stranger's hands: the account's epoch is raised, which refuses every access
//! token, and its sessions are ended; the one in which the owner changes it goes on with a new access token.

use entity::{
    master::{AccountStatus, OneTimePurpose, RevocationReason, TenantStatus, account, tenant},
    tenant::user::{self, UserStatus},
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};
use serde_json::json;
use uuid::Uuid;

use super::{
    Client, Identity, Member, Tokens, link,
    mirror::Mirrored,
    session::{Holder, comparable, named, raise_epoch},
    sought,
};
use crate::{
    auth::{Actor, ActorKind, access_token::IssuedToken, password},
    data::{master::MasterUnit, value},
    error::{Error, Result, UserErrorCode},
};

impl Identity {
    /// Changes the caller's password. Every other session ends; this one goes on with the access token that is
    /// answered, and keeps its refresh token.
    ///
    /// # Errors
    /// [`Error::User`] for a wrong or a weak password, [`Error::Throttled`], [`Error::BadInput`] for an API key.
    pub async fn password_change(
        &self,
        member: &Member,
        current: &str,
        new: &str,
        client: &Client,
    ) -> Result<IssuedToken> {
        let session_id = member.own_session()?;
        let id = member.actor.user_id;
        let known = self.master().one(account::Entity::find_by_id(id)).await?.ok_or(Error::NotFound)?;
        let attempt = self.0.throttle.check(&known.email_folded, client.address)?;
        let right = match &known.password_hash {
            Some(stored) => self.0.hasher.verify(comparable(current), stored).await,
            None => Ok(false),
        };
        match right {
            Ok(true) => attempt.succeeded(),
            Ok(false) => {
                attempt.failed();
                let field = ["input", "currentPassword"];
                return Err(Error::user(UserErrorCode::Invalid, &field, "This is not your password"));
            }
            Err(error) => {
                attempt.cancelled();
                return Err(error);
            }
        }
        let hash = self.hash_new(new, &known.email, &["input", "newPassword"]).await?;
        if new == current {
            let message = "The new password must differ from the current one";
            return Err(Error::user(UserErrorCode::Invalid, &["input", "newPassword"], message));
        }
        let account = self
            .master()
            .write(async |unit| {
                let query = account::Entity::find_by_id(id).lock_exclusive();
                let account = unit.one(query).await?.ok_or(Error::NotFound)?;
                if account.password_hash != known.password_hash || account.status != AccountStatus::Active {
                    return Err(Error::Conflict("the account has changed meanwhile; try again".to_owned()));
                }
                link::use_up(unit, &account, None).await?;
                set_password(unit, account, &hash, Some(session_id)).await
            })
            .await?;
        self.forget(Some(account.tenant_id));
        Ok(self.issue_access(session_id, &Holder::Account(account)).await?.0)
    }

    async fn hash_new(&self, new: &str, email: &str, field: &[&str]) -> Result<String> {
        let violations = password::violations(new, email, field);
        if violations.is_empty() { self.0.hasher.hash(new).await } else { Err(Error::User(violations)) }
    }

    /// Sends a link to reset the password to the stored address of every active account of this e-mail address (in
    /// one tenant, where one is named). The answer is the same, and comes at once, whether there is any: the work is
    /// done in the background.
    ///
    /// # Errors
    /// [`Error::Throttled`], by what was asked for and never by what exists.
    pub fn password_reset_request(&self, email: &str, tenant: Option<&str>, client: &Client) -> Result<()> {
        let email = sought(email);
        self.0.reset_requests.take(("address", client.address))?;
        self.0.reset_requests.take(("email", email.as_str()))?;
        let slug = named(tenant);
        let identity = self.clone();
        self.0.background.spawn(async move {
            if let Err(error) = identity.send_resets(&email, slug.as_deref()).await {
                tracing::error!(%error, "a link to reset a password was not made");
            }
        });
        Ok(())
    }

    async fn send_resets(&self, email: &str, slug: Option<&str>) -> Result<()> {
        let accounts = account::Entity::find()
            .filter(account::Column::EmailFolded.eq(email))
            .filter(account::Column::Status.eq(AccountStatus::Active));
        for account in self.master().all(accounts).await? {
            let tenant =
                tenant::Entity::find_by_id(account.tenant_id).filter(tenant::Column::Status.eq(TenantStatus::Active));
            let Some(tenant) = self.master().one(tenant).await? else { continue };
            if slug.is_none_or(|slug| slug == tenant.slug) {
                self.send_reset(&account, &tenant).await?;
            }
        }
        Ok(())
    }

    async fn send_reset(&self, account: &account::Model, tenant: &tenant::Model) -> Result<()> {
        let open = self.tenants().open(tenant.id).await?;
        let db = open.for_actor(Actor::system(tenant.id).into(), None);
        db.write(async |unit| {
            let link = self.draw_link(OneTimePurpose::Reset, unit.now())?;
            let record = unit.lock_row::<user::Entity>(account.id).await?;
            let variables = json!({
                "name": record.map(|record| record.name),
                "tenant": tenant.name,
                "locale": tenant.locale,
                "link": link.link,
                "expiresAt": value::moment(link.expires_at),
            });
            unit.queue_email(&account.email, "password_reset", variables).await?;
            self.master().write(async |master| link::store(master, account, OneTimePurpose::Reset, &link).await).await
        })
        .await
    }

    /// Sets a new password with a link that was sent for it. Ends all sessions of the account.
    ///
    /// # Errors
    /// [`Error::User`] when the link does not count or the password is weak.
    pub async fn password_reset(&self, token: &str, new: &str) -> Result<()> {
        let presented = self.presented_link(OneTimePurpose::Reset, token).await?;
        let query = account::Entity::find_by_id(presented.account_id);
        let known = self.master().one(query).await?.ok_or_else(link::spent)?;
        let hash = self.hash_new(new, &known.email, &["input", "password"]).await?;
        let account = self
            .master()
            .write(async |unit| {
                let account = link::redeem(unit, &presented).await?;
                if account.status != AccountStatus::Active {
                    return Err(link::spent());
                }
                set_password(unit, account, &hash, None).await
            })
            .await?;
        self.forget(Some(account.tenant_id));
        Ok(())
    }

    /// Chooses the first password with an invitation's link, and logs in.
    ///
    /// # Errors
    /// [`Error::User`] when the link does not count or the password is weak.
    pub async fn invitation_accept(&self, token: &str, new: &str, client: &Client) -> Result<Tokens> {
        let presented = self.presented_link(OneTimePurpose::Invite, token).await?;
        let query = account::Entity::find_by_id(presented.account_id);
        let known = self.master().one(query).await?.ok_or_else(link::spent)?;
        let hash = self.hash_new(new, &known.email, &["input", "password"]).await?;
        let actor = self.as_himself(&known).await?;
        let tenant = self.tenants().open(known.tenant_id).await?;
        let db = tenant.for_actor(actor.into(), None);
        let account = db
            .write(async |unit| {
                let record = unit.lock_row::<user::Entity>(known.id).await?.ok_or_else(link::spent)?;
                let change = user::ActiveModel { status: Set(UserStatus::Active), ..Default::default() };
                unit.update_by_rule::<user::Entity>(&record, change).await?;
                self.master()
                    .write(async |master| {
                        let account = link::redeem(master, &presented).await?;
                        if account.status != AccountStatus::Invited {
                            return Err(link::spent());
                        }
                        let mut row = set_password(master, account, &hash, None).await?.into_active_model();
                        row.status = Set(AccountStatus::Active);
                        row.mirror_pending = Set(true);
                        master.update(row).await
                    })
                    .await
            })
            .await;
        self.forget(Some(known.tenant_id));
        let account = account?;
        self.told(&[Mirrored::Account(account.clone())]).await;
        self.begin_session(&account, None, client).await
    }

    /// The account as an actor of its tenant.
    async fn as_himself(&self, account: &account::Model) -> Result<Actor> {
        let common = self.view(Some(account.tenant_id)).common().await?;
        let role = self.role_of(&common, account).await?;
        Ok(Actor {
            tenant_id: account.tenant_id,
            user_id: account.id,
            kind: ActorKind::User,
            permissions: role.permissions,
            scope: role.scope,
        })
    }
}

/// Stores a password, raises the epoch and ends the account's sessions (but one).
async fn set_password(
    unit: &mut MasterUnit,
    account: account::Model,
    hash: &str,
    keep: Option<Uuid>,
) -> Result<account::Model> {
    let now = unit.now();
    let account = raise_epoch(unit, account, RevocationReason::PasswordChanged, keep).await?;
    let mut row = account.into_active_model();
    row.password_hash = Set(Some(hash.to_owned()));
    row.password_changed_at = Set(Some(now));
    unit.update(row).await
}
