//! Who comes in, as whom, and what takes that away again: tenants, sessions, users, roles, API keys.
//!
//! | file | what it does |
//! |---|---|
//! | `provisioning`, `tenant` | a tenant comes to be; is suspended, resumed, removed, brought up to date |
//! | `session` | login, refresh, logout |
//! | `authenticate`, `cache` | credentials become an actor; what this node remembers of accounts, for a second at most |
//! | `me` | what the caller is told about himself |
//! | `password`, `link` | change, reset, invitation; the one-time links for these |
//! | `user`, `user_import`, `role`, `bulk`, `api_key` | what administrators do |
//! | `decision`, `guard` | what is done to accounts and roles in the master database, and what nobody may |
//! | `mirror` | what the tenant's own database is told of all this |
//! | `platform_admin` | those who make and remove tenants |
//!
//! Two databases take part. What decides stands in the master database; the tenant's own database holds the records
//! that others refer to and that are audited. A change of both is made in one order everywhere: the tenant's unit of
//! work begins, its rows are checked and written, the master's transaction commits with `mirror_pending`, the unit
//! commits, the mark is taken away. So what a user can mend is found before anything is committed; a crash between
//! the two commits leaves a mark that [`Identity::repair_mirrors`] finds; and since nobody waits for a unit while he
//! holds a transaction on the master, nobody waits in a circle.

mod api_key;
mod authenticate;
mod bulk;
mod cache;
mod decision;
mod guard;
mod link;
mod me;
mod mirror;
mod password;
mod platform_admin;
mod provisioning;
mod role;
mod session;
mod tenant;
mod user;
mod user_import;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio_util::task::TaskTracker;

use self::cache::Cache;
pub use self::{
    api_key::{ApiKeyChange, NewApiKey},
    authenticate::{Member, PlatformAdmin, PlatformRight, Principal},
    bulk::{RoleUpsert, UserUpsert, UserValues},
    link::Invitation,
    me::Me,
    provisioning::{FirstAdmin, NewTenant, Provisioned, Seed},
    role::{NewRole, RoleChange},
    session::{Client, Login, Tokens},
    tenant::{Migration, MigrationReport, TenantPage},
    user::{Access, NewUser, UserChange},
    user_import::Untold,
};
use crate::{
    auth::{
        access_token::{AccessTokenSettings, AccessTokens},
        password::{PasswordHasher, PasswordSettings},
        throttle::{Limit, LoginThrottle, RateLimiter, ThrottleSettings},
    },
    clock::Clock,
    condition::fold::fold,
    data::{MasterDb, Tenants},
    error::Result,
};

/// What the rules of identity can be told.
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    /// Who issues access tokens, for how long, with which keys.
    pub access_tokens: AccessTokenSettings,
    /// The cost of a password.
    pub passwords: PasswordSettings,
    /// The budgets of logins.
    pub throttle: ThrottleSettings,
    /// How many days a refresh token counts.
    pub refresh_token_days: u32,
    /// How many days a session lasts, however often it is refreshed.
    pub session_days: u32,
    /// How many days an invitation counts.
    pub invitation_days: u32,
    /// How many minutes a link to reset a password counts.
    pub reset_minutes: u32,
    /// Whether anyone may register a tenant.
    pub registration: bool,
    /// How many tenants may be registered from one address.
    pub registrations: Limit,
    /// How many links to reset a password may be asked for, for one e-mail address and from one network address each.
    pub reset_requests: Limit,
    /// Where an invitation is accepted, with `{token}` in the place of the token.
    pub invitation_link: String,
    /// Where a password is reset, with `{token}` in the place of the token.
    pub reset_link: String,
    /// The currency in which a new tenant counts, ISO 4217.
    pub base_currency: String,
    /// The IANA name of the time zone of a new tenant.
    pub time_zone: String,
    /// The BCP 47 tag of the language of a new tenant.
    pub locale: String,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            access_tokens: AccessTokenSettings::default(),
            passwords: PasswordSettings::default(),
            throttle: ThrottleSettings::default(),
            refresh_token_days: 30,
            session_days: 90,
            invitation_days: 7,
            reset_minutes: 60,
            registration: true,
            registrations: Limit { burst: 10, interval_seconds: 360 },
            reset_requests: Limit { burst: 5, interval_seconds: 600 },
            invitation_link: "http://localhost:8080/invitation?token={token}".to_owned(),
            reset_link: "http://localhost:8080/password-reset?token={token}".to_owned(),
            base_currency: "USD".to_owned(),
            time_zone: "UTC".to_owned(),
            locale: "en".to_owned(),
        }
    }
}

/// The rules of identity and what they need. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    settings: IdentitySettings,
    tenants: Tenants,
    seeds: Vec<Arc<dyn Seed>>,
    hasher: PasswordHasher,
    tokens: AccessTokens,
    throttle: LoginThrottle,
    registrations: RateLimiter,
    reset_requests: RateLimiter,
    cache: Cache,
    clock: Clock,
    background: TaskTracker,
    /// Held while a tenant is made: two calls for one tenant must not make its database twice.
    provisioning: tokio::sync::Mutex<()>,
}

/// A text that is looked for, folded. One with control characters is stored nowhere, and a database may refuse it.
fn sought(text: &str) -> String {
    let folded = fold(text);
    if folded.chars().any(char::is_control) { String::new() } else { folded }
}

impl Identity {
    /// The rules over these tenants. `seeds` fill the database of a new tenant.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(settings: IdentitySettings, tenants: Tenants, seeds: Vec<Arc<dyn Seed>>) -> Result<Self> {
        let clock = tenants.master().clock().clone();
        let capacity = settings.throttle.capacity;
        Ok(Self(Arc::new(Inner {
            hasher: PasswordHasher::new(&settings.passwords)?,
            tokens: AccessTokens::new(&settings.access_tokens, clock.clone())?,
            throttle: LoginThrottle::new(&settings.throttle, clock.clone()),
            registrations: RateLimiter::new(clock.clone(), settings.registrations, capacity),
            reset_requests: RateLimiter::new(clock.clone(), settings.reset_requests, capacity),
            cache: Cache::new(),
            background: TaskTracker::new(),
            provisioning: tokio::sync::Mutex::new(()),
            settings,
            tenants,
            seeds,
            clock,
        })))
    }

    /// The registry of tenants.
    #[must_use]
    pub fn tenants(&self) -> &Tenants {
        &self.0.tenants
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &IdentitySettings {
        &self.0.settings
    }

    /// Waits until what was begun in the background is done. For a graceful shutdown.
    pub async fn settle(&self) {
        let background = &self.0.background;
        background.close();
        background.wait().await;
        background.reopen();
    }

    fn master(&self) -> &MasterDb {
        self.0.tenants.master()
    }

    fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }
}
