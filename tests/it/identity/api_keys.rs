//! API keys: what opens with them, and what closes them.

use chrono::Duration;
use entity::tenant::api_key;
use rapport::{
    auth::{ActorKind, DataScope, secret::SecretToken},
    error::UserErrorCode,
    services::identity::{ApiKeyChange, NewApiKey, Principal, UserChange},
};
use uuid::Uuid;

use super::{code, refusal};
use crate::{
    on_both_databases,
    support::platform::{Platform, client, tenant_of, user_of},
};

fn new_key(permissions: &[&str]) -> NewApiKey {
    NewApiKey {
        name: "Import".to_owned(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
        data_scope: DataScope::All,
        expires_at: None,
    }
}

async fn create(platform: &Platform, db: &rapport::data::TenantDb, new: NewApiKey) -> (Uuid, SecretToken) {
    let (outcome, secret) = platform.identity.api_key_create(db, new).await.unwrap();
    (outcome.single().id.unwrap(), secret.unwrap())
}

async fn enter(platform: &Platform, secret: &SecretToken) -> Result<rapport::services::identity::Member, &'static str> {
    match platform.identity.authenticate(secret.expose()).await {
        Ok(Principal::Member(member)) => Ok(member),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code()),
    }
}

on_both_databases! {
    async fn a_key_may_what_it_and_its_creator_may(platform) {
        let ada = platform.tenant("acme").await;
        let tenant_id = tenant_of(&ada);
        let bob = platform.user(tenant_id, "bob@acme.example", "Admin").await;
        let db = platform.db(&bob).await;
        let (id, secret) = create(&platform, &db, new_key(&["customers.read", "customers.write", "audit.read"])).await;
        let member = enter(&platform, &secret).await.unwrap();
        assert_eq!(member.actor.kind, ActorKind::ApiKey { key_id: id });
        assert_eq!(member.actor.user_id, user_of(&bob));
        assert_eq!(member.actor.permissions.names(), ["customers.read", "customers.write", "audit.read"]);
        assert_eq!(member.actor.scope, DataScope::All);
        let me = platform.identity.me(&member).await.unwrap();
        assert_eq!(me.permissions.names().len(), 3);

        // The creator's role is the other limit, at the time of the request.
        let of_ada = platform.db(&ada).await;
        let role_id = Some(platform.role(tenant_id, "Agent").await);
        let change = UserChange { role_id, ..Default::default() };
        platform.identity.user_update(&of_ada, user_of(&bob), None, change).await.unwrap();
        let member = enter(&platform, &secret).await.unwrap();
        assert_eq!(member.actor.permissions.names(), ["customers.read", "customers.write"]);
        assert_eq!(member.actor.scope, DataScope::Own);

        platform.identity.user_disable(&of_ada, user_of(&bob), None).await.unwrap();
        assert_eq!(enter(&platform, &secret).await.unwrap_err(), "UNAUTHENTICATED");
        platform.identity.user_enable(&of_ada, user_of(&bob), None).await.unwrap();
        assert!(enter(&platform, &secret).await.is_ok(), "the key itself was not revoked");
        platform.identity.tenant_suspend(tenant_id).await.unwrap();
        assert_eq!(enter(&platform, &secret).await.unwrap_err(), "TENANT_SUSPENDED");
        platform.identity.tenant_resume(tenant_id).await.unwrap();
        platform.identity.user_delete(&platform.system_db(tenant_id).await, user_of(&bob), None).await.unwrap();
        assert_eq!(enter(&platform, &secret).await.unwrap_err(), "UNAUTHENTICATED");
        let row = platform.system_db(tenant_id).await.find::<api_key::Entity>().unwrap().id(id).one().await.unwrap();
        assert!(row.unwrap().revoked_at.is_some(), "the tenant is told");
    }

    async fn a_key_is_revoked_at_once_and_for_good(platform) {
        let ada = platform.tenant("acme").await;
        let db = platform.db(&ada).await;
        let (id, secret) = create(&platform, &db, new_key(&["customers.read"])).await;
        assert!(enter(&platform, &secret).await.is_ok());
        let open = {
            let (identity, principal) = (platform.identity.clone(), enter(&platform, &secret).await.unwrap());
            tokio::spawn(async move { identity.revoked(Principal::Member(principal)).await.code() })
        };
        assert_eq!(platform.identity.api_key_revoke(&db, id).await.unwrap().single().errors, []);
        assert_eq!(enter(&platform, &secret).await.unwrap_err(), "UNAUTHENTICATED");
        assert_eq!(open.await.unwrap(), "UNAUTHENTICATED");
        assert_eq!(platform.identity.api_key_revoke(&db, id).await.unwrap().single().errors, []);
        let change = ApiKeyChange { name: Some("Again".to_owned()), ..Default::default() };
        let outcome = platform.identity.api_key_update(&db, id, None, change).await.unwrap();
        assert_eq!(refusal(outcome).0, UserErrorCode::InvalidState);
    }

    async fn a_key_is_changed_and_expires(platform) {
        let ada = platform.tenant("acme").await;
        let db = platform.db(&ada).await;
        let (id, secret) = create(&platform, &db, new_key(&["customers.read"])).await;
        let change = ApiKeyChange {
            name: Some("Export".to_owned()),
            permissions: Some(vec!["tickets.read".to_owned()]),
            data_scope: Some(DataScope::Own),
            expires_at: Some(Some(platform.clock.now() + Duration::hours(1))),
        };
        assert_eq!(platform.identity.api_key_update(&db, id, Some(1), change).await.unwrap().single().errors, []);
        let member = enter(&platform, &secret).await.unwrap();
        assert_eq!(member.actor.permissions.names(), ["tickets.read"]);
        assert_eq!(member.actor.scope, DataScope::Own);
        let past = ApiKeyChange { expires_at: Some(Some(platform.clock.now())), ..Default::default() };
        let outcome = platform.identity.api_key_update(&db, id, None, past).await.unwrap();
        assert_eq!(refusal(outcome), (UserErrorCode::Invalid, "input.expiresAt".to_owned()));
        platform.clock.advance(Duration::minutes(61));
        assert_eq!(enter(&platform, &secret).await.unwrap_err(), "UNAUTHENTICATED");
    }

    async fn nearly_a_key_opens_nothing_and_the_secret_is_nowhere(platform) {
        let ada = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&ada), platform.db(&ada).await);
        let (_, secret) = create(&platform, &db, new_key(&["customers.read"])).await;
        let (_, other) = create(&platform, &db, new_key(&["customers.read"])).await;
        let text = secret.expose();
        let mut changed = text.to_owned();
        changed.replace_range(text.len() - 2..text.len() - 1, if text.ends_with("Ax") { "B" } else { "A" });
        let mixed = format!("{}{}", &text[..13], &other.expose()[13..]);
        for nearly in [&changed, &mixed, &text[..text.len() - 1].to_owned(), &text.to_uppercase()] {
            if nearly != text {
                assert_eq!(code(platform.identity.authenticate(nearly).await), "UNAUTHENTICATED");
            }
        }
        let hidden = &text[13..];
        for table in ["event", "audit_log", "api_key"] {
            let column = match table { "event" => "data", "audit_log" => "changes", _ => "permissions" };
            let found = format!("SELECT count(*) FROM {table} WHERE CAST({column} AS text) LIKE '%{hidden}%'");
            assert_eq!(platform.tenant_number(tenant_id, &found).await, 0);
        }
    }

    async fn the_last_use_is_noted_to_the_minute(platform) {
        let ada = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&ada), platform.db(&ada).await);
        let (id, secret) = create(&platform, &db, new_key(&["customers.read"])).await;
        let used = async || {
            platform.identity.settle().await;
            platform.identity.api_keys_last_used(tenant_id, &[id]).await.unwrap().get(&id).copied()
        };
        assert_eq!(used().await, None);
        enter(&platform, &secret).await.unwrap();
        let first = used().await.unwrap();
        enter(&platform, &secret).await.unwrap();
        assert_eq!(used().await, Some(first));
        platform.clock.advance(Duration::seconds(61));
        enter(&platform, &secret).await.unwrap();
        assert!(used().await.unwrap() > first);
        let foreign = platform.identity.api_keys_last_used(Uuid::from_u128(7), &[id]).await.unwrap();
        assert!(foreign.is_empty());
    }

    async fn a_key_has_no_session_and_no_password(platform) {
        let ada = platform.tenant("acme").await;
        let db = platform.db(&ada).await;
        let (_, secret) = create(&platform, &db, new_key(&["api_keys.write", "api_keys.read", "customers.read"])).await;
        let member = enter(&platform, &secret).await.unwrap();
        let principal = Principal::Member(member.clone());
        assert_eq!(code(platform.identity.logout(&principal).await), "BAD_USER_INPUT");
        assert_eq!(code(platform.identity.logout_all(&principal).await), "BAD_USER_INPUT");
        let change = platform.identity.password_change(&member, "a", "b", &client()).await;
        assert_eq!(code(change), "BAD_USER_INPUT");
        // A key makes keys only within itself.
        let tenant = platform.tenants.open(tenant_of(&ada)).await.unwrap();
        let of_key = tenant.for_actor(member.actor.clone(), None);
        let beyond = platform.identity.api_key_create(&of_key, new_key(&["customers.write"])).await;
        assert_eq!(crate::identity::forbidden(beyond), "customers.write");
        let (_, child) = create(&platform, &of_key, new_key(&["customers.read"])).await;
        assert_eq!(enter(&platform, &child).await.unwrap().actor.user_id, user_of(&ada));
    }
}
