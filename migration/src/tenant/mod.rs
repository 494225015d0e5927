//! The database of one tenant. To add a table: a file beside these, and a line in [`TenantMigrator`].

use sea_orm_migration::prelude::*;

pub mod record;

mod m20261122_000001_platform;
mod m20261122_000002_user;
mod m20261122_000003_customer;
mod m20261122_000004_contact;
mod m20261122_000005_pipeline;
mod m20261122_000006_product;
mod m20261122_000007_opportunity;
mod m20261122_000008_lead;
mod m20261122_000009_activity;
mod m20261122_000010_interaction;
mod m20261122_000012_ticket;
mod m20261122_000013_ticket_comment;
mod m20261122_000020_role;
mod m20261122_000021_api_key;
mod m20261122_000022_email_message;
mod m20261122_000023_consumer;
mod m20261122_000024_notification;
mod m20261122_000025_webhook;
mod m20261122_000026_email_template;
mod m20261122_000030_reminder;
mod m20261122_000050_import;

/// Brings a tenant's database up to date.
pub struct TenantMigrator;

#[async_trait::async_trait]
impl MigratorTrait for TenantMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_platform::Migration),
            Box::new(m20261122_000002_user::Migration),
            Box::new(m20261122_000003_customer::Migration),
            Box::new(m20261122_000004_contact::Migration),
            Box::new(m20261122_000005_pipeline::Migration),
            Box::new(m20261122_000006_product::Migration),
            Box::new(m20261122_000007_opportunity::Migration),
            Box::new(m20261122_000008_lead::Migration),
            Box::new(m20261122_000009_activity::Migration),
            Box::new(m20261122_000010_interaction::Migration),
            Box::new(m20261122_000012_ticket::Migration),
            Box::new(m20261122_000013_ticket_comment::Migration),
            Box::new(m20261122_000020_role::Migration),
            Box::new(m20261122_000021_api_key::Migration),
            Box::new(m20261122_000022_email_message::Migration),
            Box::new(m20261122_000023_consumer::Migration),
            Box::new(m20261122_000024_notification::Migration),
            Box::new(m20261122_000025_webhook::Migration),
            Box::new(m20261122_000026_email_template::Migration),
            Box::new(m20261122_000030_reminder::Migration),
            Box::new(m20261122_000050_import::Migration),
        ]
    }
}
