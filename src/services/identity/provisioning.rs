//! How a tenant comes to be: its rows in the master database, its database, what that holds from the start.
//!
//! | step that is done | what stands |
//! |---|---|
//! | REGISTERED | the tenant, the built-in roles and the first administrator, in the master database |
//! | DATABASE_READY | the database, migrated, marked as the tenant's |
//! | SEEDED | in it the roles, the first user, and what the seeds of other areas put there |
//! | DONE | the tenant can be used |
//!
//! Each step can be repeated, so after a crash the same call goes on where the first one ended, and a call for a
//! tenant that is done answers as the first did. "The same call" means the same slug and the same administrator; who
//! registers proves it with the password.

use std::{pin::Pin, sync::Arc};

use entity::{
    master::{AccountStatus, OneTimePurpose, ProvisioningStep, TenantStatus, account, role, tenant},
    tenant::user,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    Client, Identity, Invitation, Tokens, cache, decision::rows_of, link, mirror::Mirrored, session::comparable,
    user::queue_invitation,
};
use crate::{
    auth::{Actor, password, permission::BUILT_IN_ROLES},
    condition::fold::fold,
    data::{Unit, email_address, ids, money, provision::schema_version},
    error::{Error, Result, UserError, UserErrorCode},
};

/// Something that the database of a new tenant holds from the start, such as a pipeline.
///
/// It runs once, in the transaction that also writes the first roles and the first user, for the platform.
pub trait Seed: Send + Sync {
    /// Writes it.
    fn seed<'a>(&'a self, unit: &'a mut Unit) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;
}

/// A tenant to be made.
#[derive(Clone)]
pub struct NewTenant {
    /// The tenant's name in URLs: 2 to 40 lower-case letters, digits and hyphens.
    pub slug: String,
    /// The company's name.
    pub name: String,
    /// The currency in which totals are given, ISO 4217; missing: as the platform is set up.
    pub base_currency: Option<String>,
    /// The IANA name of the time zone; missing: as the platform is set up.
    pub time_zone: Option<String>,
    /// The BCP 47 tag of the language; missing: as the platform is set up.
    pub locale: Option<String>,
    /// Where the database is to be, when not where the platform's template says.
    pub database_url: Option<String>,
    /// Who administers it first.
    pub admin: FirstAdmin,
}

/// The first administrator of a tenant.
#[derive(Clone)]
pub struct FirstAdmin {
    /// The full name.
    pub name: String,
    /// The e-mail address to log in with.
    pub email: String,
    /// The password; missing: the administrator is invited.
    pub password: Option<String>,
}

/// A tenant that was made.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// The tenant.
    pub tenant: tenant::Model,
    /// Its first administrator.
    pub admin_id: Uuid,
    /// The administrator's invitation, where no password was given.
    pub invitation: Option<Invitation>,
}

/// Names that would be taken for the platform's own.
const RESERVED: &[&str] = &[
    "account",
    "accounts",
    "admin",
    "api",
    "app",
    "apps",
    "assets",
    "auth",
    "billing",
    "blog",
    "cdn",
    "console",
    "dev",
    "docs",
    "email",
    "graphiql",
    "graphql",
    "health",
    "help",
    "internal",
    "localhost",
    "login",
    "logout",
    "mail",
    "master",
    "metrics",
    "oauth",
    "platform",
    "public",
    "rapport",
    "register",
    "root",
    "security",
    "signup",
    "smtp",
    "staging",
    "static",
    "status",
    "support",
    "system",
    "test",
    "webhook",
    "webhooks",
    "www",
];

/// What the first administrator comes in with.
enum FirstAccess {
    Hash(String),
    Invited,
}

impl Identity {
    /// Makes a tenant for somebody who signs up, and logs that one in.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where registration is turned off; [`Error::User`] for what can be mended;
    /// [`Error::Throttled`].
    pub async fn register(&self, new: NewTenant, client: &Client) -> Result<Tokens> {
        if !self.settings().registration {
            return Err(Error::Forbidden { permission: cache::PLATFORM_ONLY.to_string() });
        }
        let mut errors = Vec::new();
        let new = self.checked(new, &mut errors);
        let password = new.admin.password.clone().unwrap_or_default();
        errors.extend(password::violations(&password, &new.admin.email, &["input", "password"]));
        if !errors.is_empty() {
            return Err(Error::User(errors));
        }
        self.0.registrations.take(client.address)?;
        // Whether the slug is taken is told after one hash, whatever it was computed for.
        let (tenant, admin) = match self.known_tenant(&new.slug).await? {
            Some(tenant) => {
                let attempt = self.0.throttle.check(&fold(&new.admin.email), client.address)?;
                let admin = self.first_admin(&tenant, &new.admin.email).await?;
                let stored = admin.as_ref().and_then(|admin| admin.password_hash.as_deref());
                let right = match stored {
                    Some(stored) => self.0.hasher.verify(comparable(&password), stored).await?,
                    None => self.0.hasher.verify_unknown(comparable(&password)).await.map(|()| false)?,
                };
                let usable = !matches!(tenant.status, TenantStatus::Suspended | TenantStatus::Deleted);
                match admin.filter(|admin| right && usable && admin.status == AccountStatus::Active) {
                    Some(admin) => {
                        attempt.succeeded();
                        (tenant, admin)
                    }
                    None => {
                        attempt.failed();
                        return Err(taken());
                    }
                }
            }
            None => {
                let hash = self.0.hasher.hash(&password).await?;
                self.begin_tenant(&new, &FirstAccess::Hash(hash)).await?
            }
        };
        // Boxed: what makes a database is large, and would lie on the stack of everybody who may call this.
        Box::pin(self.complete(tenant, &new.admin.name)).await?;
        self.begin_session(&admin, None, client).await
    }

    /// Makes a tenant for the platform: its administrators and its command line. Called again for the same slug and
    /// administrator it completes what is there and changes no password; an administrator who is still invited gets a
    /// new link.
    ///
    /// # Errors
    /// [`Error::User`] for what can be mended.
    pub async fn tenant_create(&self, new: NewTenant) -> Result<Provisioned> {
        let mut errors = Vec::new();
        let new = self.checked(new, &mut errors);
        if let Some(password) = &new.admin.password {
            errors.extend(password::violations(password, &new.admin.email, &["input", "password"]));
        }
        if !errors.is_empty() {
            return Err(Error::User(errors));
        }
        let (tenant, admin) = match self.known_tenant(&new.slug).await? {
            Some(tenant) => {
                let admin = self.first_admin(&tenant, &new.admin.email).await?.ok_or_else(taken)?;
                (tenant, admin)
            }
            None => {
                let access = match &new.admin.password {
                    Some(password) => FirstAccess::Hash(self.0.hasher.hash(password).await?),
                    None => FirstAccess::Invited,
                };
                self.begin_tenant(&new, &access).await?
            }
        };
        if tenant.status == TenantStatus::Deleted {
            return Err(taken());
        }
        let tenant = Box::pin(self.complete(tenant, &new.admin.name)).await?;
        let invited = admin.status == AccountStatus::Invited && tenant.status == TenantStatus::Active;
        let invitation = if invited { Some(self.invite_first(&tenant, &admin).await?) } else { None };
        Ok(Provisioned { tenant, admin_id: admin.id, invitation })
    }

    /// The input in the form in which it is stored, and what is wrong with it.
    fn checked(&self, mut new: NewTenant, errors: &mut Vec<UserError>) -> NewTenant {
        let mut refuse = |code, field: &str, message: &str| {
            errors.push(UserError::new(code, &["input", field], message));
        };
        new.slug = new.slug.trim().to_owned();
        if let Some(message) = slug_violation(&new.slug) {
            refuse(UserErrorCode::Invalid, "slug", message);
        }
        for (field, text) in [("name", &mut new.name), ("adminName", &mut new.admin.name)] {
            *text = text.trim().to_owned();
            if text.is_empty() {
                refuse(UserErrorCode::Blank, field, "a name is required");
            } else if text.chars().count() > 200 {
                refuse(UserErrorCode::TooLong, field, "a name has at most 200 characters");
            } else if text.chars().any(char::is_control) {
                refuse(UserErrorCode::Invalid, field, "a name holds no control characters");
            }
        }
        match email_address(new.admin.email.trim()) {
            Some(email) => new.admin.email = email,
            None => refuse(UserErrorCode::Invalid, "email", "this is no e-mail address"),
        }
        let defaults = self.settings();
        let currency = new.base_currency.get_or_insert_with(|| defaults.base_currency.clone());
        *currency = currency.trim().to_uppercase();
        if money::currency(currency).is_none() {
            refuse(UserErrorCode::Invalid, "baseCurrency", "this is no ISO 4217 currency code");
        }
        let zone = new.time_zone.get_or_insert_with(|| defaults.time_zone.clone());
        if !named_like(zone, "/_-+") {
            refuse(UserErrorCode::Invalid, "timeZone", "this is no time zone, such as UTC or Europe/Vienna");
        }
        let locale = new.locale.get_or_insert_with(|| defaults.locale.clone());
        if !named_like(locale, "-") {
            refuse(UserErrorCode::Invalid, "locale", "this is no language, such as en or de-AT");
        }
        new
    }

    async fn known_tenant(&self, slug: &str) -> Result<Option<tenant::Model>> {
        self.master().one(tenant::Entity::find().filter(tenant::Column::Slug.eq(slug))).await
    }

    async fn first_admin(&self, tenant: &tenant::Model, email: &str) -> Result<Option<account::Model>> {
        let query = account::Entity::find()
            .filter(account::Column::TenantId.eq(tenant.id))
            .filter(account::Column::EmailFolded.eq(fold(email)));
        self.master().one(query).await
    }

    /// The first step: everything that the master database holds of a new tenant, in one transaction.
    async fn begin_tenant(&self, new: &NewTenant, access: &FirstAccess) -> Result<(tenant::Model, account::Model)> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let begun = self.master().write(async |unit| {
            let now = unit.now();
            let tenant = unit
                .insert(tenant::ActiveModel {
                    id: Set(ids::new(now)),
                    slug: Set(new.slug.clone()),
                    name: Set(new.name.clone()),
                    status: Set(TenantStatus::Provisioning),
                    database_url: Set(new.database_url.clone()),
                    schema_version: Set(0),
                    provisioning_step: Set(ProvisioningStep::Registered),
                    base_currency: Set(text(&new.base_currency)),
                    time_zone: Set(text(&new.time_zone)),
                    locale: Set(text(&new.locale)),
                    version: Set(1),
                    created_at: Set(now),
                    updated_at: Set(now),
                    provisioned_at: Set(None),
                    suspended_at: Set(None),
                    deleted_at: Set(None),
                })
                .await?;
            let mut admin_role = None;
            for built_in in BUILT_IN_ROLES {
                let id = ids::new(now);
                unit.insert(role::ActiveModel {
                    id: Set(id),
                    tenant_id: Set(tenant.id),
                    name: Set(built_in.name.to_owned()),
                    name_folded: Set(fold(built_in.name)),
                    description: Set(Some(built_in.description.to_owned())),
                    scope: Set(built_in.scope),
                    is_built_in: Set(true),
                    mirror_pending: Set(true),
                    deleted_at: Set(None),
                    version: Set(1),
                    created_at: Set(now),
                    updated_at: Set(now),
                })
                .await?;
                unit.insert_many(rows_of(id, &built_in.permissions())).await?;
                if built_in.name == cache::ADMIN {
                    admin_role = Some(id);
                }
            }
            let (hash, status) = match access {
                FirstAccess::Hash(hash) => (Some(hash.clone()), AccountStatus::Active),
                FirstAccess::Invited => (None, AccountStatus::Invited),
            };
            let admin = unit
                .insert(account::ActiveModel {
                    id: Set(ids::new(now)),
                    tenant_id: Set(tenant.id),
                    email: Set(new.admin.email.clone()),
                    email_folded: Set(fold(&new.admin.email)),
                    password_changed_at: Set(hash.as_ref().map(|_| now)),
                    password_hash: Set(hash),
                    status: Set(status),
                    role_id: Set(admin_role.ok_or_else(|| Error::internal("there is no role for administrators"))?),
                    epoch: Set(0),
                    last_login_at: Set(None),
                    mirror_pending: Set(true),
                    version: Set(1),
                    created_at: Set(now),
                    updated_at: Set(now),
                })
                .await?;
            Ok((tenant, admin))
        });
        match begun.await {
            Err(Error::Conflict(_)) => Err(taken()),
            other => other,
        }
    }

    /// Does what is left to do. One tenant at a time: two calls for one must not make its database twice.
    async fn complete(&self, tenant: tenant::Model, admin_name: &str) -> Result<tenant::Model> {
        if tenant.provisioning_step == ProvisioningStep::Done {
            return Ok(tenant);
        }
        let _one_at_a_time = self.0.provisioning.lock().await;
        let reread = self.master().one(tenant::Entity::find_by_id(tenant.id)).await?;
        let mut tenant = reread.ok_or(Error::NotFound)?;
        while tenant.provisioning_step != ProvisioningStep::Done && tenant.status == TenantStatus::Provisioning {
            tenant = self.provision_next(tenant, admin_name).await?;
        }
        Ok(tenant)
    }

    /// Does the next step of a tenant that is being made, and notes that it is done.
    ///
    /// # Errors
    /// Those of the step; it can be done again.
    pub async fn provision_next(&self, tenant: tenant::Model, admin_name: &str) -> Result<tenant::Model> {
        let done = match tenant.provisioning_step {
            ProvisioningStep::Registered => {
                self.tenants().create_database(&tenant).await?;
                ProvisioningStep::DatabaseReady
            }
            ProvisioningStep::DatabaseReady => {
                self.seed(&tenant, admin_name).await?;
                ProvisioningStep::Seeded
            }
            ProvisioningStep::Seeded | ProvisioningStep::Done => ProvisioningStep::Done,
        };
        let tenant = self
            .master()
            .write(async |unit| {
                let (now, id) = (unit.now(), tenant.id);
                if done == ProvisioningStep::Seeded {
                    // The database has just been told of all of them.
                    let accounts = account::Entity::update_many()
                        .col_expr(account::Column::MirrorPending, Expr::value(false))
                        .filter(account::Column::TenantId.eq(id));
                    unit.update_many(accounts).await?;
                    let roles = role::Entity::update_many()
                        .col_expr(role::Column::MirrorPending, Expr::value(false))
                        .filter(role::Column::TenantId.eq(id));
                    unit.update_many(roles).await?;
                }
                let version = tenant.version + 1;
                let mut row = tenant.into_active_model();
                row.provisioning_step = Set(done);
                row.version = Set(version);
                row.updated_at = Set(now);
                if done == ProvisioningStep::DatabaseReady {
                    row.schema_version = Set(schema_version());
                }
                if done == ProvisioningStep::Done {
                    row.status = Set(TenantStatus::Active);
                    row.provisioned_at = Set(Some(now));
                }
                unit.update(row).await
            })
            .await?;
        self.forget(Some(tenant.id));
        Ok(tenant)
    }

    /// Fills a new database, in one transaction: what is there is there as a whole.
    async fn seed(&self, tenant: &tenant::Model, admin_name: &str) -> Result<()> {
        let roles = self.master().all(role::Entity::find().filter(role::Column::TenantId.eq(tenant.id))).await?;
        let accounts = account::Entity::find().filter(account::Column::TenantId.eq(tenant.id));
        let accounts = self.master().all(accounts).await?;
        let open = self.tenants().open_unchecked(tenant).await?;
        let db = open.for_actor(Actor::system(tenant.id).into(), None);
        let seeds: &[Arc<dyn Seed>] = &self.0.seeds;
        db.write(async |unit| {
            let mut new = false;
            for role in roles {
                self.tell(unit, &Mirrored::Role(role)).await?;
            }
            for account in &accounts {
                new |= unit.lock_row::<user::Entity>(account.id).await?.is_none();
                self.tell_account(unit, account, Some(admin_name)).await?;
            }
            if new {
                for seed in seeds {
                    seed.seed(unit).await?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Sends the first administrator a link.
    async fn invite_first(&self, tenant: &tenant::Model, admin: &account::Model) -> Result<Invitation> {
        let open = self.tenants().open(tenant.id).await?;
        let db = open.for_actor(Actor::system(tenant.id).into(), None);
        db.write(async |unit| {
            let invitation = self.draw_link(OneTimePurpose::Invite, unit.now())?;
            let record = unit.lock_row::<user::Entity>(admin.id).await?.ok_or(Error::NotFound)?;
            queue_invitation(unit, &record, tenant, &invitation).await?;
            self.master()
                .write(async |master| link::store(master, admin, OneTimePurpose::Invite, &invitation).await)
                .await?;
            Ok(invitation)
        })
        .await
    }
}

/// What is wrong with a slug.
fn slug_violation(slug: &str) -> Option<&'static str> {
    let usable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(2..=40).contains(&slug.len()) {
        Some("a slug has 2 to 40 characters")
    } else if !slug.chars().all(usable) {
        Some("a slug holds lower-case letters, digits and hyphens")
    } else if slug.starts_with('-') || slug.ends_with('-') || slug.contains("--") {
        Some("hyphens stand singly between other characters")
    } else if RESERVED.contains(&slug) {
        Some("this slug is reserved")
    } else {
        None
    }
}

/// Whether the text could be the name of a time zone or a language.
fn named_like(text: &str, marks: &str) -> bool {
    let begins = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    begins && text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

fn taken() -> Error {
    Error::user(UserErrorCode::Taken, &["input", "slug"], "this slug is taken")
}

#[cfg(test)]
mod tests {
    use super::slug_violation;

    #[test]
    fn slugs() {
        for good in ["ab", "acme", "acme-2", "3m", &"a".repeat(40)] {
            assert_eq!(slug_violation(good), None, "{good}");
        }
        for bad in ["", "a", "Acme", "ac me", "acmé", "-acme", "acme-", "ac--me", "a.b", "api", "www", &"a".repeat(41)]
        {
            assert!(slug_violation(bad).is_some(), "{bad}");
        }
    }
}
