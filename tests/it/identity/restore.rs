//! Users and roles that were deleted come back, and many come at once: through the API, and over what a crash leaves.

use entity::{
    master::{AccountStatus, account, role_permission},
    tenant::{
        role,
        user::{self, UserStatus},
    },
};
use rapport::{
    auth::DataScope,
    error::UserErrorCode,
    services::identity::{NewRole, UserChange},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use uuid::Uuid;

use super::refusal;
use crate::{
    on_both_databases, on_both_engines,
    support::{
        Session,
        platform::{PASSWORD, Platform, authenticate, client, invitation, login, tenant_of, user_of},
    },
};

async fn record(platform: &Platform, tenant_id: Uuid, id: Uuid) -> Option<user::Model> {
    platform.system_db(tenant_id).await.find::<user::Entity>().unwrap().id(id).one().await.unwrap()
}

async fn account(platform: &Platform, id: Uuid) -> Option<account::Model> {
    platform.master.one(account::Entity::find_by_id(id)).await.unwrap()
}

/// `id = …` in the words of the database.
fn own(platform: &Platform, id: Uuid) -> String {
    match platform.engine {
        crate::support::Engine::Sqlite => format!("id = x'{}'", id.simple()),
        crate::support::Engine::Postgres => format!("id = '{id}'"),
    }
}

async fn new_role(platform: &Platform, tenant_id: Uuid, name: &str, permissions: &[&str]) -> Uuid {
    let db = platform.system_db(tenant_id).await;
    let permissions = permissions.iter().map(ToString::to_string).collect();
    let new = NewRole { name: name.to_owned(), description: None, scope: DataScope::Own, permissions };
    let outcome = platform.identity.role_create(&db, new).await.unwrap();
    outcome.single().id.unwrap()
}

on_both_databases! {
    async fn a_restored_user_is_invited_and_nothing_of_old_counts(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let bob = platform.user(tenant_id, "bob@acme.example", "Agent").await;
        let id = user_of(&bob);
        let there = platform.identity.user_restore(&db, id).await.unwrap();
        assert!(there.0.single().errors.is_empty() && there.1.is_none(), "one who is not deleted stays as he is");
        assert!(authenticate(&platform, &bob).await.is_ok());

        platform.identity.user_delete(&db, id, None).await.unwrap();
        let (outcome, link) = platform.identity.user_restore(&db, id).await.unwrap();
        let item = outcome.single();
        assert_eq!((item.id, item.errors.len()), (Some(id), 0));
        let back = record(&platform, tenant_id, id).await.unwrap();
        assert_eq!((back.status, back.role_name.as_deref()), (UserStatus::Invited, Some("Agent")));
        let known = account(&platform, id).await.unwrap();
        assert_eq!((known.status, known.password_hash, known.mirror_pending), (AccountStatus::Invited, None, false));
        assert_eq!(authenticate(&platform, &bob).await.err(), Some("UNAUTHENTICATED"));
        assert!(platform.identity.login(login("bob@acme.example", PASSWORD), &client()).await.is_err());
        assert_eq!(platform.mail(tenant_id).await.last().unwrap().recipient, "bob@acme.example");
        let token = link.unwrap().token.expose().to_owned();
        let tokens = platform.identity.invitation_accept(&token, "another-horse-7", &client()).await.unwrap();
        assert!(authenticate(&platform, &tokens).await.is_ok());
        assert_eq!(authenticate(&platform, &bob).await.err(), Some("UNAUTHENTICATED"), "still");
        let log = "SELECT action FROM audit_log WHERE record_type = 'user' AND action = 'restored'";
        assert_eq!(platform.tenant_rows(tenant_id, log).await.len(), 1);
    }

    async fn what_stands_in_the_way_of_a_restored_user_is_told(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let scout = new_role(&platform, tenant_id, "Scout", &["customers.read"]).await;
        let bob = platform.user_with(tenant_id, "bob@acme.example", "Scout", PASSWORD).await;
        platform.identity.user_delete(&db, bob, None).await.unwrap();
        platform.identity.role_delete(&db, scout, None).await.unwrap();
        let refused = platform.identity.user_restore(&db, bob).await.unwrap().0;
        assert_eq!(refusal(refused), (UserErrorCode::InvalidState, "id".to_owned()), "the role first");
        platform.identity.role_restore(&db, scout).await.unwrap();
        let agent = platform.role(tenant_id, "Agent").await;
        let eve = platform.identity.user_invite(&db, invitation("bob@acme.example", agent)).await.unwrap().0;
        let refused = platform.identity.user_restore(&db, bob).await.unwrap().0;
        assert_eq!(refusal(refused), (UserErrorCode::Taken, "id".to_owned()), "another has the address");
        assert_eq!(account(&platform, bob).await, None, "and nothing was left behind");
        platform.identity.user_delete(&db, eve.single().id.unwrap(), None).await.unwrap();
        assert_eq!(platform.identity.user_restore(&db, bob).await.unwrap().0.single().errors, []);
    }

    async fn a_restored_role_allows_what_it_allowed(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let scout = new_role(&platform, tenant_id, "Scout", &["customers.read", "leads.read"]).await;
        platform.identity.role_delete(&db, scout, None).await.unwrap();
        assert!(platform.identity.user_invite(&db, invitation("bob@acme.example", scout)).await.unwrap().1.is_none());
        assert_eq!(platform.identity.role_restore(&db, scout).await.unwrap().single().errors, []);
        let stored = role_permission::Entity::find().filter(role_permission::Column::RoleId.eq(scout));
        assert_eq!(platform.master.all(stored).await.unwrap().len(), 2);
        let bob = platform.user(tenant_id, "bob@acme.example", "Scout").await;
        let actor = bob.principal.member().unwrap().actor.clone();
        assert_eq!((actor.scope, actor.permissions.names().len()), (DataScope::Own, 2));
        // A name that somebody took meanwhile.
        let other = new_role(&platform, tenant_id, "Other", &[]).await;
        platform.identity.role_delete(&db, other, None).await.unwrap();
        new_role(&platform, tenant_id, "OTHER", &[]).await;
        let refused = platform.identity.role_restore(&db, other).await.unwrap();
        assert_eq!(refusal(refused).0, UserErrorCode::Taken);
    }

    async fn nobody_brings_back_more_than_he_has(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let eve = platform.user_with(tenant_id, "eve@acme.example", "Admin", PASSWORD).await;
        let scout = new_role(&platform, tenant_id, "Scout", &["tickets.read"]).await;
        platform.identity.user_delete(&db, eve, None).await.unwrap();
        platform.identity.role_delete(&db, scout, None).await.unwrap();
        let own = ["users.read", "roles.read", "admin.manage_users", "admin.manage_roles"];
        new_role(&platform, tenant_id, "HR", &own).await;
        let hr = platform.user(tenant_id, "hr@acme.example", "HR").await;
        let of_hr = platform.db(&hr).await;
        super::forbidden(platform.identity.user_restore(&of_hr, eve).await);
        assert_eq!(super::forbidden(platform.identity.role_restore(&of_hr, scout).await), "tickets.read");
        assert_eq!((record(&platform, tenant_id, eve).await, account(&platform, eve).await), (None, None));
    }

    async fn a_restoration_that_a_crash_cut_short_is_completed(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let scout = new_role(&platform, tenant_id, "Scout", &["customers.read"]).await;
        let bob = platform.user_with(tenant_id, "bob@acme.example", "Agent", PASSWORD).await;
        let max = platform.user_with(tenant_id, "max@acme.example", "Agent", PASSWORD).await;
        for id in [bob, max] {
            platform.identity.user_delete(&db, id, None).await.unwrap();
            platform.identity.user_restore(&db, id).await.unwrap();
        }
        platform.identity.role_delete(&db, scout, None).await.unwrap();
        platform.identity.role_restore(&db, scout).await.unwrap();
        // The master database knows, the tenant does not.
        for (table, id) in [("user", bob), ("user", max), ("role", scout)] {
            let deleted = format!("UPDATE \"{table}\" SET is_deleted = TRUE WHERE {}", own(&platform, id));
            platform.tenant_sql(tenant_id, &deleted).await;
        }
        platform.master_sql("UPDATE account SET mirror_pending = TRUE WHERE status = 'INVITED'").await;
        platform.master_sql("UPDATE role SET mirror_pending = TRUE WHERE name = 'Scout'").await;
        // Inviting the address again is no way around; restoring again is one.
        let agent = platform.role(tenant_id, "Agent").await;
        let refused = platform.identity.user_invite(&db, invitation("max@acme.example", agent)).await.unwrap().0;
        assert_eq!(refusal(refused).0, UserErrorCode::Taken);
        assert!(platform.identity.user_restore(&db, max).await.unwrap().1.is_some());
        assert!(record(&platform, tenant_id, max).await.is_some());
        // So is the repair.
        assert!(record(&platform, tenant_id, bob).await.is_none());
        platform.clock.advance(chrono::Duration::seconds(11));
        assert_eq!(platform.identity.repair_mirrors(tenant_id).await.unwrap(), 2);
        assert_eq!(record(&platform, tenant_id, bob).await.unwrap().status, UserStatus::Invited);
        let roles = platform.system_db(tenant_id).await.find::<role::Entity>().unwrap().id(scout).one().await.unwrap();
        assert_eq!(roles.unwrap().name, "Scout");
        assert_eq!(platform.identity.repair_mirrors(tenant_id).await.unwrap(), 0);
    }

    async fn a_deletion_that_a_crash_cut_short_does_not_hinder_the_way_back(platform) {
        let admin = platform.tenant("acme").await;
        let (tenant_id, db) = (tenant_of(&admin), platform.db(&admin).await);
        let bob = platform.user_with(tenant_id, "bob@acme.example", "Agent", PASSWORD).await;
        let before = account(&platform, bob).await.unwrap();
        platform.identity.user_delete(&db, bob, None).await.unwrap();
        // Both databases know, but the row of the account was not taken away yet.
        let deleted = account::Model { status: AccountStatus::Deleted, mirror_pending: true, ..before };
        let row: account::ActiveModel = deleted.into();
        platform.master.write(async |unit| unit.insert(row).await).await.unwrap();
        assert!(platform.identity.user_restore(&db, bob).await.unwrap().1.is_some());
        assert_eq!(account(&platform, bob).await.unwrap().status, AccountStatus::Invited);
        platform.clock.advance(chrono::Duration::seconds(11));
        platform.identity.repair_mirrors(tenant_id).await.unwrap();
        let change = UserChange { name: Some("Bob".to_owned()), ..Default::default() };
        assert_eq!(platform.identity.user_update(&db, bob, None, change).await.unwrap().single().errors, []);
    }
}

const USERS: &str = "mutation($inputs: [UserUpsertInput!]!, $policy: BulkErrorPolicy!) {
    userBulkUpsert(inputs: $inputs, errorPolicy: $policy) {
        results { index user { id name email status externalReference version role { name } } userErrors { code field } }
    }
}";
const ROLES: &str = "mutation($inputs: [RoleUpsertInput!]!, $policy: BulkErrorPolicy!) {
    roleBulkUpsert(inputs: $inputs, errorPolicy: $policy) {
        results { index role { id name scope permissions } userErrors { code field } }
    }
}";

/// The answer of a bulk mutation.
async fn bulk(session: &Session, mutation: &str, inputs: &Value, policy: &str) -> Value {
    let data = session.data(mutation, json!({ "inputs": inputs, "policy": policy })).await;
    data.as_object().unwrap().values().next().unwrap().clone()
}

/// What is wrong with each input.
fn codes(results: &Value) -> Vec<Vec<&str>> {
    let errors = results.as_array().unwrap().iter().map(|result| result["userErrors"].as_array().unwrap());
    errors.map(|errors| errors.iter().map(|error| error["code"].as_str().unwrap()).collect()).collect()
}

on_both_engines! {
    async fn many_users_come_at_once(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let admin = &tenant.admin;
        let roles = admin.data("{ roles { nodes { id name } } }", json!({})).await;
        let role = |name: &str| {
            let all = roles["roles"]["nodes"].as_array().unwrap();
            all.iter().find(|role| role["name"] == name).unwrap()["id"].clone()
        };
        let (agent, manager) = (role("Agent"), role("Manager"));
        let new = |reference: &str, email: &str| json!({
            "externalReference": reference, "input": { "name": reference, "email": email, "roleId": agent },
        });
        let inputs = json!([
            new("E-1", "one@acme.example"),
            new("E-2", "two@acme.example"),
            new("E-2", "three@acme.example"),
            { "input": { "name": "No address", "roleId": agent } },
            new("E-4", "admin@acme.example"),
        ]);
        let none = bulk(admin, USERS, &inputs, "REJECT_ALL").await;
        let refused = [vec![], vec![], vec!["INVALID_STATE"], vec!["BLANK"], vec!["TAKEN"]];
        assert_eq!(codes(&none["results"]), refused);
        assert!(none["results"].as_array().unwrap().iter().all(|result| result["user"] == Value::Null));
        let count = async || admin.data("{ users { totalCount } }", json!({})).await["users"]["totalCount"].as_i64();
        let before = count().await.unwrap();
        let (some, events) = app.raised(&tenant, async || {
            bulk(admin, USERS, &inputs, "REJECT_FAILED").await
        }).await;
        assert_eq!(codes(&some["results"]), refused);
        assert_eq!(events, ["user.created", "user.created"]);
        assert_eq!(count().await.unwrap(), before + 2);
        assert_eq!(some["results"][0]["user"]["status"], "INVITED");

        // Found again by the reference; another role, and what is refused by the role of the one who is changed.
        let inputs = json!([
            { "externalReference": "E-1", "input": { "name": "One", "email": "ONE@acme.example", "roleId": manager } },
            { "externalReference": "E-2", "input": { "email": "other@acme.example" } },
            { "id": admin.user_id, "input": { "roleId": agent } },
            { "id": tenant.agent.user_id, "externalReference": "E-9", "input": {} },
            { "id": tenant.viewer.user_id, "input": { "jobTitle": "Reader" } },
            { "id": tenant.viewer.user_id, "input": { "jobTitle": "Reader again" } },
        ]);
        let changed = bulk(admin, USERS, &inputs, "REJECT_FAILED").await;
        let expected =
            [vec![], vec!["INVALID_STATE"], vec!["INVALID_STATE"], vec!["INVALID"], vec![], vec!["INVALID"]];
        assert_eq!(codes(&changed["results"]), expected);
        let one = &changed["results"][0]["user"];
        assert_eq!((&one["name"], &one["role"]["name"], &one["version"]), (&json!("One"), &json!("Manager"), &json!(2)));
        let agent_may_not = tenant.agent.send(USERS, json!({ "inputs": [], "policy": "REJECT_ALL" })).await;
        assert_eq!(agent_may_not.codes(), ["FORBIDDEN"]);
        let many: Vec<Value> = (0..251).map(|_| json!({ "input": {} })).collect();
        let too_many = admin.send(USERS, json!({ "inputs": many, "policy": "REJECT_ALL" })).await;
        assert_eq!(too_many.codes(), ["BAD_USER_INPUT"]);
    }

    /// What only the master database can refuse is found after the records are written: the others are kept all the same.
    async fn what_is_refused_at_the_last_moment_takes_nobody_along(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let roles = tenant.admin.data("{ permissions roles { nodes { id name } } }", json!({})).await;
        let agent = roles["roles"]["nodes"].as_array().unwrap().iter().find(|role| role["name"] == "Agent").unwrap();
        let all: Vec<&str> = roles["permissions"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        // May do all that an administrator may, and is none.
        let deputy = app.user_with(&tenant, "deputy", &all).await;
        let inputs = json!([
            { "id": tenant.viewer.user_id, "input": { "name": "Vera" } },
            { "id": tenant.admin.user_id, "input": { "name": "Nobody", "roleId": agent["id"] } },
            { "externalReference": "N-1", "input": {
                "name": "New", "email": "new@acme.example", "roleId": agent["id"] } },
        ]);
        let expected = [vec![], vec!["INVALID_STATE"], vec![]];
        let (none, events) = app.raised(&tenant, async || bulk(&deputy, USERS, &inputs, "REJECT_ALL").await).await;
        assert_eq!(codes(&none["results"]), expected);
        assert!(events.is_empty() && none["results"][0]["user"] == Value::Null, "{events:?}");
        let (some, events) = app.raised(&tenant, async || bulk(&deputy, USERS, &inputs, "REJECT_FAILED").await).await;
        assert_eq!(codes(&some["results"]), expected);
        assert_eq!(events, ["user.updated", "user.created"]);
        assert_eq!((&some["results"][0]["user"]["name"], &some["results"][1]["user"]), (&json!("Vera"), &Value::Null));
        let found = tenant.admin.data(
            "query($id: ID!) { user(id: $id) { name roleName } }", json!({ "id": tenant.admin.user_id }),
        ).await;
        assert_eq!(found["user"]["roleName"], "Admin");
        assert_ne!(found["user"]["name"], "Nobody");
    }

    async fn many_roles_come_at_once(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let admin = &tenant.admin;
        let inputs = json!([
            { "input": { "name": "Scout", "scope": "OWN", "permissions": ["customers.read"] } },
            { "input": { "name": "Incomplete" } },
            { "input": { "name": "AGENT", "permissions": [] } },
            { "input": { "name": "Wrong", "scope": "OWN", "permissions": ["customers.fly"] } },
        ]);
        let made = bulk(admin, ROLES, &inputs, "REJECT_FAILED").await;
        let expected = [vec![], vec!["BLANK", "BLANK"], vec!["INVALID_STATE"], vec!["INVALID"]];
        assert_eq!(codes(&made["results"]), expected);
        let inputs = json!([{ "input": { "name": "scout", "permissions": ["customers.read", "leads.read"] } }]);
        let changed = bulk(admin, ROLES, &inputs, "REJECT_ALL").await;
        let (first, again) = (&made["results"][0]["role"], &changed["results"][0]["role"]);
        assert_eq!((&first["id"], &again["permissions"]), (&again["id"], &json!(["customers.read", "leads.read"])));
        assert_eq!(again["name"], "scout");

        let delete = "mutation($id: ID!) { roleDelete(id: $id) { deletedId userErrors { code } } }";
        admin.mutate(delete, json!({ "id": first["id"] })).await;
        let restore = "mutation($id: ID!) { roleRestore(id: $id) { role { id name permissions } userErrors { code } } }";
        let (back, events) =
            app.raised(&tenant, async || admin.mutate(restore, json!({ "id": first["id"] })).await).await;
        assert_eq!(back["role"]["permissions"], again["permissions"]);
        assert_eq!(events, ["role.restored"]);
    }

    async fn a_deleted_user_comes_back(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let id = &tenant.agent.user_id;
        let delete = "mutation($id: ID!) { userDelete(id: $id) { deletedId userErrors { code } } }";
        tenant.admin.mutate(delete, json!({ "id": id })).await;
        let restore = "mutation($id: ID!) { userRestore(id: $id) {
            user { id status version role { name } } userErrors { code } } }";
        assert_eq!(tenant.manager.send(restore, json!({ "id": id })).await.codes(), ["FORBIDDEN"]);
        let (back, events) = app.raised(&tenant, async || tenant.admin.mutate(restore, json!({ "id": id })).await).await;
        assert_eq!((&back["user"]["status"], &back["user"]["role"]["name"]), (&json!("INVITED"), &json!("Agent")));
        assert_eq!(events, ["user.restored"]);
        assert_eq!(tenant.agent.send("{ me { email } }", json!({})).await.codes(), ["UNAUTHENTICATED"]);
    }
}
