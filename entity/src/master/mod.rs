//! The master database: which tenants there are, who may come in, and with what.
//!
//! | table | holds |
//! |---|---|
//! | [`tenant`] | a customer of the platform, and where its own database is |
//! | [`account`] | a person who can log in to one tenant; the tenant's `user` record has the same id |
//! | [`platform_admin`] | a person who provisions and removes tenants and reads no tenant's data |
//! | [`role`], [`role_permission`] | what the accounts of a tenant may do |
//! | [`session`], [`refresh_token`] | a login, and the chain of tokens that prolongs it |
//! | [`api_key`] | a program that acts for an account |
//! | [`cron`], [`job`] | what recurs, and one row for each time that it does |
//! | [`due_work`] | what has to be done for a tenant, and when |
//! | [`one_time_token`] | a link that sets a password once |
//!
//! Rules that hold for every table here:
//!
//! - Ids are UUIDv7, times are UTC in whole microseconds, and both come from the application, never from the database.
//! - A secret is stored as the SHA-256 of its text, in lower-case hexadecimal; a password as an Argon2id PHC string.
//! - These are not records of a tenant: they have no soft delete and no audit rows of their own. What of them a tenant
//!   should see in its audit log is mirrored into the tenant's database; `mirror_pending` is true from the write here
//!   until that second write is done, so that a crash between the two is found and mended.
//! - `epoch` is compared with the epoch in an access token. Raising it refuses every token issued before.

pub mod account;
pub mod api_key;
pub mod cron;
pub mod due_work;
pub mod job;
pub mod one_time_token;
pub mod platform_admin;
pub mod refresh_token;
pub mod role;
pub mod role_permission;
pub mod session;
pub mod tenant;

pub use account::AccountStatus;
pub use api_key::Scopes;
pub use cron::{MisfirePolicy, OverlapPolicy};
pub use due_work::WorkKind;
pub use job::JobStatus;
pub use one_time_token::OneTimePurpose;
pub use platform_admin::PlatformAdminStatus;
pub use role::DataScope;
pub use session::RevocationReason;
pub use tenant::{ProvisioningStep, TenantStatus};
