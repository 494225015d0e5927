//! What was taken away is gone with the next request: on this node at once, on another within a second.

use std::time::{Duration, Instant};

use entity::tenant::user::UserStatus;
use rapport::services::identity::{NewRole, RoleChange, UserChange};

use crate::{
    on_both_databases,
    support::platform::{PASSWORD, Platform, authenticate, client, tenant_of, user_of},
};

async fn names(platform: &Platform, tokens: &rapport::services::identity::Tokens) -> Vec<String> {
    let principal = platform.identity.authenticate(&tokens.access.token).await.unwrap();
    principal.member().unwrap().actor.permissions.names()
}

on_both_databases! {
    async fn the_next_request_sees_a_changed_role(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let bob = platform.user(tenant_id, "bob@acme.example", "Viewer").await;
        assert!(!names(&platform, &bob).await.contains(&"customers.write".to_owned()));

        // Another role.
        let manager = platform.role(tenant_id, "Manager").await;
        let change = UserChange { role_id: Some(manager), ..Default::default() };
        platform.identity.user_update(&db, user_of(&bob), None, change).await.unwrap();
        assert!(names(&platform, &bob).await.contains(&"customers.write".to_owned()), "the token still counts");

        // The role itself.
        let new = NewRole {
            name: "Desk".to_owned(),
            description: None,
            scope: rapport::auth::DataScope::All,
            permissions: vec!["customers.read".to_owned(), "tickets.write".to_owned()],
        };
        let desk = platform.identity.role_create(&db, new).await.unwrap().single().id.unwrap();
        let change = UserChange { role_id: Some(desk), ..Default::default() };
        platform.identity.user_update(&db, user_of(&bob), None, change).await.unwrap();
        assert_eq!(names(&platform, &bob).await, ["customers.read", "tickets.write"]);
        let change = RoleChange { permissions: Some(vec!["customers.read".to_owned()]), ..Default::default() };
        platform.identity.role_update(&db, desk, None, change).await.unwrap();
        assert_eq!(names(&platform, &bob).await, ["customers.read"]);
    }

    async fn the_next_request_of_whoever_is_disabled_or_deleted_is_refused(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let bob = platform.user(tenant_id, "bob@acme.example", "Agent").await;
        let eve = platform.user(tenant_id, "eve@acme.example", "Agent").await;
        assert!(authenticate(&platform, &bob).await.is_ok());

        platform.identity.user_disable(&db, user_of(&bob), None).await.unwrap();
        assert_eq!(authenticate(&platform, &bob).await.unwrap_err(), "UNAUTHENTICATED");
        assert!(platform.identity.refresh(bob.refresh.expose()).await.is_err());
        platform.identity.user_enable(&db, user_of(&bob), None).await.unwrap();
        // What was issued before stays refused.
        assert_eq!(authenticate(&platform, &bob).await.unwrap_err(), "UNAUTHENTICATED");
        assert!(platform.identity.refresh(bob.refresh.expose()).await.is_err());
        let again = platform.login("bob@acme.example").await;
        assert!(authenticate(&platform, &again).await.is_ok());

        platform.identity.user_delete(&db, user_of(&eve), None).await.unwrap();
        assert_eq!(authenticate(&platform, &eve).await.unwrap_err(), "UNAUTHENTICATED");
        assert!(platform.identity.refresh(eve.refresh.expose()).await.is_err());
    }

    async fn a_changed_password_ends_the_other_sessions_and_not_this_one(platform) {
        let here = platform.tenant("acme").await;
        let there = platform.login("ada@acme.example").await;
        let member = here.principal.member().unwrap();
        let access = platform.identity.password_change(member, PASSWORD, "another-horse-7", &client()).await.unwrap();
        assert_eq!(authenticate(&platform, &here).await.unwrap_err(), "UNAUTHENTICATED", "the old access token");
        assert_eq!(authenticate(&platform, &there).await.unwrap_err(), "UNAUTHENTICATED");
        assert!(platform.identity.refresh(there.refresh.expose()).await.is_err());
        assert!(platform.identity.authenticate(&access.token).await.is_ok());
        assert!(platform.identity.refresh(here.refresh.expose()).await.is_ok());
    }

    async fn another_node_follows_within_a_second(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let bob = platform.user(tenant_id, "bob@acme.example", "Agent").await;
        let other = platform.node(Vec::new()).await;
        assert!(authenticate(&other, &bob).await.is_ok());
        platform.identity.user_disable(&db, user_of(&bob), None).await.unwrap();
        let start = Instant::now();
        while authenticate(&other, &bob).await.is_ok() {
            assert!(start.elapsed() < Duration::from_secs(2));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(start.elapsed() <= Duration::from_millis(1500), "{:?}", start.elapsed());

        // A token of a new epoch is known at once, although the node remembers the old one.
        platform.identity.user_enable(&db, user_of(&bob), None).await.unwrap();
        let before = platform.login("bob@acme.example").await;
        assert!(authenticate(&other, &before).await.is_ok());
        platform.identity.logout_all(&before.principal).await.unwrap();
        let after = platform.login("bob@acme.example").await;
        assert!(authenticate(&other, &after).await.is_ok());
    }

    async fn an_open_socket_learns_of_it(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let bob = platform.user(tenant_id, "bob@acme.example", "Agent").await;
        let watch = |identity: &rapport::services::identity::Identity, principal| {
            let identity = identity.clone();
            tokio::spawn(async move { (identity.revoked(principal).await.code(), Instant::now()) })
        };
        let other = platform.node(Vec::new()).await;
        let (here, there) = (watch(&platform.identity, bob.principal.clone()), watch(&other.identity, bob.principal));
        let unconcerned = watch(&platform.identity, admin.principal.clone());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!here.is_finished() && !there.is_finished());
        let start = Instant::now();
        let id = user_of(&platform.login("bob@acme.example").await);
        let change = UserChange { status: Some(UserStatus::Disabled), ..Default::default() };
        platform.identity.user_update(&db, id, None, change).await.unwrap();
        let (here, there) = (here.await.unwrap(), there.await.unwrap());
        assert_eq!([here.0, there.0], ["UNAUTHENTICATED"; 2]);
        assert!(there.1 - start < Duration::from_millis(2500), "{:?}", there.1 - start);
        assert!(!unconcerned.is_finished());

        // Time alone ends it as well.
        platform.clock.advance(chrono::Duration::minutes(61));
        assert_eq!(unconcerned.await.unwrap().0, "UNAUTHENTICATED");

        // And so does the end of the tenant.
        let admin = platform.login("ada@acme.example").await;
        let open = watch(&platform.identity, admin.principal);
        platform.identity.tenant_suspend(tenant_id).await.unwrap();
        assert_eq!(open.await.unwrap().0, "TENANT_SUSPENDED");
    }

    async fn a_change_is_not_hidden_by_a_reader_that_began_before_it(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        for round in 0..3 {
            let bob = platform.user(tenant_id, &format!("bob{round}@acme.example"), "Agent").await;
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let (identity, token) = (platform.identity.clone(), bob.access.token.clone());
                    tokio::spawn(async move { while identity.authenticate(&token).await.is_ok() {
                        tokio::task::yield_now().await;
                    } })
                })
                .collect();
            platform.identity.user_disable(&db, user_of(&bob), None).await.unwrap();
            assert_eq!(authenticate(&platform, &bob).await.unwrap_err(), "UNAUTHENTICATED");
            for reader in readers {
                tokio::time::timeout(Duration::from_secs(5), reader).await.unwrap().unwrap();
            }
        }
    }
}
