//! The master database comes to be on both engines, and its tables are the entities'.

use std::env;

use chrono::{DateTime, TimeZone, Utc};
use entity::master::{
    AccountStatus, DataScope, OneTimePurpose, PlatformAdminStatus, ProvisioningStep, RevocationReason, Scopes,
    TenantStatus, account, api_key, one_time_token, platform_admin, refresh_token, role, role_permission, session,
    tenant,
};
use sea_orm_migration::{
    MigratorTrait,
    sea_orm::{
        ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, ModelTrait,
        QueryFilter, SqlErr,
    },
};
use uuid::Uuid;

use super::MasterMigrator;

#[expect(clippy::disallowed_methods, reason = "the migrations' own test has no engine to ask")]
async fn connect(url: &str) -> DatabaseConnection {
    use sea_orm_migration::sea_orm::Database;
    Database::connect(url).await.unwrap_or_else(|error| panic!("cannot open {url}: {error}"))
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let db = connect(&format!("sqlite://{}?mode=rwc", folder.path().join("master.db").display())).await;
    db.execute_unprepared("PRAGMA foreign_keys = ON").await.unwrap();
    all_of_it(&db).await;
    db.close().await.unwrap();
}

#[tokio::test]
async fn postgres() {
    let admin_url = env::var("RAPPORT_TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
    let (server, _) = admin_url.rsplit_once('/').unwrap();
    let admin = connect(&admin_url).await;
    let name = format!("rapport_migration_test_{}", std::process::id());
    admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let url = format!("{server}/{name}");
    let outcome = tokio::spawn(async move {
        let db = connect(&url).await;
        all_of_it(&db).await;
        db.close().await.unwrap();
    })
    .await;
    admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    outcome.unwrap();
}

async fn all_of_it(db: &DatabaseConnection) {
    MasterMigrator::up(db, None).await.unwrap();
    MasterMigrator::up(db, None).await.unwrap();
    assert!(MasterMigrator::get_pending_migrations(db).await.unwrap().is_empty());

    let world = World::insert(db).await;
    world.uniqueness(db).await;
    world.references(db).await;
    world.removal(db).await;
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// Whole microseconds, all six digits in use.
fn at(second: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 29, 1, 59, second).unwrap() + chrono::Duration::microseconds(123_456)
}

async fn stored<M, E, A>(db: &DatabaseConnection, model: &M)
where
    E: EntityTrait<Model = M>,
    M: ModelTrait<Entity = E> + IntoActiveModel<A> + PartialEq + Clone + Sync,
    A: ActiveModelTrait<Entity = E> + Send + sea_orm_migration::sea_orm::ActiveModelBehavior,
{
    let inserted = model.clone().into_active_model().reset_all().insert(db).await.unwrap();
    assert_eq!(&inserted, model);
    assert!(E::find().all(db).await.unwrap().contains(model), "{model:?} must come back as it was stored");
}

/// One row of every table.
struct World {
    tenant: tenant::Model,
    role: role::Model,
    account: account::Model,
    session: session::Model,
    token: refresh_token::Model,
    key: api_key::Model,
}

impl World {
    async fn insert(db: &DatabaseConnection) -> Self {
        let tenant = tenant::Model {
            id: id(1),
            slug: "acme".to_owned(),
            name: "Acmé ".to_owned(),
            status: TenantStatus::Active,
            database_url: None,
            schema_version: 7,
            provisioning_step: ProvisioningStep::DatabaseReady,
            base_currency: "EUR".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            locale: "de-DE".to_owned(),
            version: 1,
            created_at: at(1),
            updated_at: at(2),
            provisioned_at: Some(at(3)),
            suspended_at: None,
            deleted_at: None,
        };
        let role = role::Model {
            id: id(2),
            tenant_id: tenant.id,
            name: "Agent".to_owned(),
            name_folded: "agent".to_owned(),
            description: None,
            scope: DataScope::Own,
            is_built_in: true,
            deleted_at: None,
            mirror_pending: false,
            version: 1,
            created_at: at(1),
            updated_at: at(1),
        };
        let account = account::Model {
            id: id(3),
            tenant_id: tenant.id,
            email: "Ada@Acme.example".to_owned(),
            email_folded: "ada@acme.example".to_owned(),
            password_hash: None,
            password_changed_at: None,
            status: AccountStatus::Invited,
            role_id: role.id,
            epoch: 0,
            last_login_at: None,
            mirror_pending: true,
            version: 1,
            created_at: at(1),
            updated_at: at(1),
        };
        let admin = platform_admin::Model {
            id: id(4),
            email: "root@rapport.example".to_owned(),
            email_folded: "root@rapport.example".to_owned(),
            password_hash: "$argon2id$".to_owned(),
            status: PlatformAdminStatus::Active,
            epoch: 3,
            last_login_at: Some(at(9)),
            created_at: at(1),
            updated_at: at(1),
        };
        let session = session::Model {
            id: id(5),
            tenant_id: Some(tenant.id),
            account_id: Some(account.id),
            platform_admin_id: None,
            generation: 1,
            used_token_id: Some(id(7)),
            user_agent: Some("curl".to_owned()),
            address: Some("2001:db8::1".to_owned()),
            created_at: at(1),
            refreshed_at: at(2),
            expires_at: at(50),
            revoked_at: Some(at(4)),
            revocation_reason: Some(RevocationReason::TokenReused),
        };
        let token = refresh_token::Model {
            id: id(7),
            session_id: session.id,
            generation: 1,
            hash: "ab".repeat(32),
            created_at: at(1),
            expires_at: at(50),
            used_at: Some(at(2)),
        };
        let key = api_key::Model {
            id: id(8),
            tenant_id: tenant.id,
            account_id: account.id,
            name: "Zapier".to_owned(),
            prefix: "k3v9x0ab".to_owned(),
            hash: "cd".repeat(32),
            scopes: Scopes(vec!["customers.read".to_owned(), "leads.write".to_owned()]),
            data_scope: DataScope::All,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
            mirror_pending: false,
            version: 1,
            created_at: at(1),
            updated_at: at(1),
        };
        stored(db, &tenant).await;
        stored(db, &role).await;
        stored(db, &role_permission::Model { role_id: role.id, permission: "customers.read".to_owned() }).await;
        stored(db, &account).await;
        stored(db, &admin).await;
        stored(db, &session).await;
        let of_admin = session::Model {
            id: id(6),
            tenant_id: None,
            account_id: None,
            platform_admin_id: Some(admin.id),
            revoked_at: None,
            revocation_reason: None,
            ..session.clone()
        };
        stored(db, &of_admin).await;
        stored(db, &token).await;
        stored(db, &key).await;
        let link = one_time_token::Model {
            id: id(9),
            account_id: account.id,
            purpose: OneTimePurpose::Invite,
            hash: "ef".repeat(32),
            created_at: at(1),
            expires_at: at(50),
            used_at: None,
        };
        stored(db, &link).await;
        Self { tenant, role, account, session, token, key }
    }

    /// What must be unique is, and what need not be is not.
    async fn uniqueness(&self, db: &DatabaseConnection) {
        let second = tenant::Model { id: id(101), slug: "other".to_owned(), ..self.tenant.clone() };
        stored(db, &second).await;
        let same_name = role::Model { id: id(102), tenant_id: second.id, ..self.role.clone() };
        stored(db, &same_name).await;
        let same_email =
            account::Model { id: id(103), tenant_id: second.id, role_id: same_name.id, ..self.account.clone() };
        stored(db, &same_email).await;
        let found =
            account::Entity::find().filter(account::Column::EmailFolded.eq("ada@acme.example")).all(db).await.unwrap();
        assert_eq!(found.len(), 2, "one address, two tenants");

        refused(db, tenant::Model { id: id(201), ..self.tenant.clone() }).await;
        refused(db, role::Model { id: id(202), name: "AGENT".to_owned(), ..self.role.clone() }).await;
        refused(db, account::Model { id: id(203), email: "ADA@acme.example".to_owned(), ..self.account.clone() }).await;
        refused(db, refresh_token::Model { id: id(204), ..self.token.clone() }).await;
        refused(db, api_key::Model { id: id(205), ..self.key.clone() }).await;
    }

    /// A row must name rows that exist, and a session belongs to exactly one kind of person.
    async fn references(&self, db: &DatabaseConnection) {
        let lost = account::Model {
            id: id(301),
            role_id: id(999),
            email_folded: "x@acme.example".to_owned(),
            ..self.account.clone()
        };
        let error = lost.into_active_model().reset_all().insert(db).await.unwrap_err();
        assert!(matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))), "{error}");
        let error = role::Entity::delete_by_id(self.role.id).exec(db).await.unwrap_err();
        assert!(matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))), "{error}");

        for (account_id, platform_admin_id, tenant_id) in [
            (None, None, None),
            (Some(self.account.id), Some(id(4)), Some(self.tenant.id)),
            (Some(self.account.id), None, None),
            (None, Some(id(4)), Some(self.tenant.id)),
        ] {
            let wrong =
                session::Model { id: id(302), account_id, platform_admin_id, tenant_id, ..self.session.clone() };
            let error = wrong.into_active_model().reset_all().insert(db).await.unwrap_err();
            assert!(error.to_string().to_lowercase().contains("check"), "{error}");
        }
    }

    /// A tenant takes along what belongs to it, and nothing else.
    async fn removal(&self, db: &DatabaseConnection) {
        self.tenant.clone().delete(db).await.unwrap();
        assert_eq!(tenant::Entity::find().all(db).await.unwrap().len(), 1);
        assert_eq!(role::Entity::find().all(db).await.unwrap().len(), 1);
        assert_eq!(account::Entity::find().all(db).await.unwrap().len(), 1);
        assert_eq!(session::Entity::find().all(db).await.unwrap().len(), 1, "the platform administrator's");
        assert_eq!(refresh_token::Entity::find().all(db).await.unwrap().len(), 0);
        assert_eq!(role_permission::Entity::find().all(db).await.unwrap().len(), 0);
        assert_eq!(api_key::Entity::find().all(db).await.unwrap().len(), 0);
        assert_eq!(one_time_token::Entity::find().all(db).await.unwrap().len(), 0);
    }
}

async fn refused<M, E, A>(db: &DatabaseConnection, model: M)
where
    E: EntityTrait<Model = M>,
    M: ModelTrait<Entity = E> + IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = E> + Send + sea_orm_migration::sea_orm::ActiveModelBehavior,
{
    let error = model.into_active_model().reset_all().insert(db).await.map(|_| ()).unwrap_err();
    assert!(matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))), "{error}");
}
