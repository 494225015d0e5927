//! Users: the record, its audit, the two databases, and what a crash between them leaves.

use entity::{
    master::{AccountStatus, account},
    tenant::{
        audit_log::{self, ActorKind},
        user::{self, UserStatus},
    },
};
use rapport::{
    data::{TenantDb, idempotency::RequestKey},
    error::UserErrorCode,
    services::identity::UserChange,
};
use sea_orm::{ColumnTrait, EntityTrait, sea_query::Order};
use uuid::Uuid;

use super::refusal;
use crate::{
    on_both_databases,
    support::platform::{PASSWORD, Platform, authenticate, client, invitation, login, tenant_of, user_of},
};

async fn record(db: &TenantDb, id: Uuid) -> user::Model {
    db.find::<user::Entity>().unwrap().id(id).one().await.unwrap().unwrap()
}

async fn account(platform: &Platform, id: Uuid) -> Option<account::Model> {
    platform.master.one(account::Entity::find_by_id(id)).await.unwrap()
}

/// As after a crash between the two commits: the master database knows, the tenant does not.
async fn forget_the_mirror(platform: &Platform, tenant_id: Uuid, id: Uuid, record: &user::Model) {
    let hex = id.simple();
    let own = match platform.engine {
        crate::support::Engine::Sqlite => format!("id = x'{hex}'"),
        crate::support::Engine::Postgres => format!("id = '{id}'"),
    };
    let (status, role) = (sea_orm::ActiveEnum::to_value(&record.status), record.role_name.clone().unwrap());
    let back = format!(
        "UPDATE \"user\" SET status = '{status}', role_name = '{role}', version = {}, is_deleted = FALSE WHERE {own}",
        record.version
    );
    platform.tenant_sql(tenant_id, &back).await;
    platform.master_sql(&format!("UPDATE account SET mirror_pending = TRUE WHERE {own}")).await;
}

on_both_databases! {
    async fn a_user_is_made_changed_and_deleted_and_the_log_tells_who_did_it(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let agent = platform.role(tenant_id, "Agent").await;
        let mut new = invitation("bob@acme.example", agent);
        new.job_title = Some("Sales".to_owned());
        new.manager_id = Some(user_of(&admin));
        new.external_reference = Some("B-1".to_owned());
        let (outcome, _) = platform.identity.user_invite(&db, new).await.unwrap();
        let id = outcome.single().id.unwrap();
        let made = record(&db, id).await;
        assert_eq!((made.version, made.status, made.created_by), (1, UserStatus::Invited, user_of(&admin)));
        assert_eq!((made.role_id, made.role_name.as_deref()), (Some(agent), Some("Agent")));

        let change = UserChange {
            name: Some("Bob Builder".to_owned()),
            job_title: Some(None),
            role_id: Some(platform.role(tenant_id, "Manager").await),
            ..Default::default()
        };
        let outcome = platform.identity.user_update(&db, id, Some(1), change.clone()).await.unwrap();
        assert_eq!(outcome.single().id, Some(id));
        let stale = platform.identity.user_update(&db, id, Some(1), change).await.unwrap();
        assert_eq!(refusal(stale), (UserErrorCode::StaleVersion, "expectedVersion".to_owned()));
        let changed = record(&db, id).await;
        assert_eq!((changed.version, changed.name.as_str(), changed.job_title), (2, "Bob Builder", None));
        assert_eq!(changed.role_name.as_deref(), Some("Manager"));
        let known = account(&platform, id).await.unwrap();
        assert!(!known.mirror_pending && Some(known.role_id) == changed.role_id);

        let outcome = platform.identity.user_delete(&db, id, None).await.unwrap();
        assert_eq!(outcome.single().errors, []);
        assert!(db.find::<user::Entity>().unwrap().id(id).one().await.unwrap().is_none());
        assert_eq!(account(&platform, id).await, None);
        let (again, _) = platform.identity.user_invite(&db, invitation("bob@acme.example", agent)).await.unwrap();
        assert_eq!(again.single().errors, [], "the address is free again");

        let log = db
            .find::<audit_log::Entity>()
            .unwrap()
            .filter(audit_log::Column::RecordId.eq(id))
            .order_by(audit_log::Column::Seq, Order::Asc)
            .all()
            .await
            .unwrap();
        let told: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.actor_id, entry.actor_kind)).collect();
        let ada = user_of(&admin);
        let expected = ["created", "updated", "deleted"].map(|action| (action, ada, ActorKind::User));
        assert_eq!(told, expected);
        assert_eq!(log[1].changes["roleName"]["to"], "Manager");
        let events = platform.tenant_rows(tenant_id, "SELECT name FROM event WHERE name LIKE 'user.%' ORDER BY seq").await;
        let events: Vec<String> = events.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
        assert_eq!(events, ["user.created", "user.created", "user.updated", "user.deleted", "user.created"]);
    }

    async fn what_is_wrong_leaves_nothing_behind(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let agent = platform.role(tenant_id, "Agent").await;
        let bob = platform.user_with(tenant_id, "bob@acme.example", "Agent", PASSWORD).await;
        let accounts = async || platform.master.all(account::Entity::find()).await.unwrap().len();
        let before = accounts().await;
        let attempt = async |new| {
            let (outcome, link) = platform.identity.user_invite(&db, new).await.unwrap();
            assert!(link.is_none());
            refusal(outcome)
        };
        let good = || invitation("eve@acme.example", agent);
        let mut cases = vec![];
        let mut case = |change: fn(&mut rapport::services::identity::NewUser), code, field: &str| {
            let mut new = good();
            change(&mut new);
            cases.push((new, code, field.to_owned()));
        };
        case(|new| new.email = "BOB@acme.example".to_owned(), UserErrorCode::Taken, "input.email");
        case(|new| new.email = "nobody".to_owned(), UserErrorCode::Invalid, "input.email");
        case(|new| new.name = "  ".to_owned(), UserErrorCode::Blank, "input.name");
        case(|new| new.name = "x".repeat(201), UserErrorCode::TooLong, "input.name");
        case(|new| new.role_id = Uuid::from_u128(7), UserErrorCode::NotFound, "input.roleId");
        case(|new| new.manager_id = Some(Uuid::from_u128(7)), UserErrorCode::NotFound, "input.managerId");
        for (new, code, field) in cases {
            assert_eq!(attempt(new).await, (code, field));
        }
        assert_eq!(accounts().await, before);
        assert_eq!(platform.mail(tenant_id).await, []);
        let own = UserChange { manager_id: Some(Some(bob)), ..Default::default() };
        let outcome = platform.identity.user_update(&db, bob, None, own).await.unwrap();
        assert_eq!(refusal(outcome), (UserErrorCode::Invalid, "input.managerId".to_owned()));
        let under = UserChange { manager_id: Some(Some(bob)), ..Default::default() };
        platform.identity.user_update(&db, user_of(&admin), None, under).await.unwrap();
        let circle = UserChange { manager_id: Some(Some(user_of(&admin))), ..Default::default() };
        let outcome = platform.identity.user_update(&db, bob, None, circle).await.unwrap();
        assert_eq!(refusal(outcome), (UserErrorCode::Invalid, "input.managerId".to_owned()));
    }

    async fn a_repeated_request_invites_once(platform) {
        let admin = platform.tenant("acme").await;
        let tenant_id = tenant_of(&admin);
        let agent = platform.role(tenant_id, "Agent").await;
        let actor = admin.principal.member().unwrap().actor.clone();
        let mut ids = Vec::new();
        for round in 0..2 {
            let key = RequestKey::of_body("once", &["the same body"]).unwrap();
            let db = platform.tenants.open(tenant_id).await.unwrap().for_actor(actor.clone(), Some(key));
            let (outcome, link) =
                platform.identity.user_invite(&db, invitation("bob@acme.example", agent)).await.unwrap();
            assert_eq!(link.is_some(), round == 0, "the link is shown once");
            ids.push(outcome.single().id.unwrap());
        }
        assert_eq!(ids[0], ids[1]);
        assert_eq!(platform.mail(tenant_id).await.len(), 1);
    }

    async fn what_a_crash_left_untold_is_told_by_a_repair(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let agent = platform.role(tenant_id, "Agent").await;
        let disabled = platform.user_with(tenant_id, "bob@acme.example", "Agent", PASSWORD).await;
        let deleted = platform.user_with(tenant_id, "eve@acme.example", "Agent", PASSWORD).await;
        let (bob, eve) = (record(&db, disabled).await, record(&db, deleted).await);

        platform.identity.user_disable(&db, disabled, None).await.unwrap();
        forget_the_mirror(&platform, tenant_id, disabled, &bob).await;
        // A user whose deletion was cut short: the account is marked and refused, the record is there.
        let own = match platform.engine {
            crate::support::Engine::Sqlite => format!("id = x'{}'", deleted.simple()),
            crate::support::Engine::Postgres => format!("id = '{deleted}'"),
        };
        platform.master_sql(&format!("UPDATE account SET status = 'DELETED' WHERE {own}")).await;
        forget_the_mirror(&platform, tenant_id, deleted, &eve).await;
        // An invitation that got no further than the master database.
        let lost = platform.identity.user_invite(&db, invitation("max@acme.example", agent)).await.unwrap().0;
        let lost = lost.single().id.unwrap();
        let gone = match platform.engine {
            crate::support::Engine::Sqlite => format!("DELETE FROM \"user\" WHERE id = x'{}'", lost.simple()),
            crate::support::Engine::Postgres => format!("DELETE FROM \"user\" WHERE id = '{lost}'"),
        };
        platform.tenant_sql(tenant_id, &gone).await;
        platform.master_sql("UPDATE account SET mirror_pending = TRUE WHERE status = 'INVITED'").await;

        assert_eq!(record(&db, disabled).await.status, UserStatus::Active, "the tenant does not know");
        assert!(platform.identity.login(login("bob@acme.example", PASSWORD), &client()).await.is_err(), "and he is out");
        assert_eq!(platform.identity.repair_mirrors(tenant_id).await.unwrap(), 0, "it may be under way still");
        platform.clock.advance(chrono::Duration::seconds(11));
        let (told, failed) = platform.identity.repair_all_mirrors().await.unwrap();
        assert_eq!((told, failed.len()), (3, 0));
        assert_eq!(record(&db, disabled).await.status, UserStatus::Disabled);
        assert!(db.find::<user::Entity>().unwrap().id(deleted).one().await.unwrap().is_none());
        assert_eq!(account(&platform, deleted).await, None);
        assert_eq!(record(&db, lost).await.name, "max", "the name was lost; the address tells");
        assert_eq!(platform.identity.repair_all_mirrors().await.unwrap().0, 0);
        let marked = platform.master.all(account::Entity::find()).await.unwrap();
        assert!(marked.iter().all(|account| !account.mirror_pending));
    }

    async fn inviting_again_completes_what_a_crash_cut_short(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let agent = platform.role(tenant_id, "Agent").await;
        let first = platform.identity.user_invite(&db, invitation("max@acme.example", agent)).await.unwrap().0;
        platform.tenant_sql(tenant_id, "DELETE FROM \"user\" WHERE email = 'max@acme.example'").await;
        platform.master_sql("UPDATE account SET mirror_pending = TRUE WHERE email = 'max@acme.example'").await;
        let mut again = invitation("max@acme.example", agent);
        again.name = "Max Mustermann".to_owned();
        let (second, link) = platform.identity.user_invite(&db, again).await.unwrap();
        let id = second.single().id.unwrap();
        assert_eq!(Some(id), first.single().id);
        assert_eq!(record(&db, id).await.name, "Max Mustermann");
        let tokens =
            platform.identity.invitation_accept(link.unwrap().token.expose(), PASSWORD, &client()).await.unwrap();
        assert!(authenticate(&platform, &tokens).await.is_ok());
        assert_eq!(account(&platform, id).await.unwrap().status, AccountStatus::Active);
    }

    async fn nobody_writes_a_user_by_the_ordinary_way(platform) {
        let admin = platform.tenant("acme").await;
        let db = platform.db(&admin).await;
        let by_itself = db
            .write(async |unit| {
                let change = user::ActiveModel { name: sea_orm::Set("Eve".to_owned()), ..Default::default() };
                unit.update::<user::Entity>(user_of(&admin), None, change).await
            })
            .await;
        assert_eq!(crate::identity::code(by_itself), "INTERNAL_SERVER_ERROR");
        assert_eq!(record(&db, user_of(&admin)).await.name, "Ada Admin");
    }
}
