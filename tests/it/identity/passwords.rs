//! Passwords: changed, reset by a link, chosen with an invitation.

use entity::tenant::user::{self, UserStatus};
use rapport::{error::UserErrorCode, services::identity::Invitation};

use super::{code, refused};
use crate::{
    on_both_databases,
    support::{
        Engine,
        platform::{
            PASSWORD, Platform, authenticate, client, client_at, invitation, login, settings, tenant_of, user_of,
        },
    },
};

const NEW: &str = "another-horse-7";

/// The token in the link of a mail.
fn token(mail: &entity::tenant::email_message::Model) -> String {
    mail.variables["link"].as_str().unwrap().split("token=").nth(1).unwrap().to_owned()
}

async fn request(platform: &Platform, email: &str, tenant: Option<&str>) {
    platform.identity.password_reset_request(email, tenant, &client()).unwrap();
    platform.identity.settle().await;
}

on_both_databases! {
    async fn changing_needs_the_current_password_and_a_good_new_one(platform) {
        let tokens = platform.tenant("acme").await;
        let member = tokens.principal.member().unwrap();
        let change = async |current: &str, new: &str| {
            platform.identity.password_change(member, current, new, &client()).await
        };
        let field = |name: &str| format!("input.{name}");
        let wrong = (UserErrorCode::Invalid, field("currentPassword"));
        assert_eq!(refused(change("wrong-horse-99", NEW).await), wrong);
        assert_eq!(refused(change("", NEW).await), wrong);
        for (new, code) in [
            ("", UserErrorCode::Blank),
            ("short", UserErrorCode::Invalid),
            ("1234567890", UserErrorCode::Invalid),
            ("ada@acme.example", UserErrorCode::Invalid),
            (&"x".repeat(129), UserErrorCode::TooLong),
            (PASSWORD, UserErrorCode::Invalid),
        ] {
            assert_eq!(refused(change(PASSWORD, new).await), (code, field("newPassword")), "{new}");
        }
        change(PASSWORD, NEW).await.unwrap();
        assert!(platform.identity.login(login("ada@acme.example", PASSWORD), &client()).await.is_err());
        assert!(platform.identity.login(login("ada@acme.example", NEW), &client()).await.is_ok());
    }

    async fn a_reset_goes_to_the_stored_address_and_counts_once(platform) {
        let tokens = platform.tenant("acme").await;
        let tenant_id = tenant_of(&tokens);
        request(&platform, "nobody@acme.example", None).await;
        assert_eq!(platform.mail(tenant_id).await, []);
        request(&platform, "ADA@Acme.Example", None).await;
        request(&platform, "ada@acme.example", Some("other")).await;
        request(&platform, "ada@acme.example", Some("Acme")).await;
        let mail = platform.mail(tenant_id).await;
        assert_eq!(mail.len(), 2);
        assert_eq!((mail[0].recipient.as_str(), mail[0].template.as_str()), ("ada@acme.example", "password_reset"));
        assert_eq!(mail[0].variables["tenant"], "acme Ltd");

        let invalid = (UserErrorCode::Invalid, "input.token".to_owned());
        let reset = async |token: &str, new: &str| platform.identity.password_reset(token, new).await;
        assert_eq!(refused(reset(&token(&mail[0]), NEW).await), invalid, "replaced by the second");
        let weak = refused(reset(&token(&mail[1]), "short").await);
        assert_eq!(weak, (UserErrorCode::Invalid, "input.password".to_owned()));
        assert!(authenticate(&platform, &tokens).await.is_ok());
        reset(&token(&mail[1]), NEW).await.unwrap();
        assert_eq!(authenticate(&platform, &tokens).await.unwrap_err(), "UNAUTHENTICATED");
        assert!(platform.identity.refresh(tokens.refresh.expose()).await.is_err());
        assert_eq!(refused(reset(&token(&mail[1]), PASSWORD).await), invalid, "once");
        assert!(platform.identity.login(login("ada@acme.example", NEW), &client()).await.is_ok());
        for nonsense in ["", "rot_", "rot_x", &token(&mail[1])[..20]] {
            assert_eq!(refused(reset(nonsense, PASSWORD).await), invalid);
        }
    }

    async fn a_reset_ends_with_time_and_with_another_change(platform) {
        let tokens = platform.tenant("acme").await;
        let tenant_id = tenant_of(&tokens);
        request(&platform, "ada@acme.example", None).await;
        platform.clock.advance(chrono::Duration::minutes(61));
        let late = token(&platform.mail(tenant_id).await[0]);
        assert_eq!(refused(platform.identity.password_reset(&late, NEW).await).0, UserErrorCode::Invalid);

        request(&platform, "ada@acme.example", None).await;
        let tokens = platform.login("ada@acme.example").await;
        let member = tokens.principal.member().unwrap();
        platform.identity.password_change(member, PASSWORD, NEW, &client()).await.unwrap();
        let stale = token(&platform.mail(tenant_id).await[1]);
        assert_eq!(refused(platform.identity.password_reset(&stale, PASSWORD).await).0, UserErrorCode::Invalid);
    }

    async fn an_address_in_two_tenants_gets_a_link_in_each(platform) {
        let (acme, globex) = (platform.tenant("acme").await, platform.tenant("globex").await);
        for tokens in [&acme, &globex] {
            platform.user_with(tenant_of(tokens), "bob@mail.example", "Agent", PASSWORD).await;
        }
        request(&platform, "bob@mail.example", None).await;
        let first = token(&platform.mail(tenant_of(&acme)).await[0]);
        assert_eq!(platform.mail(tenant_of(&globex)).await.len(), 1);
        platform.identity.password_reset(&first, NEW).await.unwrap();
        let login = platform.identity.login(login("bob@mail.example", NEW), &client()).await.unwrap();
        assert_eq!(tenant_of(&login), tenant_of(&acme), "one link sets one password");
    }

    async fn an_invitation_is_accepted_once_and_logs_in(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let agent = platform.role(tenant_id, "Agent").await;
        let (outcome, invited) =
            platform.identity.user_invite(&db, invitation("bob@acme.example", agent)).await.unwrap();
        let Invitation { token: secret, .. } = invited.unwrap();
        let id = outcome.single().id.unwrap();
        let mail = platform.mail(tenant_id).await;
        assert_eq!((mail.len(), token(&mail[0]).as_str()), (1, secret.expose()));
        assert_eq!(mail[0].variables["name"], "bob");
        let status = async || db.find::<user::Entity>().unwrap().id(id).one().await.unwrap().unwrap().status;
        assert_eq!(status().await, UserStatus::Invited);
        assert!(platform.identity.login(login("bob@acme.example", PASSWORD), &client()).await.is_err());
        // Nobody else's kind of link opens it.
        assert!(platform.identity.password_reset(secret.expose(), PASSWORD).await.is_err());
        request(&platform, "bob@acme.example", None).await;
        assert_eq!(platform.mail(tenant_id).await.len(), 1, "an invited user has no password to reset");

        let accept = async || platform.identity.invitation_accept(secret.expose(), PASSWORD, &client()).await;
        let weak = platform.identity.invitation_accept(secret.expose(), "short", &client()).await;
        assert_eq!(refused(weak).1, "input.password");
        let tokens = accept().await.unwrap();
        assert_eq!(user_of(&tokens), id);
        assert!(authenticate(&platform, &tokens).await.is_ok());
        assert_eq!(status().await, UserStatus::Active);
        assert_eq!(refused(accept().await), (UserErrorCode::Invalid, "input.token".to_owned()));
        let by = format!("SELECT count(*) FROM audit_log WHERE action = 'updated' AND actor_kind = 'USER' AND seq = {}",
            platform.tenant_number(tenant_id, "SELECT max(seq) FROM audit_log").await);
        assert_eq!(platform.tenant_number(tenant_id, &by).await, 1, "he did it himself");
    }

    async fn an_invitation_sent_again_replaces_the_first(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let agent = platform.role(tenant_id, "Agent").await;
        let (outcome, first) =
            platform.identity.user_invite(&db, invitation("bob@acme.example", agent)).await.unwrap();
        let id = outcome.single().id.unwrap();
        let (_, second) = platform.identity.user_invite_again(&db, id).await.unwrap();
        let accept = async |invitation: Option<Invitation>| {
            platform.identity.invitation_accept(invitation.unwrap().token.expose(), PASSWORD, &client()).await
        };
        assert!(accept(first).await.is_err());
        assert!(accept(second).await.is_ok());
        let (outcome, third) = platform.identity.user_invite_again(&db, id).await.unwrap();
        assert!(third.is_none());
        assert_eq!(crate::identity::refusal(outcome).0, UserErrorCode::InvalidState);
    }

    async fn an_invitation_of_whoever_was_disabled_or_deleted_counts_no_more(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let agent = platform.role(tenant_id, "Agent").await;
        for (email, delete) in [("bob@acme.example", false), ("eve@acme.example", true)] {
            let (outcome, link) = platform.identity.user_invite(&db, invitation(email, agent)).await.unwrap();
            let id = outcome.single().id.unwrap();
            let outcome = if delete {
                platform.identity.user_delete(&db, id, None).await.unwrap()
            } else {
                platform.identity.user_disable(&db, id, None).await.unwrap()
            };
            assert_eq!(outcome.single().errors, []);
            let late = platform.identity.invitation_accept(link.unwrap().token.expose(), PASSWORD, &client()).await;
            assert_eq!(refused(late), (UserErrorCode::Invalid, "input.token".to_owned()));
        }
    }
}

#[tokio::test]
async fn links_are_not_asked_for_without_end() {
    let platform = Platform::with(Engine::Sqlite, settings(), Vec::new()).await;
    let request = |email: &str, from| platform.identity.password_reset_request(email, None, &client_at(from));
    for from in 0..5 {
        request("ada@acme.example", from).unwrap();
    }
    assert_eq!(code(request("Ada@acme.example", 9)), "THROTTLED", "for one address, whether it has an account or not");
    assert!(request("bob@acme.example", 9).is_ok());
    platform.identity.settle().await;
}
