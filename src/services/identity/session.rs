//! Login, refresh, logout.
//!
//! An e-mail address may have accounts in several tenants. When the login names no tenant, the password is compared
//! with each; the tenants among which to choose are named only where it was right. What is wrong is never told: an
//! unknown address, a wrong password, an account that was invited or disabled get one answer, at one cost.
//!
//! What a refresh token means is decided in [`crate::auth::refresh`]; here the session's row is locked, the family
//! moved, and the successor issued in one transaction.

use std::net::IpAddr;

use chrono::{DateTime, Duration, Utc};
use entity::master::{
    AccountStatus, PlatformAdminStatus, RevocationReason, TenantStatus, account, platform_admin, refresh_token,
    session, tenant,
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    Identity,
    authenticate::{PlatformAdmin, PlatformRight, Principal, Proof, may_come_in, member},
    sought,
};
use crate::{
    auth::{
        access_token::{IssuedToken, Subject},
        password::MAX_LENGTH,
        refresh::{Family, Use},
        secret::{SecretKind, SecretToken},
    },
    data::{ids, master::MasterUnit},
    error::{Error, Result, UserErrorCode},
};

/// The accounts of one address with which a password is compared when no tenant is named. It bounds what one request
/// can cost; whoever has more of them names the tenant.
const MOST_COMPARED: u64 = 10;
/// The longest description of a browser or program that is kept.
const MOST_USER_AGENT: usize = 200;

/// What somebody logs in with.
#[derive(Clone)]
pub struct Login {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The tenant's slug, where the address has accounts in several.
    pub tenant: Option<String>,
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Client {
    /// The network address.
    pub address: IpAddr,
    /// How the browser or program names itself.
    pub user_agent: Option<String>,
}

/// What a login gives. `Debug` shows no token.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token, and in how many seconds it expires.
    pub access: IssuedToken,
    /// What prolongs the session, once.
    pub refresh: SecretToken,
    /// Who came in.
    pub principal: Principal,
}

/// Whose session it is.
pub(super) enum Holder {
    Account(account::Model),
    PlatformAdmin(platform_admin::Model),
}

/// What became of a refresh token.
#[expect(clippy::large_enum_variant, reason = "one at a time, for a moment")]
enum Turn {
    Prolonged(session::Model, Holder, SecretToken),
    Refused,
    Reused(session::Model),
}

impl Identity {
    /// Logs in to a tenant.
    ///
    /// # Errors
    /// [`Error::User`] for a wrong address or password, and when the tenant must be named; [`Error::Throttled`];
    /// [`Error::TenantSuspended`] after the right password.
    pub async fn login(&self, login: Login, client: &Client) -> Result<Tokens> {
        let email = sought(&login.email);
        let attempt = self.0.throttle.check(&email, client.address)?;
        let matching = match self.matching(&email, &login).await {
            Ok(matching) => matching,
            Err(error) => {
                attempt.cancelled();
                return Err(error);
            }
        };
        let Some((account, tenant)) = matching.first() else {
            attempt.failed();
            return Err(wrong_password());
        };
        attempt.succeeded();
        if matching.len() > 1 {
            let mut slugs: Vec<&str> = matching.iter().map(|(_, tenant)| tenant.slug.as_str()).collect();
            slugs.sort_unstable();
            let message = format!("Choose the tenant to log in to: {}", slugs.join(", "));
            return Err(Error::user(UserErrorCode::Blank, &["input", "tenant"], message));
        }
        if tenant.status == TenantStatus::Suspended {
            return Err(Error::TenantSuspended);
        }
        self.begin_session(account, Some(&login.password), client).await
    }

    /// The accounts that the login fits. Costs one hash where there is no account, or the tenant is named.
    async fn matching(&self, email: &str, login: &Login) -> Result<Vec<(account::Model, tenant::Model)>> {
        let password = comparable(&login.password);
        let accounts = account::Entity::find()
            .filter(account::Column::EmailFolded.eq(email))
            .order_by_desc(account::Column::LastLoginAt)
            .order_by_asc(account::Column::Id);
        let accounts = self.master().all(accounts).await?;
        let mut tenants = tenant::Entity::find()
            .filter(tenant::Column::Id.is_in(accounts.iter().map(|account| account.tenant_id)))
            .filter(tenant::Column::Status.is_in([TenantStatus::Active, TenantStatus::Suspended]));
        if let Some(slug) = named(login.tenant.as_deref()) {
            tenants = tenants.filter(tenant::Column::Slug.eq(slug));
        }
        let tenants = self.master().all(tenants).await?;
        let mut matching = Vec::new();
        let mut compared = 0;
        for account in accounts {
            let Some(tenant) = tenants.iter().find(|tenant| tenant.id == account.tenant_id) else { continue };
            if compared == MOST_COMPARED {
                break;
            }
            compared += 1;
            if self.fits(&account, password).await? {
                matching.push((account, tenant.clone()));
            }
        }
        if compared == 0 {
            self.0.hasher.verify_unknown(password).await?;
        }
        Ok(matching)
    }

    /// Whether the password is that of the account and the account may come in. Always costs one hash.
    async fn fits(&self, account: &account::Model, password: &str) -> Result<bool> {
        let right = match &account.password_hash {
            Some(stored) => self.0.hasher.verify(password, stored).await?,
            None => {
                self.0.hasher.verify_unknown(password).await?;
                false
            }
        };
        Ok(right && account.status == AccountStatus::Active)
    }

    /// Logs a platform administrator in.
    ///
    /// # Errors
    /// As [`Identity::login`].
    pub async fn platform_login(&self, email: &str, password: &str, client: &Client) -> Result<Tokens> {
        let (email, password) = (sought(email), comparable(password));
        // Its own budget: a user of the same address is another account.
        let attempt = self.0.throttle.check(&format!("platform {email}"), client.address)?;
        let verified = async {
            let query = platform_admin::Entity::find().filter(platform_admin::Column::EmailFolded.eq(email));
            let Some(admin) = self.master().one(query).await? else {
                self.0.hasher.verify_unknown(password).await?;
                return Ok(None);
            };
            let right = self.0.hasher.verify(password, &admin.password_hash).await?;
            Ok((right && admin.status == PlatformAdminStatus::Active).then_some(admin))
        };
        match verified.await {
            Ok(Some(admin)) => {
                attempt.succeeded();
                self.begin_platform_session(&admin, client).await
            }
            Ok(None) => {
                attempt.failed();
                Err(wrong_password())
            }
            Err(error) => {
                attempt.cancelled();
                Err(error)
            }
        }
    }

    /// Begins a session of an account whose password was right. A hash of other parameters than today's is renewed.
    pub(super) async fn begin_session(
        &self,
        verified: &account::Model,
        password: Option<&str>,
        client: &Client,
    ) -> Result<Tokens> {
        let renewed = match (password, &verified.password_hash) {
            (Some(password), Some(stored)) if self.0.hasher.needs_rehash(stored) => {
                Some(self.0.hasher.hash(password).await?)
            }
            _ => None,
        };
        let begun = self
            .master()
            .write(async |unit| {
                let query = account::Entity::find_by_id(verified.id).lock_exclusive();
                let account = unit.one(query).await?.ok_or_else(wrong_password)?;
                let unchanged = account.status == AccountStatus::Active
                    && account.epoch == verified.epoch
                    && account.password_hash == verified.password_hash;
                if !unchanged {
                    return Err(wrong_password());
                }
                let mut change = account.into_active_model();
                change.last_login_at = Set(Some(unit.now()));
                if let Some(hash) = &renewed {
                    change.password_hash = Set(Some(hash.clone()));
                }
                let account = unit.update(change).await?;
                let holder = Holder::Account(account);
                let (session, refresh) = self.open_session(unit, &holder, client).await?;
                Ok((session, holder, refresh))
            })
            .await?;
        self.tokens_of(begun).await
    }

    async fn begin_platform_session(&self, admin: &platform_admin::Model, client: &Client) -> Result<Tokens> {
        let begun = self
            .master()
            .write(async |unit| {
                let mut change = admin.clone().into_active_model();
                change.last_login_at = Set(Some(unit.now()));
                let holder = Holder::PlatformAdmin(unit.update(change).await?);
                let (session, refresh) = self.open_session(unit, &holder, client).await?;
                Ok((session, holder, refresh))
            })
            .await?;
        self.tokens_of(begun).await
    }

    async fn open_session(
        &self,
        unit: &mut MasterUnit,
        holder: &Holder,
        client: &Client,
    ) -> Result<(session::Model, SecretToken)> {
        let now = unit.now();
        let (tenant_id, account_id, platform_admin_id) = match holder {
            Holder::Account(account) => (Some(account.tenant_id), Some(account.id), None),
            Holder::PlatformAdmin(admin) => (None, None, Some(admin.id)),
        };
        let user_agent = client
            .user_agent
            .as_deref()
            .map(|text| text.chars().filter(|c| !c.is_control()).take(MOST_USER_AGENT).collect::<String>());
        let session = unit
            .insert(session::ActiveModel {
                id: Set(ids::new(now)),
                tenant_id: Set(tenant_id),
                account_id: Set(account_id),
                platform_admin_id: Set(platform_admin_id),
                generation: Set(0),
                used_token_id: Set(None),
                user_agent: Set(user_agent),
                address: Set(Some(client.address.to_canonical().to_string())),
                created_at: Set(now),
                refreshed_at: Set(now),
                expires_at: Set(now + Duration::days(i64::from(self.settings().session_days))),
                revoked_at: Set(None),
                revocation_reason: Set(None),
            })
            .await?;
        let refresh = self.give_refresh_token(unit, &session, 1).await?;
        Ok((session, refresh))
    }

    async fn give_refresh_token(
        &self,
        unit: &mut MasterUnit,
        session: &session::Model,
        generation: i32,
    ) -> Result<SecretToken> {
        let now = unit.now();
        let token = SecretToken::generate(SecretKind::RefreshToken)?;
        let expires_at = now + Duration::days(i64::from(self.settings().refresh_token_days));
        unit.insert(refresh_token::ActiveModel {
            id: Set(ids::new(now)),
            session_id: Set(session.id),
            generation: Set(generation),
            hash: Set(token.hash()),
            created_at: Set(now),
            expires_at: Set(std::cmp::Ord::min(expires_at, session.expires_at)),
            used_at: Set(None),
        })
        .await?;
        Ok(token)
    }

    async fn tokens_of(&self, (session, holder, refresh): (session::Model, Holder, SecretToken)) -> Result<Tokens> {
        let (access, principal) = self.issue_access(session.id, &holder).await?;
        Ok(Tokens { access, refresh, principal })
    }

    /// An access token for a session, and who it lets in.
    pub(super) async fn issue_access(&self, session_id: Uuid, holder: &Holder) -> Result<(IssuedToken, Principal)> {
        match holder {
            Holder::Account(account) => {
                let common = self.view(Some(account.tenant_id)).common().await?;
                may_come_in(&common)?;
                let role = self.role_of(&common, account).await?;
                let access = self.0.tokens.issue(&Subject {
                    user_id: account.id,
                    tenant_id: Some(account.tenant_id),
                    email: account.email.clone(),
                    role: role.name.clone(),
                    permissions: role.permissions.names(),
                    epoch: account.epoch,
                    session_id,
                })?;
                let proof = Proof::Session { id: session_id, epoch: account.epoch, expires_at: self.end_of(&access) };
                Ok((access, Principal::Member(member(account, &role, proof))))
            }
            Holder::PlatformAdmin(admin) => {
                let access = self.0.tokens.issue(&Subject {
                    user_id: admin.id,
                    tenant_id: None,
                    email: admin.email.clone(),
                    role: "Platform administrator".to_owned(),
                    permissions: PlatformRight::ALL.map(|right| right.name().to_owned()).to_vec(),
                    epoch: admin.epoch,
                    session_id,
                })?;
                let expires_at = self.end_of(&access);
                let principal = PlatformAdmin { id: admin.id, session_id, epoch: admin.epoch, expires_at };
                Ok((access, Principal::PlatformAdmin(principal)))
            }
        }
    }

    fn end_of(&self, access: &IssuedToken) -> DateTime<Utc> {
        self.now() + Duration::seconds(access.expires_in)
    }

    /// Gives the successors of a refresh token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token does not count, or no longer; [`Error::TenantSuspended`].
    pub async fn refresh(&self, text: &str) -> Result<Tokens> {
        let ended = || Error::Unauthenticated("This session has ended; log in again".to_owned());
        let token = SecretToken::parse(SecretKind::RefreshToken, text.trim()).ok_or_else(ended)?;
        // A reuse is refused, and yet its revocation must be committed: so it is an answer here and not an error.
        match self.master().write(async |unit| self.turn(unit, &token).await).await? {
            Turn::Prolonged(session, holder, refresh) => self.tokens_of((session, holder, refresh)).await,
            Turn::Refused => Err(ended()),
            Turn::Reused(session) => {
                self.forget(session.tenant_id);
                tracing::warn!(session = %session.id, "a refresh token was used twice; its session is revoked");
                Err(ended())
            }
        }
    }

    async fn turn(&self, unit: &mut MasterUnit, token: &SecretToken) -> Result<Turn> {
        let now = unit.now();
        let query = refresh_token::Entity::find().filter(refresh_token::Column::Hash.eq(token.hash()));
        let Some(presented) = unit.one(query).await? else { return Ok(Turn::Refused) };
        let query = session::Entity::find_by_id(presented.session_id).lock_exclusive();
        let Some(session) = unit.one(query).await? else { return Ok(Turn::Refused) };
        if session.revoked_at.is_some() || now >= session.expires_at || now >= presented.expires_at {
            return Ok(Turn::Refused);
        }
        let Some(holder) = holder_of(unit, &session).await? else { return Ok(Turn::Refused) };
        let family = Family { generation: session.generation, used_token_id: session.used_token_id };
        let mut change = session.clone().into_active_model();
        change.refreshed_at = Set(now);
        match family.judge(presented.id, presented.generation) {
            Use::First(moved) => {
                change.generation = Set(moved.generation);
                change.used_token_id = Set(moved.used_token_id);
                let mut used = presented.clone().into_active_model();
                used.used_at = Set(Some(now));
                unit.update(used).await?;
            }
            Use::Again => {}
            Use::Reuse => {
                change.revoked_at = Set(Some(now));
                change.revocation_reason = Set(Some(RevocationReason::TokenReused));
                return Ok(Turn::Reused(unit.update(change).await?));
            }
        }
        let session = unit.update(change).await?;
        let refresh = self.give_refresh_token(unit, &session, presented.generation.saturating_add(1)).await?;
        Ok(Turn::Prolonged(session, holder, refresh))
    }

    /// Ends the session that the caller came in with.
    ///
    /// # Errors
    /// [`Error::BadInput`] for an API key.
    pub async fn logout(&self, principal: &Principal) -> Result<()> {
        let id = match principal {
            Principal::Member(member) => member.own_session()?,
            Principal::PlatformAdmin(admin) => admin.session_id,
        };
        let own = session::Column::Id.eq(id);
        self.master().write(async |unit| revoke(unit, own, RevocationReason::Logout).await).await?;
        self.forget(principal.tenant_id());
        Ok(())
    }

    /// Ends every session of the caller, and refuses every access token that was issued before.
    ///
    /// # Errors
    /// [`Error::BadInput`] for an API key.
    pub async fn logout_all(&self, principal: &Principal) -> Result<()> {
        match principal {
            Principal::Member(caller) => {
                caller.own_session()?;
                let id = caller.actor.user_id;
                self.master()
                    .write(async |unit| {
                        let query = account::Entity::find_by_id(id).lock_exclusive();
                        let account = unit.one(query).await?.ok_or(Error::NotFound)?;
                        raise_epoch(unit, account, RevocationReason::Logout, None).await
                    })
                    .await?;
            }
            Principal::PlatformAdmin(admin) => {
                self.master()
                    .write(async |unit| {
                        let raise = platform_admin::Entity::update_many()
                            .col_expr(platform_admin::Column::Epoch, Expr::col(platform_admin::Column::Epoch).add(1))
                            .filter(platform_admin::Column::Id.eq(admin.id));
                        unit.update_many(raise).await?;
                        revoke(unit, session::Column::PlatformAdminId.eq(admin.id), RevocationReason::Logout).await
                    })
                    .await?;
            }
        }
        self.forget(principal.tenant_id());
        Ok(())
    }
}

/// Whose session it is, if that one may come in.
async fn holder_of(unit: &mut MasterUnit, session: &session::Model) -> Result<Option<Holder>> {
    if let Some(id) = session.platform_admin_id {
        let admin = unit.one(platform_admin::Entity::find_by_id(id)).await?;
        let admin = admin.filter(|admin| admin.status == PlatformAdminStatus::Active);
        return Ok(admin.map(Holder::PlatformAdmin));
    }
    let Some(id) = session.account_id else { return Ok(None) };
    let account = unit.one(account::Entity::find_by_id(id)).await?;
    let Some(account) = account.filter(|account| account.status == AccountStatus::Active) else { return Ok(None) };
    let tenant = unit.one(tenant::Entity::find_by_id(account.tenant_id)).await?;
    match tenant.map(|tenant| tenant.status) {
        Some(TenantStatus::Active) => Ok(Some(Holder::Account(account))),
        Some(TenantStatus::Suspended) => Err(Error::TenantSuspended),
        _ => Ok(None),
    }
}

/// Refuses every access token that the account has, ends its sessions (but one) and answers the account as it is now.
pub(super) async fn raise_epoch(
    unit: &mut MasterUnit,
    account: account::Model,
    reason: RevocationReason,
    keep: Option<Uuid>,
) -> Result<account::Model> {
    let mut own = sea_orm::Condition::all().add(session::Column::AccountId.eq(account.id));
    if let Some(keep) = keep {
        own = own.add(session::Column::Id.ne(keep));
    }
    revoke(unit, own, reason).await?;
    let (epoch, version, now) = (account.epoch + 1, account.version + 1, unit.now());
    let mut change = account.into_active_model();
    change.epoch = Set(epoch);
    change.version = Set(version);
    change.updated_at = Set(now);
    unit.update(change).await
}

/// Ends the sessions that meet the condition.
async fn revoke(
    unit: &mut MasterUnit,
    which: impl sea_orm::sea_query::IntoCondition,
    reason: RevocationReason,
) -> Result<()> {
    let statement = session::Entity::update_many()
        .col_expr(session::Column::RevokedAt, Expr::value(unit.now()))
        .col_expr(session::Column::RevocationReason, Expr::value(reason))
        .filter(which.into_condition())
        .filter(session::Column::RevokedAt.is_null());
    unit.update_many(statement).await?;
    Ok(())
}

/// The password, or nothing where it is longer than any password: so what a request sends bounds no cost.
pub(super) fn comparable(password: &str) -> &str {
    if password.chars().count() > MAX_LENGTH { "" } else { password }
}

/// The slug that was named, as slugs are written.
pub(super) fn named(slug: Option<&str>) -> Option<String> {
    slug.map(sought).filter(|slug| !slug.is_empty())
}

/// One answer for everything that is wrong with a login.
pub(super) fn wrong_password() -> Error {
    let message = "The e-mail address or the password is wrong, or the tenant must be named";
    Error::user(UserErrorCode::Invalid, &[], message)
}
