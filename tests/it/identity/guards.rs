//! What nobody may do, whatever his role.

use entity::tenant::{role, user};
use rapport::{
    auth::DataScope,
    data::TenantDb,
    error::UserErrorCode,
    services::identity::{ApiKeyChange, NewApiKey, NewRole, RoleChange, Tokens, UserChange},
};
use uuid::Uuid;

use super::{forbidden, refusal};
use crate::{
    on_both_databases,
    support::platform::{PASSWORD, Platform, invitation, tenant_of, user_of},
};

fn new_role(name: &str, scope: DataScope, permissions: &[&str]) -> NewRole {
    let permissions = permissions.iter().map(ToString::to_string).collect();
    NewRole { name: name.to_owned(), description: None, scope, permissions }
}

/// A user with a role of these permissions.
async fn with_role(platform: &Platform, admin: &Tokens, name: &str, scope: DataScope, permissions: &[&str]) -> Tokens {
    let db = platform.db(admin).await;
    let outcome = platform.identity.role_create(&db, new_role(name, scope, permissions)).await.unwrap();
    assert_eq!(outcome.single().errors, []);
    platform.user(tenant_of(admin), &format!("{}@acme.example", name.to_lowercase()), name).await
}

async fn role_change(platform: &Platform, db: &TenantDb, user: Uuid, role: &str) -> UserChange {
    let _ = user;
    UserChange { role_id: Some(platform.role(db.actor().tenant_id, role).await), ..Default::default() }
}

on_both_databases! {
    async fn the_last_admin_stays(platform) {
        let ada = platform.tenant("acme").await;
        let (tenant_id, system) = (tenant_of(&ada), platform.system_db(tenant_of(&ada)).await);
        let last = (UserErrorCode::InvalidState, "id".to_owned());
        let identity = &platform.identity;
        let demote = role_change(&platform, &system, user_of(&ada), "Agent").await;
        // Not even the platform itself.
        let id = user_of(&ada);
        assert_eq!(refusal(identity.user_update(&system, id, None, demote.clone()).await.unwrap()), last);
        assert_eq!(refusal(identity.user_disable(&system, id, None).await.unwrap()), last);
        assert_eq!(refusal(identity.user_delete(&system, id, None).await.unwrap()), last);

        // One who is invited or disabled is no help.
        let admin_role = platform.role(tenant_id, "Admin").await;
        identity.user_invite(&system, invitation("max@acme.example", admin_role)).await.unwrap();
        let bob = platform.user_with(tenant_id, "bob@acme.example", "Admin", PASSWORD).await;
        identity.user_disable(&system, bob, None).await.unwrap();
        assert_eq!(refusal(identity.user_disable(&system, id, None).await.unwrap()), last);
        identity.user_enable(&system, bob, None).await.unwrap();
        assert_eq!(identity.user_update(&system, id, None, demote).await.unwrap().single().errors, []);
        assert_eq!(refusal(identity.user_disable(&system, bob, None).await.unwrap()), last);
    }

    async fn two_admins_cannot_take_each_other_away_at_the_same_moment(platform) {
        let ada = platform.tenant("acme").await;
        let tenant_id = tenant_of(&ada);
        for round in 0..5 {
            let bob = platform.user(tenant_id, &format!("bob{round}@acme.example"), "Admin").await;
            let ada = platform.login("ada@acme.example").await;
            let (of_ada, of_bob) = (platform.db(&ada).await, platform.db(&bob).await);
            let (ada_id, bob_id) = (user_of(&ada), user_of(&bob));
            let (first, second) = tokio::join!(
                platform.identity.user_disable(&of_ada, bob_id, None),
                platform.identity.user_disable(&of_bob, ada_id, None),
            );
            let done = [first.unwrap(), second.unwrap()].into_iter().filter(|o| o.0[0].errors.is_empty()).count();
            assert_eq!(done, 1, "one of them stays");
            let system = platform.system_db(tenant_id).await;
            platform.identity.user_enable(&system, ada_id, None).await.unwrap();
            platform.identity.user_disable(&system, bob_id, None).await.unwrap();
        }
    }

    async fn nobody_changes_himself_into_nothing(platform) {
        let ada = platform.tenant("acme").await;
        platform.user(tenant_of(&ada), "bob@acme.example", "Admin").await;
        let (db, id) = (platform.db(&ada).await, user_of(&ada));
        let own = (UserErrorCode::InvalidState, "id".to_owned());
        let demote = role_change(&platform, &db, id, "Viewer").await;
        assert_eq!(refusal(platform.identity.user_update(&db, id, None, demote).await.unwrap()), own);
        assert_eq!(refusal(platform.identity.user_disable(&db, id, None).await.unwrap()), own);
        assert_eq!(refusal(platform.identity.user_delete(&db, id, None).await.unwrap()), own);
        let rename = UserChange { name: Some("Ada L".to_owned()), ..Default::default() };
        assert_eq!(platform.identity.user_update(&db, id, None, rename).await.unwrap().single().errors, []);

        let keeper = with_role(
            &platform, &ada, "Keeper", DataScope::All, &["roles.read", "users.read", "admin.manage_roles"],
        ).await;
        let db = platform.db(&keeper).await;
        let own_role = platform.role(tenant_of(&ada), "Keeper").await;
        let change = RoleChange { permissions: Some(vec!["roles.read".to_owned()]), ..Default::default() };
        let outcome = platform.identity.role_update(&db, own_role, None, change).await.unwrap();
        assert_eq!(refusal(outcome), (UserErrorCode::InvalidState, "input.permissions".to_owned()));
    }

    async fn nobody_grants_or_touches_more_than_he_has(platform) {
        let ada = platform.tenant("acme").await;
        let tenant_id = tenant_of(&ada);
        let bob = platform.user_with(tenant_id, "bob@acme.example", "Agent", PASSWORD).await;
        let mut granted = vec!["users.read", "roles.read", "admin.manage_users", "admin.manage_roles"];
        granted.extend(["customers.read", "api_keys.read", "api_keys.write"]);
        let hr = with_role(&platform, &ada, "HR", DataScope::Own, &granted).await;
        let db = platform.db(&hr).await;
        let identity = &platform.identity;

        // A role above his own: for somebody else, for a new user, by making or changing one.
        for role in ["Admin", "Manager", "Agent", "Viewer"] {
            let change = role_change(&platform, &db, bob, role).await;
            if role != "Agent" {
                forbidden(identity.user_update(&db, bob, None, change.clone()).await);
            }
            let invited = invitation("eve@acme.example", change.role_id.unwrap());
            forbidden(identity.user_invite(&db, invited).await);
        }
        let beyond = new_role("Beyond", DataScope::Own, &["customers.write"]);
        assert_eq!(forbidden(identity.role_create(&db, beyond).await), "customers.write");
        let wider = identity.role_create(&db, new_role("Wider", DataScope::All, &["customers.read"])).await.unwrap();
        assert_eq!(refusal(wider), (UserErrorCode::Invalid, "input.scope".to_owned()));
        let own_role = platform.role(tenant_id, "HR").await;
        let more = granted.iter().chain(&["audit.read"]).map(ToString::to_string).collect();
        let change = RoleChange { permissions: Some(more), ..Default::default() };
        assert_eq!(forbidden(identity.role_update(&db, own_role, None, change).await), "audit.read");

        // Somebody who may do more than he: not even to less.
        for id in [bob, user_of(&ada)] {
            forbidden(identity.user_disable(&db, id, None).await);
            forbidden(identity.user_delete(&db, id, None).await);
        }
        let of_ada = platform.db(&ada).await;
        let audit = identity.role_create(&of_ada, new_role("Audit", DataScope::All, &["audit.read"])).await.unwrap().single().id.unwrap();
        assert_eq!(forbidden(identity.role_delete(&db, audit, None).await), "audit.read");
        let less = RoleChange { permissions: Some(vec![]), ..Default::default() };
        assert_eq!(forbidden(identity.role_update(&db, audit, None, less).await), "audit.read");

        // An invitation's link makes its holder that user.
        let manager = platform.role(tenant_id, "Manager").await;
        let (outcome, _) =
            identity.user_invite(&platform.db(&ada).await, invitation("boss@acme.example", manager)).await.unwrap();
        forbidden(identity.user_invite_again(&db, outcome.single().id.unwrap()).await);

        // An API key.
        let key = |permissions: &[&str], data_scope| NewApiKey {
            name: "key".to_owned(),
            permissions: permissions.iter().map(ToString::to_string).collect(),
            data_scope,
            expires_at: None,
        };
        assert_eq!(
            forbidden(identity.api_key_create(&db, key(&["customers.write"], DataScope::Own)).await),
            "customers.write"
        );
        let (outcome, _) = identity.api_key_create(&db, key(&["customers.read"], DataScope::All)).await.unwrap();
        assert_eq!(refusal(outcome), (UserErrorCode::Invalid, "input.dataScope".to_owned()));
        let (outcome, _) = identity.api_key_create(&db, key(&["customers.read"], DataScope::Own)).await.unwrap();
        let change = ApiKeyChange { permissions: Some(vec!["tickets.read".to_owned()]), ..Default::default() };
        let id = outcome.single().id.unwrap();
        assert_eq!(forbidden(identity.api_key_update(&db, id, None, change).await), "tickets.read");

        // What nobody in a tenant has.
        let platform_only = new_role("Root", DataScope::All, &["admin.manage_tenants"]);
        let outcome = identity.role_create(&platform.db(&ada).await, platform_only).await.unwrap();
        assert_eq!(refusal(outcome), (UserErrorCode::Invalid, "input.permissions".to_owned()));
        let mut stored = format!("INSERT INTO role_permission (role_id, permission) VALUES (x'{}', ", own_role.simple());
        if platform.engine == crate::support::Engine::Postgres {
            stored = format!("INSERT INTO role_permission (role_id, permission) VALUES ('{own_role}', ");
        }
        platform.master_sql(&format!("{stored}'admin.manage_tenants')")).await;
        let fresh = platform.node(Vec::new()).await;
        let hr = platform.login("hr@acme.example").await;
        let principal = fresh.identity.authenticate(&hr.access.token).await.unwrap();
        let names = principal.member().unwrap().actor.permissions.names();
        assert!(!names.contains(&"admin.manage_tenants".to_owned()), "a stored name grants nothing");
    }

    async fn without_the_permission_nothing_is_done(platform) {
        let ada = platform.tenant("acme").await;
        let tenant_id = tenant_of(&ada);
        let bob = platform.user_with(tenant_id, "bob@acme.example", "Agent", PASSWORD).await;
        let agent_role = platform.role(tenant_id, "Agent").await;
        for role in ["Manager", "Agent", "Viewer"] {
            let caller = platform.user(tenant_id, &format!("x{role}@acme.example"), role).await;
            let (db, identity) = (platform.db(&caller).await, &platform.identity);
            let invited = invitation("eve@acme.example", agent_role);
            assert_eq!(forbidden(identity.user_invite(&db, invited).await), "admin.manage_users");
            assert_eq!(forbidden(identity.user_invite_again(&db, bob).await), "admin.manage_users");
            assert_eq!(forbidden(identity.user_disable(&db, bob, None).await), "admin.manage_users");
            assert_eq!(forbidden(identity.user_delete(&db, bob, None).await), "admin.manage_users");
            let none = new_role("None", DataScope::Own, &[]);
            assert_eq!(forbidden(identity.role_create(&db, none).await), "admin.manage_roles");
            let change = RoleChange::default();
            assert_eq!(forbidden(identity.role_update(&db, agent_role, None, change).await), "admin.manage_roles");
            assert_eq!(forbidden(identity.role_delete(&db, agent_role, None).await), "admin.manage_roles");
        }
    }

    async fn roles_are_made_renamed_and_deleted(platform) {
        let ada = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&ada), platform.db(&ada).await);
        let identity = &platform.identity;
        let desk = new_role("Desk", DataScope::Own, &["tickets.read", "tickets.write"]);
        let id = identity.role_create(&db, desk.clone()).await.unwrap().single().id.unwrap();
        let twice = identity.role_create(&db, NewRole { name: "  dÉsk ".to_owned(), ..desk.clone() }).await.unwrap();
        assert_eq!(refusal(twice), (UserErrorCode::Taken, "input.name".to_owned()));
        let unknown = NewRole { permissions: vec!["tickets.fly".to_owned()], ..desk };
        assert_eq!(refusal(identity.role_create(&db, unknown).await.unwrap()).1, "input.permissions");

        let bob = platform.user_with(tenant_id, "bob@acme.example", "Desk", PASSWORD).await;
        let in_use = identity.role_delete(&db, id, None).await.unwrap();
        assert_eq!(refusal(in_use), (UserErrorCode::InvalidState, "id".to_owned()));
        let change = RoleChange {
            name: Some("Help desk".to_owned()),
            description: Some(Some("Answers tickets".to_owned())),
            ..Default::default()
        };
        assert_eq!(identity.role_update(&db, id, Some(1), change).await.unwrap().single().errors, []);
        let row = db.find::<role::Entity>().unwrap().id(id).one().await.unwrap().unwrap();
        assert_eq!((row.version, row.name.as_str(), row.description.as_deref()), (2, "Help desk", Some("Answers tickets")));
        assert_eq!(row.permissions, serde_json::json!(["tickets.read", "tickets.write"]));
        let user = db.find::<user::Entity>().unwrap().id(bob).one().await.unwrap().unwrap();
        assert_eq!(user.role_name.as_deref(), Some("Help desk"));

        let other = role_change(&platform, &db, bob, "Agent").await;
        identity.user_update(&db, bob, None, other).await.unwrap();
        assert_eq!(identity.role_delete(&db, id, None).await.unwrap().single().errors, []);
        assert!(db.find::<role::Entity>().unwrap().id(id).one().await.unwrap().is_none());
        let gone = identity.role_delete(&db, id, None).await.unwrap();
        assert_eq!(refusal(gone).0, UserErrorCode::NotFound);
        let built_in = platform.role(tenant_id, "Viewer").await;
        for outcome in [
            identity.role_update(&db, built_in, None, RoleChange::default()).await.unwrap(),
            identity.role_delete(&db, built_in, None).await.unwrap(),
        ] {
            assert_eq!(refusal(outcome), (UserErrorCode::InvalidState, "id".to_owned()));
        }
    }
}
