//! Login, refresh, logout, throttling.

use std::time::Duration;

use entity::master::{RevocationReason, session};
use rapport::{
    auth::throttle::Limit,
    error::{Error, UserErrorCode},
    services::identity::{Login, Principal},
};
use sea_orm::EntityTrait;

use super::{code, refused};
use crate::{
    on_both_databases,
    support::{
        Engine,
        platform::{
            PASSWORD, Platform, authenticate, client, client_at, login, new_tenant, settings, tenant_of, user_of,
        },
    },
};

const WRONG: &str = "wrong-horse-99";

fn at(email: &str, password: &str, tenant: &str) -> Login {
    Login { tenant: Some(tenant.to_owned()), ..login(email, password) }
}

on_both_databases! {
    async fn only_the_right_password_of_an_active_user_logs_in(platform) {
        let admin = platform.tenant("acme").await;
        let tenant_id = tenant_of(&admin);
        let bob = platform.user(tenant_id, "bob@acme.example", "Agent").await;
        let db = platform.db(&admin).await;
        let wrong = (UserErrorCode::Invalid, String::new());
        let message = |error: Error| match error {
            Error::User(errors) => errors[0].message.clone(),
            other => panic!("{other:?}"),
        };
        let attempt = async |login: Login| platform.identity.login(login, &client()).await;

        assert!(attempt(login("BOB@Acme.example ", PASSWORD)).await.is_ok(), "addresses are compared folded");
        assert!(attempt(at("bob@acme.example", PASSWORD, " ACME ")).await.is_ok());
        let unknown = message(attempt(login("eve@acme.example", PASSWORD)).await.unwrap_err());
        let mistyped = message(attempt(login("bob@acme.example", WRONG)).await.unwrap_err());
        let elsewhere = message(attempt(at("bob@acme.example", PASSWORD, "other")).await.unwrap_err());
        assert_eq!([&mistyped, &elsewhere], [&unknown, &unknown]);
        for nonsense in ["", "@", "bob@acme.example\0", &"x".repeat(10_000)] {
            assert_eq!(refused(attempt(login(nonsense, PASSWORD)).await), wrong);
            assert_eq!(refused(attempt(login("bob@acme.example", nonsense)).await), wrong);
        }

        platform.identity.user_disable(&db, user_of(&bob), None).await.unwrap();
        let disabled = message(attempt(login("bob@acme.example", PASSWORD)).await.unwrap_err());
        assert_eq!(disabled, unknown);
        platform.identity.user_enable(&db, user_of(&bob), None).await.unwrap();
        assert!(attempt(login("bob@acme.example", PASSWORD)).await.is_ok());
    }

    async fn an_address_in_several_tenants_must_choose_only_where_its_password_fits(platform) {
        let acme = platform.tenant("acme").await;
        let globex = platform.tenant("globex").await;
        let initech = platform.tenant("initech").await;
        for tokens in [&acme, &globex] {
            platform.user_with(tenant_of(tokens), "bob@mail.example", "Agent", PASSWORD).await;
        }
        platform.user_with(tenant_of(&initech), "bob@mail.example", "Viewer", "another-horse-7").await;
        let attempt = async |login: Login| platform.identity.login(login, &client()).await;

        let Err(Error::User(errors)) = attempt(login("bob@mail.example", PASSWORD)).await else { panic!() };
        assert_eq!(errors[0].code, UserErrorCode::Blank);
        assert_eq!(errors[0].field.as_deref(), Some(&["input".to_owned(), "tenant".to_owned()][..]));
        assert!(errors[0].message.ends_with(": acme, globex"), "{}", errors[0].message);

        let chosen = attempt(at("bob@mail.example", PASSWORD, "globex")).await.unwrap();
        assert_eq!(tenant_of(&chosen), tenant_of(&globex));
        let only = attempt(login("bob@mail.example", "another-horse-7")).await.unwrap();
        assert_eq!(tenant_of(&only), tenant_of(&initech), "one match needs no choice");
        assert_eq!(refused(attempt(login("bob@mail.example", WRONG)).await).0, UserErrorCode::Invalid);
        let unfit = attempt(at("bob@mail.example", PASSWORD, "initech")).await;
        assert_eq!(refused(unfit).0, UserErrorCode::Invalid);
    }

    async fn two_tenants_do_not_see_each_other(platform) {
        let acme = platform.tenant("acme").await;
        let globex = platform.tenant("globex").await;
        let bob = platform.user_with(tenant_of(&acme), "bob@mail.example", "Admin", "first-horse-77").await;
        let twin = platform.user_with(tenant_of(&globex), "bob@mail.example", "Admin", "second-horse-7").await;
        assert_ne!(bob, twin);
        let db = platform.db(&acme).await;
        let foreign = platform.identity.user_disable(&db, twin, None).await.unwrap();
        let absent = platform.identity.user_disable(&db, uuid::Uuid::from_u128(7), None).await.unwrap();
        assert_eq!(foreign.clone().single().errors, absent.single().errors, "the same answer");
        assert_eq!(crate::identity::refusal(foreign).0, UserErrorCode::NotFound);
        platform.identity.user_disable(&db, bob, None).await.unwrap();
        let still = platform.identity.login(login("bob@mail.example", "second-horse-7"), &client()).await.unwrap();
        assert_eq!(tenant_of(&still), tenant_of(&globex));
        let role = platform.role(tenant_of(&globex), "Viewer").await;
        let change = rapport::services::identity::UserChange { role_id: Some(role), ..Default::default() };
        let outcome = platform.identity.user_update(&db, bob, None, change).await.unwrap();
        assert_eq!(crate::identity::refusal(outcome), (UserErrorCode::NotFound, "input.roleId".to_owned()));
    }

    async fn a_refresh_token_is_used_once_and_a_lost_answer_may_be_asked_for_again(platform) {
        let first = platform.tenant("acme").await;
        let second = platform.identity.refresh(first.refresh.expose()).await.unwrap();
        assert_ne!(first.refresh.expose(), second.refresh.expose());
        assert!(authenticate(&platform, &second).await.is_ok());
        // The answer was lost: the same token again gives another successor, as long as none was used.
        let retried = platform.identity.refresh(first.refresh.expose()).await.unwrap();
        let third = platform.identity.refresh(retried.refresh.expose()).await.unwrap();
        assert!(authenticate(&platform, &third).await.is_ok());
        // The successor that was left behind is in a stranger's hands: the session ends for both.
        assert_eq!(code(platform.identity.refresh(second.refresh.expose()).await), "UNAUTHENTICATED");
        assert_eq!(code(platform.identity.refresh(third.refresh.expose()).await), "UNAUTHENTICATED");
        assert_eq!(authenticate(&platform, &third).await.unwrap_err(), "UNAUTHENTICATED");
        let sessions = platform.master.all(session::Entity::find()).await.unwrap();
        assert_eq!(sessions[0].revocation_reason, Some(RevocationReason::TokenReused));
        assert!(platform.login("ada@acme.example").await.access.expires_in > 0);
    }

    async fn an_old_generation_ends_the_session(platform) {
        let first = platform.tenant("acme").await;
        let second = platform.identity.refresh(first.refresh.expose()).await.unwrap();
        let third = platform.identity.refresh(second.refresh.expose()).await.unwrap();
        assert_eq!(code(platform.identity.refresh(first.refresh.expose()).await), "UNAUTHENTICATED");
        assert_eq!(code(platform.identity.refresh(third.refresh.expose()).await), "UNAUTHENTICATED");
    }

    async fn of_refreshes_at_the_same_moment_none_is_lost_and_one_moves_the_family(platform) {
        let tokens = platform.tenant("acme").await;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (identity, token) = (platform.identity.clone(), tokens.refresh.expose().to_owned());
                tokio::spawn(async move { identity.refresh(&token).await })
            })
            .collect();
        let mut successors = Vec::new();
        for task in tasks {
            successors.push(task.await.unwrap().unwrap());
        }
        let row = platform.master.all(session::Entity::find()).await.unwrap().remove(0);
        assert_eq!((row.generation, row.revoked_at), (1, None));
        assert!(platform.identity.refresh(successors[3].refresh.expose()).await.is_ok());
        assert_eq!(code(platform.identity.refresh(successors[4].refresh.expose()).await), "UNAUTHENTICATED");
    }

    async fn tokens_end_with_time(platform) {
        let tokens = platform.tenant("acme").await;
        assert_eq!(tokens.access.expires_in, 3600);
        platform.clock.advance(chrono::Duration::minutes(61));
        assert_eq!(authenticate(&platform, &tokens).await.unwrap_err(), "UNAUTHENTICATED");
        let mut tokens = platform.identity.refresh(tokens.refresh.expose()).await.unwrap();
        assert!(authenticate(&platform, &tokens).await.is_ok());
        platform.clock.advance(chrono::Duration::days(31));
        assert_eq!(code(platform.identity.refresh(tokens.refresh.expose()).await), "UNAUTHENTICATED");

        tokens = platform.login("ada@acme.example").await;
        for _ in 0..3 {
            platform.clock.advance(chrono::Duration::days(29));
            tokens = platform.identity.refresh(tokens.refresh.expose()).await.unwrap();
        }
        platform.clock.advance(chrono::Duration::days(4));
        let ended = platform.identity.refresh(tokens.refresh.expose()).await;
        assert_eq!(code(ended), "UNAUTHENTICATED", "90 days, however often it is refreshed");
    }

    async fn logout_ends_this_session_and_logout_all_every_one(platform) {
        let here = platform.tenant("acme").await;
        let there = platform.login("ada@acme.example").await;
        platform.identity.logout(&here.principal).await.unwrap();
        assert_eq!(authenticate(&platform, &here).await.unwrap_err(), "UNAUTHENTICATED");
        assert_eq!(code(platform.identity.refresh(here.refresh.expose()).await), "UNAUTHENTICATED");
        assert!(authenticate(&platform, &there).await.is_ok());

        let third = platform.login("ada@acme.example").await;
        platform.identity.logout_all(&there.principal).await.unwrap();
        for tokens in [&there, &third] {
            assert_eq!(authenticate(&platform, tokens).await.unwrap_err(), "UNAUTHENTICATED");
            assert_eq!(code(platform.identity.refresh(tokens.refresh.expose()).await), "UNAUTHENTICATED");
        }
        let again = platform.login("ada@acme.example").await;
        assert!(authenticate(&platform, &again).await.is_ok());
    }

    async fn a_platform_administrator_acts_in_no_tenant(platform) {
        let acme = platform.tenant("acme").await;
        platform.identity.platform_admin_create("root@platform.example", PASSWORD).await.unwrap();
        let taken = platform.identity.platform_admin_create("Root@platform.example", PASSWORD).await;
        assert_eq!(refused(taken), (UserErrorCode::Taken, "input.email".to_owned()));
        let attempt = async |email: &str, password: &str| {
            platform.identity.platform_login(email, password, &client()).await
        };
        assert_eq!(refused(attempt("root@platform.example", WRONG).await).0, UserErrorCode::Invalid);
        assert_eq!(refused(attempt("ada@acme.example", PASSWORD).await).0, UserErrorCode::Invalid);
        let as_user = platform.identity.login(login("root@platform.example", PASSWORD), &client()).await;
        assert_eq!(refused(as_user).0, UserErrorCode::Invalid);

        let root = attempt("root@platform.example", PASSWORD).await.unwrap();
        let principal = authenticate(&platform, &root).await.unwrap();
        assert!(matches!(principal, Principal::PlatformAdmin(_)));
        assert!(principal.platform_admin().is_ok() && principal.member().is_err());
        assert_eq!(code(acme.principal.platform_admin().map(|_| ())), "FORBIDDEN");
        let renewed = platform.identity.refresh(root.refresh.expose()).await.unwrap();
        assert!(authenticate(&platform, &renewed).await.unwrap().platform_admin().is_ok());
        platform.identity.logout_all(&renewed.principal).await.unwrap();
        assert_eq!(authenticate(&platform, &renewed).await.unwrap_err(), "UNAUTHENTICATED");
        assert!(authenticate(&platform, &acme).await.is_ok());
    }

    async fn foreign_tokens_open_nothing(platform) {
        let acme = platform.tenant("acme").await;
        let other = Platform::new(platform.engine).await;
        let foreign = other.tenant("acme").await;
        // The same key signs on both, and yet: no such session here.
        assert_eq!(authenticate(&platform, &foreign).await.unwrap_err(), "UNAUTHENTICATED");
        assert_eq!(code(platform.identity.refresh(foreign.refresh.expose()).await), "UNAUTHENTICATED");
        for nonsense in ["", "rrt_", "rak_", "Bearer", "ey.ey.ey", acme.refresh.expose(), "rak_abcdefgh_x"] {
            assert_eq!(code(platform.identity.authenticate(nonsense).await), "UNAUTHENTICATED", "{nonsense}");
        }
        assert_eq!(code(platform.identity.refresh(&acme.access.token).await), "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn guessing_is_slow_for_one_address_and_for_nobody_else() {
    let mut limited = settings();
    limited.throttle.account = Limit { burst: 3, interval_seconds: 60 };
    let platform = Platform::with(Engine::Sqlite, limited, Vec::new()).await;
    platform.tenant("acme").await;
    let attempt = async |email: &str, password: &str, from: u8| {
        platform.identity.login(login(email, password), &client_at(from)).await
    };
    for _ in 0..3 {
        assert_eq!(refused(attempt("ada@acme.example", WRONG, 7).await).0, UserErrorCode::Invalid);
        assert_eq!(refused(attempt("nobody@acme.example", WRONG, 7).await).0, UserErrorCode::Invalid);
    }
    // Even with the right password, and alike for an address without an account.
    let known = attempt("ADA@acme.example", PASSWORD, 7).await.unwrap_err();
    let unknown = attempt("nobody@acme.example", PASSWORD, 7).await.unwrap_err();
    for error in [known, unknown] {
        let Error::Throttled { retry_after } = error else { panic!("{error:?}") };
        assert!(retry_after <= Duration::from_secs(60));
    }
    assert!(attempt("ada@acme.example", PASSWORD, 8).await.is_ok(), "nobody is locked out by another");
    platform.clock.advance(chrono::Duration::seconds(61));
    assert!(attempt("ada@acme.example", PASSWORD, 7).await.is_ok());
    // A success forgets the failures.
    for _ in 0..10 {
        assert!(attempt("ada@acme.example", PASSWORD, 7).await.is_ok());
    }
}

#[tokio::test]
async fn a_hash_of_other_parameters_is_renewed_at_login() {
    let platform = Platform::new(Engine::Sqlite).await;
    platform.tenant("acme").await;
    let hash = async || {
        let account = entity::master::account::Entity::find();
        platform.master.one(account).await.unwrap().unwrap().password_hash.unwrap()
    };
    let before = hash().await;
    let mut dearer = settings();
    dearer.passwords.iterations = 2;
    let identity = rapport::services::identity::Identity::new(dearer, platform.tenants.clone(), Vec::new()).unwrap();
    identity.login(login("ada@acme.example", PASSWORD), &client()).await.unwrap();
    let after = hash().await;
    assert!(before.contains("t=1") && after.contains("t=2"), "{before} {after}");
    identity.login(login("ada@acme.example", PASSWORD), &client()).await.unwrap();
    assert_eq!(hash().await, after, "once");
}

/// An unknown address costs as much as a wrong password: the number of hashes is the same, and so, about, is the time.
#[tokio::test]
async fn unknown_addresses_cost_what_wrong_passwords_cost() {
    let mut real = settings();
    real.passwords = rapport::auth::password::PasswordSettings::default();
    real.throttle.account = Limit { burst: 1000, interval_seconds: 0 };
    let platform = Platform::with(Engine::Sqlite, real, Vec::new()).await;
    platform.identity.tenant_create(new_tenant("acme")).await.unwrap();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..8 {
        for (index, email) in ["ada@acme.example", "nobody@acme.example"].into_iter().enumerate() {
            let start = std::time::Instant::now();
            assert!(platform.identity.login(login(email, WRONG), &client()).await.is_err());
            times[index].push(start.elapsed());
        }
    }
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[2].as_secs_f64()
    });
    let ratio = known / unknown;
    assert!((0.5..2.0).contains(&ratio), "known {known} s, unknown {unknown} s");
}
