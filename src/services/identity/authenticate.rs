//! Credentials become an actor.
//!
//! A bearer token is an access token or, when it begins with `rak_`, an API key. Whatever it says of rights is not
//! looked at: tenant, session, account and role are those that the server knows now. What is known is at most a second
//! old (see `cache`), and a change made on this node is known at once.
//!
//! Nobody is refused from memory: what speaks against him is read again first. So who was let in again, or came in
//! anew, on another node within the last second is not turned away.
//!
//! A [`Principal`] is kept for a whole connection by sockets: [`Identity::renew`] gives its rights of now, and
//! [`Identity::revoked`] ends when it no longer counts.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use entity::master::{AccountStatus, PlatformAdminStatus, TenantStatus, account, api_key, session};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    Identity,
    cache::{Common, Role, View},
};
use crate::{
    auth::{
        Actor, ActorKind, PermissionSet,
        secret::{SecretKind, SecretToken},
    },
    error::{Error, Result},
};

/// Who makes a request.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A user of a tenant, or a program that acts for one.
    Member(Member),
    /// A platform administrator, who sees no tenant's data.
    PlatformAdmin(PlatformAdmin),
}

/// A user of a tenant, or a program that acts for one.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who acts, with the rights of this moment.
    pub actor: Arc<Actor>,
    /// What the member came in with.
    pub(super) proof: Proof,
}

/// What a member came in with.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// An access token.
    Session { id: Uuid, epoch: i32, expires_at: DateTime<Utc> },
    /// An API key.
    ApiKey { prefix: String },
}

/// What a platform administrator may do. All of them may do all of it; no role of a tenant can hold any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlatformRight {
    /// Make, suspend and remove tenants.
    ManageTenants,
    /// See jobs, queues and dead letters.
    ReadJobs,
    /// Run, pause, change and retry jobs.
    RunJobs,
}

impl PlatformRight {
    /// Every right.
    pub const ALL: [Self; 3] = [Self::ManageTenants, Self::ReadJobs, Self::RunJobs];

    /// Its name, as permissions are named.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ManageTenants => "admin.manage_tenants",
            Self::ReadJobs => "jobs.read",
            Self::RunJobs => "jobs.run",
        }
    }
}

/// A platform administrator.
#[derive(Clone, Debug)]
pub struct PlatformAdmin {
    /// The administrator.
    pub id: Uuid,
    /// The session.
    pub session_id: Uuid,
    pub(super) epoch: i32,
    pub(super) expires_at: DateTime<Utc>,
}

impl Principal {
    /// The member; platform administrators are refused.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a platform administrator, who sees no tenant's data.
    pub fn member(&self) -> Result<&Member> {
        match self {
            Self::Member(member) => Ok(member),
            Self::PlatformAdmin(_) => Err(Error::BadInput("a platform administrator acts in no tenant".to_owned())),
        }
    }

    /// The platform administrator; everybody else is refused.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for everybody else.
    pub fn platform_admin(&self) -> Result<&PlatformAdmin> {
        self.platform(PlatformRight::ManageTenants)
    }

    /// The platform administrator who has this right; everybody else is refused.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for everybody else.
    pub fn platform(&self, right: PlatformRight) -> Result<&PlatformAdmin> {
        match self {
            Self::PlatformAdmin(admin) => Ok(admin),
            Self::Member(_) => Err(Error::Forbidden { permission: right.name().to_owned() }),
        }
    }

    /// The tenant; none for a platform administrator.
    #[must_use]
    pub fn tenant_id(&self) -> Option<Uuid> {
        match self {
            Self::Member(member) => Some(member.actor.tenant_id),
            Self::PlatformAdmin(_) => None,
        }
    }

    /// The session; none for an API key.
    #[must_use]
    pub fn session_id(&self) -> Option<Uuid> {
        match self {
            Self::Member(member) => member.session_id(),
            Self::PlatformAdmin(admin) => Some(admin.session_id),
        }
    }
}

impl Member {
    /// The session; none for an API key.
    #[must_use]
    pub const fn session_id(&self) -> Option<Uuid> {
        match &self.proof {
            Proof::Session { id, .. } => Some(*id),
            Proof::ApiKey { .. } => None,
        }
    }

    /// The session, where it takes a person.
    pub(super) fn own_session(&self) -> Result<Uuid> {
        self.session_id().ok_or_else(|| Error::BadInput("an API key has no session and no password".to_owned()))
    }
}

impl Identity {
    /// Who presents this bearer token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when it does not count, or no longer; [`Error::TenantSuspended`],
    /// [`Error::TenantMigrating`] for its tenant.
    pub async fn authenticate(&self, bearer: &str) -> Result<Principal> {
        if bearer.starts_with(SecretKind::ApiKey.prefix()) {
            return self.by_key(bearer).await;
        }
        let claims = self.0.tokens.verify(bearer)?;
        let expires_at = DateTime::from_timestamp(claims.exp, 0).ok_or_else(ended)?;
        let proof = SessionProof { id: claims.sid, holder: claims.sub, epoch: claims.epoch, expires_at };
        match claims.tenant_id {
            Some(tenant_id) => Ok(Principal::Member(self.by_session(tenant_id, proof).await?)),
            None => Ok(Principal::PlatformAdmin(self.admin_by_session(proof).await?)),
        }
    }

    /// The same principal with the rights of now.
    ///
    /// # Errors
    /// As [`Identity::authenticate`].
    pub async fn renew(&self, principal: &Principal) -> Result<Principal> {
        match principal {
            Principal::Member(Member { actor, proof: Proof::Session { id, epoch, expires_at } }) => {
                let (id, epoch, expires_at) = (*id, *epoch, *expires_at);
                self.unexpired(expires_at)?;
                let proof = SessionProof { id, holder: actor.user_id, epoch, expires_at };
                Ok(Principal::Member(self.by_session(actor.tenant_id, proof).await?))
            }
            Principal::Member(Member { actor, proof: Proof::ApiKey { prefix } }) => {
                Ok(Principal::Member(self.of_key(actor.tenant_id, prefix).await?))
            }
            Principal::PlatformAdmin(PlatformAdmin { id, session_id, epoch, expires_at }) => {
                self.unexpired(*expires_at)?;
                let proof = SessionProof { id: *session_id, holder: *id, epoch: *epoch, expires_at: *expires_at };
                Ok(Principal::PlatformAdmin(self.admin_by_session(proof).await?))
            }
        }
    }

    /// Ends when the principal no longer counts, with the reason: at once after a change on this node, within a second
    /// after one elsewhere or when the token expires. A database that fails for a while ends nothing.
    pub async fn revoked(&self, principal: Principal) -> Error {
        let mut changes = self.0.cache.changes();
        loop {
            changes.borrow_and_update();
            match self.renew(&principal).await {
                Ok(_) => {}
                Err(error @ (Error::Internal(_) | Error::Timeout | Error::Throttled { .. })) => {
                    tracing::warn!(%error, "whether a connection may stay open could not be looked up");
                }
                Err(reason) => return reason,
            }
            // An error means that the cache is gone, and with it this identity.
            let _ = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
        }
    }

    fn unexpired(&self, expires_at: DateTime<Utc>) -> Result<()> {
        if self.now() < expires_at {
            Ok(())
        } else {
            Err(Error::Unauthenticated("The access token has expired".to_owned()))
        }
    }

    async fn by_session(&self, tenant_id: Uuid, proof: SessionProof) -> Result<Member> {
        let remembered = self.view(Some(tenant_id));
        let decided = self.member_of(&remembered, tenant_id, proof).await;
        if !refuses(&decided) {
            return decided;
        }
        let decided = self.member_of(&self.view_anew(Some(tenant_id)), tenant_id, proof).await?;
        self.forget_view(&remembered);
        Ok(decided)
    }

    async fn member_of(&self, view: &View<'_>, tenant_id: Uuid, proof: SessionProof) -> Result<Member> {
        let session = view.session(proof.id).await?.ok_or_else(ended)?;
        let account = view.account(proof.holder).await?.ok_or_else(ended)?;
        let counts = session.account_id == Some(account.id)
            && account.tenant_id == tenant_id
            && account.status == AccountStatus::Active
            && account.epoch == proof.epoch
            && self.lasts(&session);
        if !counts {
            return Err(ended());
        }
        let common = view.common().await.map_err(gone)?;
        may_come_in(&common)?;
        let role = common.roles.get(&account.role_id).ok_or_else(ended)?;
        Ok(member(&account, role, Proof::Session { id: proof.id, epoch: proof.epoch, expires_at: proof.expires_at }))
    }

    async fn admin_by_session(&self, proof: SessionProof) -> Result<PlatformAdmin> {
        let remembered = self.view(None);
        let decided = self.admin_of(&remembered, proof).await;
        if !refuses(&decided) {
            return decided;
        }
        let decided = self.admin_of(&self.view_anew(None), proof).await?;
        self.forget_view(&remembered);
        Ok(decided)
    }

    async fn admin_of(&self, view: &View<'_>, proof: SessionProof) -> Result<PlatformAdmin> {
        let session = view.session(proof.id).await?.ok_or_else(ended)?;
        let admin = view.admin(proof.holder).await?.ok_or_else(ended)?;
        let counts = session.platform_admin_id == Some(admin.id)
            && admin.status == PlatformAdminStatus::Active
            && admin.epoch == proof.epoch
            && self.lasts(&session);
        if !counts {
            return Err(ended());
        }
        Ok(PlatformAdmin { id: admin.id, session_id: proof.id, epoch: proof.epoch, expires_at: proof.expires_at })
    }

    fn lasts(&self, session: &session::Model) -> bool {
        session.revoked_at.is_none() && self.now() < session.expires_at
    }

    async fn by_key(&self, text: &str) -> Result<Principal> {
        let secret = SecretToken::parse(SecretKind::ApiKey, text).ok_or_else(no_key)?;
        let prefix = secret.lookup_prefix().ok_or_else(no_key)?;
        let tenant_id = self.tenant_of_key(prefix).await?.ok_or_else(no_key)?;
        let key = self.view(Some(tenant_id)).key(prefix).await?.ok_or_else(no_key)?;
        // The hash of a key never changes, so a wrong secret is wrong without another look.
        if !secret.matches(&key.hash) {
            return Err(no_key());
        }
        let member = self.of_key(tenant_id, prefix).await?;
        self.note_use(&key);
        Ok(Principal::Member(member))
    }

    /// The program that a key lets in, whose secret was compared before.
    async fn of_key(&self, tenant_id: Uuid, prefix: &str) -> Result<Member> {
        let remembered = self.view(Some(tenant_id));
        let decided = self.program_of(&remembered, tenant_id, prefix).await;
        if !refuses(&decided) {
            return decided;
        }
        let decided = self.program_of(&self.view_anew(Some(tenant_id)), tenant_id, prefix).await?;
        self.forget_view(&remembered);
        Ok(decided)
    }

    async fn program_of(&self, view: &View<'_>, tenant_id: Uuid, prefix: &str) -> Result<Member> {
        let key = view.key(prefix).await?.ok_or_else(no_key)?;
        if key.revoked_at.is_some() {
            return Err(no_key());
        }
        if key.expires_at.is_some_and(|until| self.now() >= until) {
            return Err(Error::Unauthenticated("The API key has expired".to_owned()));
        }
        let account = view.account(key.account_id).await?.ok_or_else(no_key)?;
        if account.status != AccountStatus::Active || account.tenant_id != tenant_id {
            return Err(no_key());
        }
        let common = view.common().await.map_err(gone)?;
        may_come_in(&common)?;
        let role = common.roles.get(&account.role_id).ok_or_else(no_key)?;
        let scopes: PermissionSet = key.scopes.0.iter().filter_map(|name| name.parse().ok()).collect();
        let actor = Actor {
            tenant_id,
            user_id: account.id,
            kind: ActorKind::ApiKey { key_id: key.id },
            permissions: Arc::new(scopes.intersection(&role.permissions)),
            scope: key.data_scope.intersection(role.scope),
        };
        Ok(Member { actor: Arc::new(actor), proof: Proof::ApiKey { prefix: prefix.to_owned() } })
    }

    /// Writes when the key was last used, to the minute, without making the request wait.
    fn note_use(&self, key: &api_key::Model) {
        let now = self.now();
        if key.last_used_at.is_some_and(|at| (now - at).num_seconds() < 60) || !self.0.cache.first_use(key.id, now) {
            return;
        }
        let (master, id) = (self.master().clone(), key.id);
        self.0.background.spawn(async move {
            let statement = api_key::Entity::update_many()
                .col_expr(api_key::Column::LastUsedAt, Expr::value(now))
                .filter(api_key::Column::Id.eq(id));
            if let Err(error) = master.write(async |unit| unit.update_many(statement).await).await {
                tracing::warn!(%error, "the use of an API key was not noted");
            }
        });
    }

    /// A user of a tenant with the rights of now, for work that is done for him while he is away; none when there is no
    /// such user, or he may not come in.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn actor_of(&self, tenant_id: Uuid, user_id: Uuid) -> Result<Option<Arc<Actor>>> {
        let rights = self.rights_of(tenant_id, user_id).await?;
        Ok(rights.and_then(|(actor, active)| active.then_some(actor)))
    }

    /// The rights that a user of a tenant has now or, where he may not come in, would have; and whether he may.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn rights_of(&self, tenant_id: Uuid, user_id: Uuid) -> Result<Option<(Arc<Actor>, bool)>> {
        let Some(account) = self.view(Some(tenant_id)).account(user_id).await? else { return Ok(None) };
        if account.tenant_id != tenant_id {
            return Ok(None);
        }
        let common = self.view(Some(tenant_id)).common().await?;
        let role = self.role_of(&common, &account).await?;
        Ok(Some((Arc::new(actor(&account, &role)), account.status == AccountStatus::Active)))
    }

    /// The role of an account. One that this node does not know yet was made elsewhere within the second.
    pub(super) async fn role_of(&self, common: &Arc<Common>, account: &account::Model) -> Result<Role> {
        if let Some(role) = common.roles.get(&account.role_id) {
            return Ok(role.clone());
        }
        self.forget(Some(account.tenant_id));
        let common = self.view(Some(account.tenant_id)).common().await?;
        common.roles.get(&account.role_id).cloned().ok_or_else(|| Error::internal("an account without a role"))
    }
}

/// What an access token says of a session.
#[derive(Clone, Copy)]
struct SessionProof {
    id: Uuid,
    holder: Uuid,
    epoch: i32,
    expires_at: DateTime<Utc>,
}

/// A user with these rights.
pub(super) fn member(account: &account::Model, role: &Role, proof: Proof) -> Member {
    Member { actor: Arc::new(actor(account, role)), proof }
}

fn actor(account: &account::Model, role: &Role) -> Actor {
    Actor {
        tenant_id: account.tenant_id,
        user_id: account.id,
        kind: ActorKind::User,
        permissions: role.permissions.clone(),
        scope: role.scope,
    }
}

/// Whether requests of the tenant are served.
pub(super) fn may_come_in(common: &Common) -> Result<()> {
    match common.tenant.status {
        TenantStatus::Active => Ok(()),
        TenantStatus::Suspended => Err(Error::TenantSuspended),
        TenantStatus::Provisioning => Err(Error::TenantMigrating),
        TenantStatus::Deleted => Err(ended()),
    }
}

/// Whether somebody is refused, for what may be out of date.
const fn refuses<T>(decided: &Result<T>) -> bool {
    matches!(decided, Err(Error::Unauthenticated(_) | Error::TenantSuspended | Error::TenantMigrating))
}

fn no_key() -> Error {
    Error::Unauthenticated("The API key is not valid".to_owned())
}

fn ended() -> Error {
    Error::Unauthenticated("This session has ended; log in again".to_owned())
}

/// A tenant that is not there any more.
fn gone(error: Error) -> Error {
    match error {
        Error::NotFound => ended(),
        other => other,
    }
}
