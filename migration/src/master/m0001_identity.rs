//! Tenants, accounts, roles, sessions and keys.
//!
//! The look-ups for which the indexes are chosen: a tenant by its slug; the accounts of an e-mail address in all
//! tenants, and in one; the accounts of a tenant and of a role; a refresh token and a one-time link by their hash; an
//! API key by its prefix; what has expired.
//!
//! Everything that belongs to a tenant goes with its row. An account keeps its role from being deleted.

use sea_orm_migration::prelude::*;

use crate::columns::{
    boolean, id, index, integer, json, text, text_null, time, time_null, timestamps, unique, uuid, uuid_null,
};

/// See the module.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            tenant(),
            role(),
            role_permission(),
            account(),
            platform_admin(),
            session(),
            refresh_token(),
            api_key(),
            one_time_token(),
        ] {
            manager.create_table(table).await?;
        }
        for index in [
            unique("tenant", &["slug"]),
            unique("role", &["tenant_id", "name_folded"]),
            unique("account", &["email_folded", "tenant_id"]),
            index("account", &["tenant_id"]),
            index("account", &["role_id"]),
            unique("platform_admin", &["email_folded"]),
            index("session", &["account_id"]),
            index("session", &["platform_admin_id"]),
            index("session", &["expires_at"]),
            unique("refresh_token", &["hash"]),
            index("refresh_token", &["session_id", "generation"]),
            unique("api_key", &["prefix"]),
            index("api_key", &["tenant_id"]),
            index("api_key", &["account_id"]),
            unique("one_time_token", &["hash"]),
            index("one_time_token", &["account_id"]),
            index("one_time_token", &["expires_at"]),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// A reference that takes its row along when the row it names is deleted.
fn owned_by(column: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from_col(column).to(table, "id").on_delete(ForeignKeyAction::Cascade).take()
}

fn tenant() -> TableCreateStatement {
    let mut table = Table::create()
        .table("tenant")
        .col(id())
        .col(text("slug"))
        .col(text("name"))
        .col(text("status"))
        .col(text_null("database_url"))
        .col(integer("schema_version"))
        .col(text("provisioning_step"))
        .col(text("base_currency"))
        .col(text("time_zone"))
        .col(text("locale"))
        .col(integer("version"))
        .col(time_null("provisioned_at"))
        .col(time_null("suspended_at"))
        .col(time_null("deleted_at"))
        .take();
    timestamps(&mut table).take()
}

fn role() -> TableCreateStatement {
    let mut table = Table::create()
        .table("role")
        .col(id())
        .col(uuid("tenant_id"))
        .col(text("name"))
        .col(text("name_folded"))
        .col(text_null("description"))
        .col(text("scope"))
        .col(boolean("is_built_in"))
        .col(boolean("mirror_pending"))
        .col(time_null("deleted_at"))
        .col(integer("version"))
        .foreign_key(&mut owned_by("tenant_id", "tenant"))
        .take();
    timestamps(&mut table).take()
}

fn role_permission() -> TableCreateStatement {
    Table::create()
        .table("role_permission")
        .col(uuid("role_id"))
        .col(text("permission"))
        .primary_key(Index::create().col("role_id").col("permission"))
        .foreign_key(&mut owned_by("role_id", "role"))
        .take()
}

fn account() -> TableCreateStatement {
    let mut table = Table::create()
        .table("account")
        .col(id())
        .col(uuid("tenant_id"))
        .col(text("email"))
        .col(text("email_folded"))
        .col(text_null("password_hash"))
        .col(time_null("password_changed_at"))
        .col(text("status"))
        .col(uuid("role_id"))
        .col(integer("epoch"))
        .col(time_null("last_login_at"))
        .col(boolean("mirror_pending"))
        .col(integer("version"))
        .foreign_key(&mut owned_by("tenant_id", "tenant"))
        .foreign_key(ForeignKey::create().from_col("role_id").to("role", "id"))
        .take();
    timestamps(&mut table).take()
}

fn platform_admin() -> TableCreateStatement {
    let mut table = Table::create()
        .table("platform_admin")
        .col(id())
        .col(text("email"))
        .col(text("email_folded"))
        .col(text("password_hash"))
        .col(text("status"))
        .col(integer("epoch"))
        .col(time_null("last_login_at"))
        .take();
    timestamps(&mut table).take()
}

fn session() -> TableCreateStatement {
    Table::create()
        .table("session")
        .col(id())
        .col(uuid_null("tenant_id"))
        .col(uuid_null("account_id"))
        .col(uuid_null("platform_admin_id"))
        .col(integer("generation"))
        .col(uuid_null("used_token_id"))
        .col(text_null("user_agent"))
        .col(text_null("address"))
        .col(time("created_at"))
        .col(time("refreshed_at"))
        .col(time("expires_at"))
        .col(time_null("revoked_at"))
        .col(text_null("revocation_reason"))
        .check(Expr::col("account_id").is_null().ne(Expr::col("platform_admin_id").is_null()))
        .check(Expr::col("account_id").is_null().eq(Expr::col("tenant_id").is_null()))
        .foreign_key(&mut owned_by("tenant_id", "tenant"))
        .foreign_key(&mut owned_by("account_id", "account"))
        .foreign_key(&mut owned_by("platform_admin_id", "platform_admin"))
        .take()
}

fn refresh_token() -> TableCreateStatement {
    Table::create()
        .table("refresh_token")
        .col(id())
        .col(uuid("session_id"))
        .col(integer("generation"))
        .col(text("hash"))
        .col(time("created_at"))
        .col(time("expires_at"))
        .col(time_null("used_at"))
        .foreign_key(&mut owned_by("session_id", "session"))
        .take()
}

fn api_key() -> TableCreateStatement {
    let mut table = Table::create()
        .table("api_key")
        .col(id())
        .col(uuid("tenant_id"))
        .col(uuid("account_id"))
        .col(text("name"))
        .col(text("prefix"))
        .col(text("hash"))
        .col(json("scopes"))
        .col(text("data_scope"))
        .col(time_null("expires_at"))
        .col(time_null("last_used_at"))
        .col(time_null("revoked_at"))
        .col(boolean("mirror_pending"))
        .col(integer("version"))
        .foreign_key(&mut owned_by("tenant_id", "tenant"))
        .foreign_key(&mut owned_by("account_id", "account"))
        .take();
    timestamps(&mut table).take()
}

fn one_time_token() -> TableCreateStatement {
    Table::create()
        .table("one_time_token")
        .col(id())
        .col(uuid("account_id"))
        .col(text("purpose"))
        .col(text("hash"))
        .col(time("created_at"))
        .col(time("expires_at"))
        .col(time_null("used_at"))
        .foreign_key(&mut owned_by("account_id", "account"))
        .take()
}
