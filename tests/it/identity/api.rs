//! Identity through the API: over real HTTP, as a front end uses it.

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Session, TestApp, app::PASSWORD},
};

const REGISTER: &str = "mutation($input: RegisterInput!) {
    register(input: $input, clientMutationId: \"r1\") {
        accessToken refreshToken expiresIn userErrors { field code message } clientMutationId
    }
}";
const LOGIN: &str = "mutation($input: LoginInput!) {
    login(input: $input) { accessToken refreshToken expiresIn userErrors { field code message } }
}";
const ME: &str = "{ me { id email roleName permissions dataScope tenant { slug name status baseCurrency }
    user { name role { name isBuiltIn } } } }";

fn with(app: &TestApp, token: &Value) -> Session {
    Session::new(app.url("/graphql"), Some(token.as_str().unwrap().to_owned()))
}

fn credentials(email: &str, password: &str, tenant: Option<&str>) -> Value {
    json!({ "input": { "email": email, "password": password, "tenant": tenant } })
}

async fn role_id(session: &Session, name: &str) -> Value {
    let found = session
        .data(
            "query($name: String!) { roles(where: { name: { eq: $name } }) { nodes { id } } }",
            json!({ "name": name }),
        )
        .await;
    found["roles"]["nodes"][0]["id"].clone()
}

/// The link of the newest mail to this address.
async fn mailed_token(app: &TestApp, tenant_id: uuid::Uuid, recipient: &str) -> String {
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
    app.app.settle().await;
    let connection = crate::support::platform::connect(&app.tenant_url(tenant_id)).await;
    let mail = entity::tenant::email_message::Entity::find()
        .filter(entity::tenant::email_message::Column::Recipient.eq(recipient))
        .order_by_desc(entity::tenant::email_message::Column::Id)
        .one(&connection)
        .await
        .unwrap()
        .unwrap();
    connection.close().await.unwrap();
    mail.variables["link"].as_str().unwrap().split("token=").nth(1).unwrap().to_owned()
}

on_both_engines! {
    async fn a_company_signs_up_and_its_administrator_is_in(app: TestApp) {
        let input = json!({
            "slug": "acme", "name": "Acme Ltd", "adminName": "Ada Byron", "email": "Ada@ACME.example",
            "password": PASSWORD, "baseCurrency": "EUR", "timeZone": "Europe/Vienna", "locale": "de-AT",
        });
        let payload = app.anonymous().mutate(REGISTER, json!({ "input": input })).await;
        assert_eq!((&payload["expiresIn"], &payload["clientMutationId"]), (&json!(3600), &json!("r1")));
        let me = with(&app, &payload["accessToken"]).data(ME, json!({})).await["me"].clone();
        assert!(me["id"].as_str().unwrap().starts_with("user_"));
        assert_eq!(me["email"], "Ada@acme.example");
        assert_eq!((&me["roleName"], &me["dataScope"]), (&json!("Admin"), &json!("ALL")));
        let tenant = json!({ "slug": "acme", "name": "Acme Ltd", "status": "ACTIVE", "baseCurrency": "EUR" });
        assert_eq!(me["tenant"], tenant);
        assert_eq!(me["user"], json!({ "name": "Ada Byron", "role": { "name": "Admin", "isBuiltIn": true } }));
        let permissions: Vec<&str> = me["permissions"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        assert!(permissions.contains(&"admin.manage_users") && !permissions.contains(&"admin.manage_tenants"));

        let again = json!({ "input": {
            "slug": "acme", "name": "x", "adminName": "x", "email": "eve@evil.example", "password": PASSWORD,
        } });
        let refused = app.anonymous().refused(REGISTER, again).await;
        assert_eq!(refused, [("TAKEN".to_owned(), vec!["input".to_owned(), "slug".to_owned()])]);
    }

    async fn logging_in_refreshing_and_out(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let guest = app.anonymous();
        let wrong = guest.data(LOGIN, credentials("admin@acme.example", "wrong-horse-99", None)).await;
        let unknown = guest.data(LOGIN, credentials("nobody@acme.example", "wrong-horse-99", None)).await;
        let elsewhere = guest.data(LOGIN, credentials("admin@acme.example", PASSWORD, Some("other"))).await;
        assert_eq!(wrong["login"]["accessToken"], Value::Null);
        assert_eq!(wrong["login"]["userErrors"][0]["code"], "INVALID");
        assert_eq!([&unknown, &elsewhere], [&wrong, &wrong]);

        let first = guest.mutate(LOGIN, credentials("admin@acme.example", PASSWORD, Some("acme"))).await;
        let refresh = "mutation($token: String!) {
            tokenRefresh(input: { refreshToken: $token }) { accessToken refreshToken userErrors { code } }
        }";
        let second = guest.mutate(refresh, json!({ "token": first["refreshToken"] })).await;
        assert_ne!(first["refreshToken"], second["refreshToken"]);
        let session = with(&app, &second["accessToken"]);
        assert_eq!(session.data("{ me { email } }", json!({})).await["me"]["email"], "admin@acme.example");
        session.mutate("mutation { logout { userErrors { code } } }", json!({})).await;
        let ended = session.send("{ me { email } }", json!({})).await;
        assert_eq!(ended.codes(), ["UNAUTHENTICATED"]);
        let spent = guest.send(refresh, json!({ "token": second["refreshToken"] })).await;
        assert_eq!(spent.codes(), ["UNAUTHENTICATED"]);
        // Every other session stands until all are ended.
        let other = guest.mutate(LOGIN, credentials("admin@acme.example", PASSWORD, None)).await;
        tenant.admin.mutate("mutation { logoutAll { userErrors { code } } }", json!({})).await;
        for token in [&json!(tenant.admin.token), &other["accessToken"]] {
            assert_eq!(with(&app, token).send("{ me { email } }", json!({})).await.codes(), ["UNAUTHENTICATED"]);
        }
    }

    async fn whoever_is_not_logged_in_sees_nothing(app: TestApp) {
        app.tenant("acme").await;
        let guest = app.anonymous();
        for query in [
            "{ me { email } }", "{ users { nodes { name } } }", "{ roles { nodes { name } } }", "{ permissions }",
            "{ apiKeys { nodes { name } } }", "{ auditLogs { nodes { action } } }", "{ tenants { nodes { slug } } }",
            "mutation { logout { userErrors { code } } }",
            "mutation { userDisable(id: \"user_00000000000000000000000000\") { userErrors { code } } }",
            "mutation { tenantSuspend(id: \"tenant_00000000000000000000000000\") { userErrors { code } } }",
        ] {
            let answer = guest.send(query, json!({})).await;
            assert_eq!(answer.codes(), ["UNAUTHENTICATED"], "{query}");
        }
    }

    async fn users_are_invited_changed_and_deleted(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let admin = &tenant.admin;
        let agent = role_id(admin, "Agent").await;
        let invite = "mutation($input: UserInviteInput!) {
            userInvite(input: $input) {
                user { id name email status jobTitle version role { id name } manager { id } createdBy { name } }
                userErrors { field code }
            }
        }";
        let input = json!({
            "name": "Bob Builder", "email": "Bob@Acme.Example", "roleId": agent, "jobTitle": "Sales",
            "managerId": admin.user_id,
        });
        let user = admin.mutate(invite, json!({ "input": input })).await["user"].clone();
        assert_eq!((&user["status"], &user["email"]), (&json!("INVITED"), &json!("Bob@acme.example")));
        assert_eq!((&user["role"]["id"], &user["manager"]["id"]), (&agent, &json!(admin.user_id)));
        assert_eq!(user["createdBy"]["name"], "Ada Admin");
        let taken = admin.refused(invite, json!({ "input": input })).await;
        assert_eq!(taken, [("TAKEN".to_owned(), vec!["input".to_owned(), "email".to_owned()])]);

        let again = "mutation($id: ID!) { userInviteAgain(id: $id) { user { id } userErrors { code } } }";
        admin.mutate(again, json!({ "id": user["id"] })).await;
        let token = mailed_token(&app, tenant.id, "Bob@acme.example").await;
        let accept = "mutation($token: String!, $password: String!) {
            invitationAccept(input: { token: $token, password: $password }) {
                accessToken userErrors { field code }
            }
        }";
        let weak = app.anonymous().refused(accept, json!({ "token": token, "password": "short" })).await;
        assert_eq!(weak[0], ("INVALID".to_owned(), vec!["input".to_owned(), "password".to_owned()]));
        let payload = app.anonymous().mutate(accept, json!({ "token": token, "password": PASSWORD })).await;
        let bob = with(&app, &payload["accessToken"]);
        assert_eq!(bob.data("{ me { roleName } }", json!({})).await["me"]["roleName"], "Agent");

        let update = "mutation($id: ID!, $input: UserUpdateInput!, $version: Int) {
            userUpdate(id: $id, input: $input, expectedVersion: $version) {
                user { name jobTitle status role { name } manager { id } version } userErrors { field code }
            }
        }";
        let change = json!({ "name": "Bob B.", "jobTitle": null, "managerId": null, "roleId": role_id(admin, "Viewer").await });
        let changed = admin.mutate(update, json!({ "id": user["id"], "input": change, "version": 2 })).await;
        let expected = json!({
            "name": "Bob B.", "jobTitle": null, "status": "ACTIVE", "role": { "name": "Viewer" }, "manager": null, "version": 3,
        });
        assert_eq!(changed["user"], expected);
        let stale = admin.refused(update, json!({ "id": user["id"], "input": { "name": "x" }, "version": 2 })).await;
        assert_eq!(stale[0].0, "STALE_VERSION");
        assert_eq!(bob.data("{ me { roleName } }", json!({})).await["me"]["roleName"], "Viewer", "the same token");

        let disable = "mutation($id: ID!) { userDisable(id: $id) { user { status } userErrors { code } } }";
        let enable = "mutation($id: ID!) { userEnable(id: $id) { user { status } userErrors { code } } }";
        assert_eq!(admin.mutate(disable, json!({ "id": user["id"] })).await["user"]["status"], "DISABLED");
        assert_eq!(bob.send("{ me { roleName } }", json!({})).await.codes(), ["UNAUTHENTICATED"]);
        assert_eq!(admin.mutate(enable, json!({ "id": user["id"] })).await["user"]["status"], "ACTIVE");
        assert_eq!(admin.refused(disable, json!({ "id": admin.user_id })).await[0].0, "INVALID_STATE");

        let delete = "mutation($id: ID!) { userDelete(id: $id) { deletedId userErrors { code } } }";
        assert_eq!(admin.mutate(delete, json!({ "id": user["id"] })).await["deletedId"], user["id"]);
        assert_eq!(admin.refused(delete, json!({ "id": user["id"] })).await[0].0, "NOT_FOUND");
        let gone = admin.data("query($id: ID!) { user(id: $id) { name } }", json!({ "id": user["id"] })).await;
        assert_eq!(gone["user"], Value::Null);
        for session in [&tenant.manager, &tenant.agent, &tenant.viewer] {
            let answer = session.send(disable, json!({ "id": admin.user_id })).await;
            assert_eq!(answer.codes(), ["FORBIDDEN"]);
            assert_eq!(answer.body["errors"][0]["extensions"]["requiredPermission"], "admin.manage_users");
            assert_eq!(session.data("{ users { totalCount } }", json!({})).await["users"]["totalCount"], 5);
        }
    }

    async fn roles_are_made_filtered_and_deleted(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let admin = &tenant.admin;
        let create = "mutation($input: RoleCreateInput!) {
            roleCreate(input: $input) { role { id name scope permissions isBuiltIn version } userErrors { field code } }
        }";
        let input = json!({ "name": "Desk", "scope": "OWN", "permissions": ["tickets.write", "tickets.read"] });
        let role = admin.mutate(create, json!({ "input": input })).await["role"].clone();
        assert_eq!(role["permissions"], json!(["tickets.read", "tickets.write"]));
        assert_eq!((&role["scope"], &role["isBuiltIn"]), (&json!("OWN"), &json!(false)));
        let list = "{ roles(where: { isBuiltIn: { eq: false }, scope: { eq: OWN }, permissions: { has: \"tickets.read\" } }) {
            totalCount nodes { name users { totalCount } } } }";
        let expected = json!({ "totalCount": 1, "nodes": [{ "name": "Desk", "users": { "totalCount": 0 } }] });
        assert_eq!(admin.data(list, json!({})).await["roles"], expected);
        let node = "query($id: ID!) { node(id: $id) { id ... on Role { name } } }";
        assert_eq!(admin.data(node, json!({ "id": role["id"] })).await["node"]["name"], "Desk");

        let update = "mutation($id: ID!, $input: RoleUpdateInput!) {
            roleUpdate(id: $id, input: $input) { role { name description permissions version } userErrors { code } }
        }";
        let change = json!({ "description": "Answers tickets", "permissions": ["tickets.read"] });
        let changed = admin.mutate(update, json!({ "id": role["id"], "input": change })).await["role"].clone();
        let expected = json!({
            "name": "Desk", "description": "Answers tickets", "permissions": ["tickets.read"], "version": 2,
        });
        assert_eq!(changed, expected);
        let built_in = json!({ "id": role_id(admin, "Admin").await, "input": { "name": "Root" } });
        assert_eq!(admin.refused(update, built_in).await[0].0, "INVALID_STATE");
        let delete = "mutation($id: ID!) { roleDelete(id: $id) { deletedId userErrors { code } } }";
        assert_eq!(admin.mutate(delete, json!({ "id": role["id"] })).await["deletedId"], role["id"]);

        let all = admin.data("{ permissions }", json!({})).await;
        let all: Vec<&str> = all["permissions"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        assert!(all.contains(&"customers.write") && !all.contains(&"admin.manage_tenants"));
        for query in ["{ roles { totalCount } }", "{ permissions }"] {
            assert_eq!(tenant.agent.send(query, json!({})).await.codes(), ["FORBIDDEN"]);
        }
        // A block of another module is null by itself.
        let answer = tenant.agent.send("{ users(first: 1) { nodes { name role { name } } } }", json!({})).await;
        assert_eq!(answer.codes(), ["FORBIDDEN"]);
        assert!(answer.body["data"]["users"]["nodes"][0]["name"].is_string());
        assert_eq!(answer.body["data"]["users"]["nodes"][0]["role"], Value::Null);
    }

    async fn a_program_comes_in_with_a_key_that_is_shown_once(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let admin = &tenant.admin;
        let create = "mutation($input: ApiKeyCreateInput!) {
            apiKeyCreate(input: $input) {
                apiKey { id name prefix permissions dataScope revokedAt lastUsedAt owner { id } } secret
                userErrors { field code }
            }
        }";
        let input = json!({ "name": "Import", "permissions": ["customers.read", "customers.write"], "dataScope": "ALL" });
        let headers = [("idempotency-key", "key-1")];
        let first = admin.send_with(create, json!({ "input": input }), &headers).await.body["data"]["apiKeyCreate"].clone();
        let repeated = admin.send_with(create, json!({ "input": input }), &headers).await.body["data"]["apiKeyCreate"].clone();
        let (key, secret) = (first["apiKey"].clone(), first["secret"].as_str().unwrap());
        assert!(secret.starts_with(&format!("rak_{}_", key["prefix"].as_str().unwrap())));
        assert_eq!((&repeated["apiKey"]["id"], &repeated["secret"]), (&key["id"], &Value::Null), "made once, shown once");
        assert_eq!((&key["owner"]["id"], &key["lastUsedAt"]), (&json!(admin.user_id), &Value::Null));

        let program = with(&app, &json!(secret));
        let me = program.data("{ me { id permissions dataScope } }", json!({})).await["me"].clone();
        assert_eq!(me["permissions"], json!(["customers.read", "customers.write"]));
        program.mutate(
            "mutation { customerCreate(input: { name: \"By a program\" }) { customer { id } userErrors { code } } }",
            json!({}),
        ).await;
        assert_eq!(program.send("{ users { totalCount } }", json!({})).await.codes(), ["FORBIDDEN"]);
        app.app.settle().await;
        let list = "{ apiKeys { totalCount nodes { id name lastUsedAt } } }";
        let keys = admin.data(list, json!({})).await["apiKeys"].clone();
        assert_eq!(keys["totalCount"], 1);
        assert!(keys["nodes"][0]["lastUsedAt"].is_string());
        let by = "{ auditLogs(where: { actorKind: { eq: API_KEY } }) { nodes { action recordType actor { id } } } }";
        let entry = json!({ "action": "created", "recordType": "customer", "actor": { "id": admin.user_id } });
        assert_eq!(admin.data(by, json!({})).await["auditLogs"]["nodes"], json!([entry]));

        let update = "mutation($id: ID!) {
            apiKeyUpdate(id: $id, input: { name: \"Export\", permissions: [\"customers.read\"] }) {
                apiKey { name permissions } userErrors { code }
            }
        }";
        let changed = admin.mutate(update, json!({ "id": key["id"] })).await["apiKey"].clone();
        assert_eq!(changed, json!({ "name": "Export", "permissions": ["customers.read"] }));
        let revoke = "mutation($id: ID!) { apiKeyRevoke(id: $id) { apiKey { revokedAt } userErrors { code } } }";
        let revoked = admin.mutate(revoke, json!({ "id": key["id"] })).await;
        assert!(revoked["apiKey"]["revokedAt"].is_string());
        assert_eq!(program.send("{ me { id } }", json!({})).await.codes(), ["UNAUTHENTICATED"]);
        assert_eq!(tenant.agent.send(list, json!({})).await.codes(), ["FORBIDDEN"]);
    }

    async fn the_audit_log_tells_what_was_done(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let created = tenant.agent.mutate(
            "mutation { customerCreate(input: { name: \"Acme\" }) { customer { id } userErrors { code } } }",
            json!({}),
        ).await;
        let id = created["customer"]["id"].clone();
        tenant.agent.mutate(
            "mutation($id: ID!) { customerUpdate(id: $id, input: { name: \"Acme 2\" }) { customer { id } userErrors { code } } }",
            json!({ "id": id }),
        ).await;
        let log = "query($id: ID!) {
            auditLogs(where: { recordId: { eq: $id } }, orderBy: [{ field: SEQ, direction: DESC }]) {
                totalCount pageInfo { hasNextPage }
                nodes { id seq action recordType recordId recordVersion actorKind changes hash actor { id name } }
            }
        }";
        let log = tenant.admin.data(log, json!({ "id": id })).await["auditLogs"].clone();
        assert_eq!(log["totalCount"], 2);
        let newest = &log["nodes"][0];
        assert_eq!((&newest["action"], &newest["recordId"], &newest["recordVersion"]), (&json!("updated"), &id, &json!(2)));
        assert_eq!(newest["changes"], json!({ "name": { "from": "Acme", "to": "Acme 2" } }));
        assert_eq!(newest["actor"], json!({ "id": tenant.agent.user_id, "name": "Ann Agent" }));
        assert_eq!(newest["hash"].as_str().unwrap().len(), 64);
        let (a, b): (i64, i64) = (
            log["nodes"][1]["seq"].as_str().unwrap().parse().unwrap(),
            newest["seq"].as_str().unwrap().parse().unwrap(),
        );
        assert_eq!(b, a + 1);
        let system = "{ auditLogs(first: 1, where: { actorKind: { eq: SYSTEM } }) { nodes { actor { id } } } }";
        assert_eq!(tenant.admin.data(system, json!({})).await["auditLogs"]["nodes"][0]["actor"], Value::Null);
        for session in [&tenant.manager, &tenant.agent, &tenant.viewer] {
            assert_eq!(session.send("{ auditLogs { totalCount } }", json!({})).await.codes(), ["FORBIDDEN"]);
        }
        // With the scope OWN: what one did oneself.
        let permissions = ["audit.read", "customers.read", "customers.write"];
        let own = app.user_scoped(&tenant, "Otto Own", &permissions, rapport::auth::DataScope::Own).await;
        own.mutate(
            "mutation { customerCreate(input: { name: \"Mine\" }) { customer { id } userErrors { code } } }",
            json!({}),
        ).await;
        let seen = own.data("{ auditLogs { totalCount nodes { action recordType } } }", json!({})).await;
        let mine = json!({ "totalCount": 1, "nodes": [{ "action": "created", "recordType": "customer" }] });
        assert_eq!(seen["auditLogs"], mine);
        let other = json!({ "id": newest["id"] });
        assert_eq!(own.data("query($id: ID!) { auditLog(id: $id) { id } }", other).await["auditLog"], Value::Null);
    }

    async fn passwords_are_changed_and_reset(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let change = "mutation($current: String!, $new: String!) {
            passwordChange(input: { currentPassword: $current, newPassword: $new }) {
                accessToken expiresIn userErrors { field code }
            }
        }";
        let wrong = tenant.admin.refused(change, json!({ "current": "wrong-horse-99", "new": "another-horse-7" })).await;
        assert_eq!(wrong, [("INVALID".to_owned(), vec!["input".to_owned(), "currentPassword".to_owned()])]);
        let payload = tenant.admin.mutate(change, json!({ "current": PASSWORD, "new": "another-horse-7" })).await;
        assert_eq!(tenant.admin.send("{ me { id } }", json!({})).await.codes(), ["UNAUTHENTICATED"]);
        assert!(with(&app, &payload["accessToken"]).data("{ me { id } }", json!({})).await["me"]["id"].is_string());

        let request = "mutation($email: EmailAddress!) {
            passwordResetRequest(input: { email: $email }) { userErrors { code } }
        }";
        let guest = app.anonymous();
        let known = guest.data(request, json!({ "email": "admin@acme.example" })).await;
        let unknown = guest.data(request, json!({ "email": "nobody@acme.example" })).await;
        assert_eq!(known, unknown);
        let token = mailed_token(&app, tenant.id, "admin@acme.example").await;
        let reset = "mutation($token: String!) {
            passwordReset(input: { token: $token, password: \"a-third-horse-5\" }) { userErrors { field code } }
        }";
        guest.mutate(reset, json!({ "token": token })).await;
        let again = guest.refused(reset, json!({ "token": token })).await;
        assert_eq!(again, [("INVALID".to_owned(), vec!["input".to_owned(), "token".to_owned()])]);
        guest.mutate(LOGIN, credentials("admin@acme.example", "a-third-horse-5", None)).await;
    }

    async fn platform_administrators_make_and_suspend_tenants_and_see_nothing_in_them(app: TestApp) {
        let tenant = app.tenant("acme").await;
        app.app.identity().platform_admin_create("root@platform.example", PASSWORD).await.unwrap();
        let login = "mutation($input: PlatformLoginInput!) {
            platformLogin(input: $input) { accessToken userErrors { code } }
        }";
        let credentials = json!({ "input": { "email": "root@platform.example", "password": PASSWORD } });
        let root = with(&app, &app.anonymous().mutate(login, credentials).await["accessToken"]);

        let create = "mutation($input: TenantCreateInput!) {
            tenantCreate(input: $input) { tenant { id slug status } userErrors { field code } }
        }";
        let input = |slug: &str| json!({ "input": {
            "slug": slug, "name": "Globex", "adminName": "Greta", "email": "greta@globex.example",
        } });
        let made = root.mutate(create, input("globex")).await["tenant"].clone();
        assert_eq!(made["status"], "ACTIVE");
        assert_eq!(root.mutate(create, input("globex")).await["tenant"]["id"], made["id"], "the same call, the same tenant");
        assert_eq!(root.refused(create, input("www")).await, [("INVALID".to_owned(), vec!["input".to_owned(), "slug".to_owned()])]);

        let page = "query($first: Int, $after: String) {
            tenants(first: $first, after: $after) { nodes { slug } edges { cursor } pageInfo { hasNextPage endCursor } }
        }";
        let first = root.data(page, json!({ "first": 1 })).await["tenants"].clone();
        assert_eq!((&first["nodes"][0]["slug"], &first["pageInfo"]["hasNextPage"]), (&json!("acme"), &json!(true)));
        let rest = root.data(page, json!({ "after": first["pageInfo"]["endCursor"] })).await["tenants"].clone();
        assert_eq!(rest["nodes"], json!([{ "slug": "globex" }]));
        assert_eq!(root.send(page, json!({ "after": "%%" })).await.codes(), ["BAD_USER_INPUT"]);
        assert_eq!(root.send(page, json!({ "first": 101 })).await.codes(), ["BAD_USER_INPUT"]);

        let id = rapport::data::ids::encode("tenant", tenant.id);
        let suspend = "mutation($id: ID!) { tenantSuspend(id: $id) { tenant { status } userErrors { code } } }";
        let resume = "mutation($id: ID!) { tenantResume(id: $id) { tenant { status } userErrors { code } } }";
        assert_eq!(root.mutate(suspend, json!({ "id": id })).await["tenant"]["status"], "SUSPENDED");
        assert_eq!(tenant.admin.send("{ me { id } }", json!({})).await.codes(), ["TENANT_SUSPENDED"]);
        assert_eq!(root.mutate(resume, json!({ "id": id })).await["tenant"]["status"], "ACTIVE");
        assert!(tenant.admin.data("{ me { id } }", json!({})).await["me"]["id"].is_string());

        for query in ["{ users { totalCount } }", "{ customers { totalCount } }", "{ auditLogs { totalCount } }"] {
            let answer = root.send(query, json!({})).await;
            assert_eq!(answer.body["data"].as_object().unwrap().values().next().unwrap(), &Value::Null, "{query}");
            assert_eq!(answer.codes().len(), 1, "{query}");
        }
        for (session, code) in [(&tenant.admin, "FORBIDDEN"), (&tenant.agent, "FORBIDDEN")] {
            for query in [page, "{ tenant(id: \"tenant_00000000000000000000000000\") { slug } }"] {
                assert_eq!(session.send(query, json!({})).await.codes(), [code]);
            }
            assert_eq!(session.send(suspend, json!({ "id": id })).await.codes(), [code]);
            assert_eq!(session.send(create, input("another")).await.codes(), [code]);
        }

        let delete = "mutation($id: ID!, $slug: String!) {
            tenantDelete(id: $id, slug: $slug) { tenant { status } userErrors { field code } }
        }";
        let mistaken = root.refused(delete, json!({ "id": made["id"], "slug": "acme" })).await;
        assert_eq!(mistaken, [("INVALID".to_owned(), vec!["slug".to_owned()])]);
        assert_eq!(root.mutate(delete, json!({ "id": made["id"], "slug": "globex" })).await["tenant"]["status"], "DELETED");
    }
}
