//! Customers: the record on which the mechanism was settled, so it is tested through and through.

use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Answer, Session},
};

const CREATE: &str = "mutation($input: CustomerCreateInput!) {
    customerCreate(input: $input) {
        customer { id name type status email phone website tags version annualRevenue { amount currency }
            address { street city } owner { id } createdBy { id } }
        userErrors { field message code }
    }
}";

async fn create(session: &Session, input: Value) -> Value {
    session.mutate(CREATE, json!({ "input": input })).await["customer"].clone()
}

on_both_engines! {
    /// What is written comes back, normalised; defaults are filled in.
    async fn a_customer_is_created(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let customer = create(&tenant.agent, json!({
            "name": "  Ångström GmbH ",
            "email": "Info@ANGSTROM.example",
            "phone": "+49 (221) 123456",
            "website": "https://angstrom.example",
            "annualRevenue": { "amount": "90071992547409.93", "currency": "EUR" },
            "address": { "street": "Domplatz 1", "city": "Köln" },
            "tags": ["VIP", "öko"],
        })).await;
        assert_eq!(customer["name"], "Ångström GmbH");
        assert_eq!(customer["type"], "COMPANY");
        assert_eq!(customer["status"], "PROSPECT");
        assert_eq!(customer["email"], "Info@angstrom.example");
        assert_eq!(customer["phone"], "+49221123456");
        assert_eq!(customer["annualRevenue"], json!({ "amount": "90071992547409.93", "currency": "EUR" }));
        assert_eq!(customer["address"], json!({ "street": "Domplatz 1", "city": "Köln" }));
        assert_eq!(customer["tags"], json!(["VIP", "öko"]));
        assert_eq!(customer["version"], 1);
        assert_eq!(customer["owner"]["id"], tenant.agent.user_id.as_str());
        assert_eq!(customer["createdBy"]["id"], tenant.agent.user_id.as_str());
    }

    /// Everything that a user must mend is told at once, and nothing is written.
    async fn mistakes_are_told_together(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let refused = tenant.agent.refused(CREATE, json!({ "input": {
            "name": "  ", "email": "no address", "phone": "12", "website": "javascript:alert(1)",
            "industry": "x".repeat(101), "source": "a\u{7}b",
        }})).await;
        let mut told: Vec<String> = refused.iter().map(|(code, field)| format!("{code} {}", field.join("."))).collect();
        told.sort();
        assert_eq!(told, [
            "BLANK input.name",
            "INVALID input.email",
            "INVALID input.phone",
            "INVALID input.source",
            "INVALID input.website",
            "TOO_LONG input.industry",
        ]);
        let all = tenant.admin.data("{ customers { totalCount } }", json!({})).await;
        assert_eq!(all["customers"]["totalCount"], 0);
    }

    /// An agent sees what he created or owns; what he does not see, he cannot find out about.
    async fn scope_own(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let mine = create(&tenant.agent, json!({ "name": "Mine" })).await;
        let theirs = create(&tenant.colleague, json!({ "name": "Theirs" })).await;
        let given = create(&tenant.manager, json!({ "name": "Given", "ownerId": tenant.agent.user_id })).await;

        let list = "{ customers(orderBy: [{field: NAME}]) { totalCount nodes { name } } }";
        let own = tenant.agent.data(list, json!({})).await;
        assert_eq!(own["customers"], json!({ "totalCount": 2, "nodes": [{ "name": "Given" }, { "name": "Mine" }] }));
        let all = tenant.viewer.data(list, json!({})).await;
        assert_eq!(all["customers"]["totalCount"], 3);

        let one = "query($id: ID!) { customer(id: $id) { name } }";
        assert_eq!(tenant.agent.data(one, json!({ "id": mine["id"] })).await["customer"]["name"], "Mine");
        assert_eq!(tenant.agent.data(one, json!({ "id": given["id"] })).await["customer"]["name"], "Given");
        // What is foreign and what never existed are answered alike.
        let foreign = tenant.agent.send(one, json!({ "id": theirs["id"] })).await;
        let nowhere = tenant.agent.send(one, json!({ "id": "customer_00000000000000000000000000" })).await;
        assert_eq!(foreign.body["data"], nowhere.body["data"]);
        assert_eq!(foreign.body["errors"], nowhere.body["errors"]);

        let update = "mutation($id: ID!) {
            customerUpdate(id: $id, input: { name: \"Stolen\" }) { customer { name } userErrors { code field message } }
        }";
        let foreign = tenant.agent.data(update, json!({ "id": theirs["id"] })).await;
        let nowhere = tenant.agent.data(update, json!({ "id": "customer_00000000000000000000000000" })).await;
        assert_eq!(foreign, nowhere);
        assert_eq!(foreign["customerUpdate"]["userErrors"][0]["code"], "NOT_FOUND");

        // A filter through a relation tells nothing about rows out of reach.
        let child = create(&tenant.manager, json!({
            "name": "Child", "parentId": theirs["id"], "ownerId": tenant.agent.user_id,
        })).await;
        let by_parent = "{ customers(where: { parent: { name: { eq: \"Theirs\" } } }) { totalCount } }";
        assert_eq!(tenant.agent.data(by_parent, json!({})).await["customers"]["totalCount"], 0);
        assert_eq!(tenant.manager.data(by_parent, json!({})).await["customers"]["totalCount"], 1);
        let parent = "query($id: ID!) { customer(id: $id) { parent { name } } }";
        assert_eq!(tenant.agent.data(parent, json!({ "id": child["id"] })).await["customer"]["parent"], Value::Null);
    }

    /// Nobody sees another tenant's rows, whatever he asks.
    async fn tenants_are_apart(app: TestApp) {
        let (acme, other) = (app.tenant("acme").await, app.tenant("other").await);
        let theirs = create(&other.admin, json!({ "name": "Theirs" })).await;
        let one = "query($id: ID!) { customer(id: $id) { name } }";
        assert_eq!(acme.admin.data(one, json!({ "id": theirs["id"] })).await["customer"], Value::Null);
        let refused = acme.admin.refused(
            CREATE,
            json!({ "input": { "name": "Child", "parentId": theirs["id"] } }),
        ).await;
        assert_eq!(refused, [("NOT_FOUND".to_owned(), vec!["input".to_owned(), "parentId".to_owned()])]);
    }

    /// Without the permission a field is null with FORBIDDEN at its path; the rest of the answer stands.
    async fn permissions(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let customer = create(&tenant.manager, json!({ "name": "One" })).await;
        let answer = tenant.viewer.send(
            "mutation($id: ID!) { customerUpdate(id: $id, input: { name: \"Two\" }) { customer { name } } }",
            json!({ "id": customer["id"] }),
        ).await;
        assert_eq!(answer.codes(), ["FORBIDDEN"]);
        assert_eq!(answer.body["errors"][0]["extensions"]["requiredPermission"], "customers.write");
        assert_eq!(answer.body["data"]["customerUpdate"], Value::Null);

        let refused = tenant.agent.send(CREATE, json!({ "input": { "name": "X", "ownerId": tenant.colleague.user_id } })).await;
        assert_eq!(refused.codes(), ["FORBIDDEN"]);
        assert_eq!(refused.body["errors"][0]["extensions"]["requiredPermission"], "customers.assign");

        let anonymous = app.anonymous().send("{ customers { totalCount } }", json!({})).await;
        assert_eq!(anonymous.codes(), ["UNAUTHENTICATED"]);
    }

    /// Absent leaves, null clears, a value sets; a stale version names what others changed.
    async fn partial_and_lost_updates(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let customer = create(&tenant.agent, json!({ "name": "One", "industry": "Öl", "source": "fair" })).await;
        let update = "mutation($id: ID!, $input: CustomerUpdateInput!, $version: Int) {
            customerUpdate(id: $id, input: $input, expectedVersion: $version) {
                customer { name industry source version } userErrors { code field message }
            }
        }";
        let changed = tenant.agent.mutate(update, json!({
            "id": customer["id"], "version": 1, "input": { "industry": null, "source": "web" },
        })).await;
        assert_eq!(changed["customer"], json!({ "name": "One", "industry": null, "source": "web", "version": 2 }));
        let stale = tenant.agent.data(update, json!({
            "id": customer["id"], "version": 1, "input": { "name": "Two" },
        })).await;
        let error = &stale["customerUpdate"]["userErrors"][0];
        assert_eq!(error["code"], "STALE_VERSION");
        assert_eq!(error["message"], "this customer is at version 2, not 1; changed since: industry, source");
        // Nothing to change is no change: no version, no event.
        let same = tenant.agent.mutate(update, json!({ "id": customer["id"], "input": { "name": "One" } })).await;
        assert_eq!(same["customer"]["version"], 2);
    }

    async fn deletion_and_restoration(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let customer = create(&tenant.manager, json!({ "name": "One" })).await;
        let id = json!({ "id": customer["id"] });
        let delete = "mutation($id: ID!) { customerDelete(id: $id) { deletedId userErrors { code } } }";
        let deleted = tenant.manager.mutate(delete, id.clone()).await;
        assert_eq!(deleted["deletedId"], customer["id"]);
        let one = "query($id: ID!) { customer(id: $id) { name version } }";
        assert_eq!(tenant.manager.data(one, id.clone()).await["customer"], Value::Null);
        assert_eq!(tenant.manager.refused(delete, id.clone()).await[0].0, "NOT_FOUND");
        let restore = "mutation($id: ID!) { customerRestore(id: $id) { customer { version } userErrors { code } } }";
        assert_eq!(tenant.manager.mutate(restore, id.clone()).await["customer"]["version"], 3);
        assert_eq!(tenant.manager.data(one, id).await["customer"]["name"], "One");
    }

    /// Filters compare without regard to case and accents, and mean the same on both engines.
    async fn filters(app: TestApp) {
        let tenant = app.tenant("acme").await;
        for (name, industry, count, tags) in [
            ("Ångström", Some("Öl & Gas"), Some(10), json!(["VIP"])),
            ("Zoë's Café", None, Some(20), json!([])),
            ("100%_sure", Some("Bank"), None, json!(["vip", "new"])),
        ] {
            create(&tenant.admin, json!({
                "name": name, "industry": industry, "employeeCount": count, "tags": tags,
                "annualRevenue": count.map(|count| json!({ "amount": count.to_string(), "currency": "EUR" })),
            })).await;
        }
        let cases: &[(&str, usize)] = &[
            (r#"{ name: { eq: "ANGSTROM" } }"#, 1),
            (r#"{ name: { neq: "angström" } }"#, 2),
            (r#"{ name: { contains: "%_" } }"#, 1),
            (r#"{ name: { contains: "%s" } }"#, 0),
            (r#"{ name: { startsWith: "zoe" } }"#, 1),
            (r#"{ name: { endsWith: "CAFE" } }"#, 1),
            (r#"{ name: { in: ["Zoe's cafe", "angstrom"] } }"#, 2),
            (r#"{ name: { in: [] } }"#, 0),
            (r#"{ name: { notIn: [] } }"#, 3),
            (r#"{ industry: { isNull: true } }"#, 1),
            (r#"{ industry: { neq: "bank" } }"#, 2),
            (r#"{ industry: { notContains: "öl" } }"#, 2),
            (r#"{ not: { industry: { eq: "bank" } } }"#, 2),
            (r#"{ not: { employeeCount: { gt: 15 } } }"#, 2),
            (r#"{ or: [{ employeeCount: { lte: 10 } }, { name: { startsWith: "1" } }] }"#, 2),
            (r#"{ and: [{ employeeCount: { gte: 10 } }, { employeeCount: { lt: 20 } }] }"#, 1),
            (r#"{ tags: { has: "Vip" } }"#, 2),
            (r#"{ tags: { hasNot: "new" } }"#, 2),
            (r#"{ tags: { isNull: true } }"#, 1),
            (r#"{ annualRevenue: { gte: { amount: "20", currency: "EUR" } } }"#, 1),
            (r#"{ annualRevenue: { gte: { amount: "1", currency: "USD" } } }"#, 0),
            (r#"{ type: { in: [COMPANY] }, status: { eq: PROSPECT } }"#, 3),
            (r#"{ owner: { name: { startsWith: "ada" } } }"#, 3),
            (r#"{ parent: { isNull: true } }"#, 3),
            (r#"{ contacts: { none: {} } }"#, 3),
            (r#"{ contacts: { every: { lastName: { eq: "x" } } } }"#, 3),
            (r#"{ contacts: { some: {} } }"#, 0),
        ];
        for (filter, expected) in cases {
            assert_eq!(counted(&tenant.admin, filter).await, *expected, "{filter}");
        }
    }

    /// Pages forward and backward hold each row once, in order, also where the sort value is missing or alike.
    async fn pages(app: TestApp) {
        let tenant = app.tenant("acme").await;
        for (index, industry) in [Some("b"), None, Some("a"), Some("b"), None, Some("c"), Some("a")].iter().enumerate() {
            create(&tenant.admin, json!({ "name": format!("C{index}"), "industry": industry })).await;
        }
        for order in [
            "[{field: NAME}]",
            "[{field: NAME, direction: DESC}]",
            "[{field: INDUSTRY}]",
            "[{field: INDUSTRY, direction: DESC}]",
            "[{field: INDUSTRY, direction: DESC}, {field: NAME}]",
            "[{field: CREATED_AT}]",
        ] {
            let page = async |arguments: String| {
                let query = format!(
                    "{{ customers({arguments}, orderBy: {order}) {{ edges {{ cursor node {{ name industry }} }}
                        pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
                );
                tenant.admin.data(&query, json!({})).await["customers"].clone()
            };
            let whole = page("first: 100".to_owned()).await;
            let whole: Vec<Value> = whole["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect();
            assert_eq!(whole.len(), 7);
            if order.contains("INDUSTRY") {
                assert!(whole[5]["industry"].is_null() && whole[6]["industry"].is_null(), "missing values come last");
            }

            let (mut forward, mut after) = (Vec::new(), String::new());
            loop {
                let found = page(format!("first: 2{after}")).await;
                forward.extend(found["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()));
                if found["pageInfo"]["hasNextPage"] == json!(false) {
                    break;
                }
                after = format!(", after: {}", found["pageInfo"]["endCursor"]);
            }
            assert_eq!(forward, whole, "{order}");

            let (mut backward, mut before) = (Vec::new(), String::new());
            loop {
                let found = page(format!("last: 2{before}")).await;
                let nodes = found["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone());
                backward.splice(0..0, nodes);
                if found["pageInfo"]["hasPreviousPage"] == json!(false) {
                    break;
                }
                before = format!(", before: {}", found["pageInfo"]["startCursor"]);
            }
            assert_eq!(backward, whole, "{order}");
        }
    }

    /// What cannot be meant is told as such, with a code, and never as a fault of ours.
    async fn bad_arguments(app: TestApp) {
        let tenant = app.tenant("acme").await;
        for query in [
            "{ customers(first: 101) { totalCount } }",
            "{ customers(first: -1) { totalCount } }",
            "{ customers(first: 1, last: 1) { totalCount } }",
            "{ customers(last: 1, after: \"x\") { totalCount } }",
            "{ customers(after: \"not a cursor\") { totalCount } }",
            "{ customers(after: \"WyIrbmFtZSJd\") { nodes { name } } }",
            "{ customer(id: \"contact_00000000000000000000000000\") { name } }",
            "{ customer(id: \"nonsense\") { name } }",
            "{ customers(where: { id: { eq: \"user_00000000000000000000000000\" } }) { totalCount } }",
            "{ customers(where: { name: { eq: null } }) { totalCount } }",
            "{ customers(where: { createdAt: { gt: \"yesterday\" } }) { totalCount } }",
            "{ customers(where: { name: { eq: \"\\u0000\" } }) { totalCount } }",
        ] {
            let answer = tenant.admin.send(query, json!({})).await;
            assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{query} {:#}", answer.body);
        }
    }

    /// One statement, whatever is asked for and however much there is.
    async fn one_statement(app: TestApp) {
        let tenant = app.tenant("acme").await;
        for index in 0..5 {
            let customer = create(&tenant.admin, json!({ "name": format!("C{index}") })).await;
            for _ in 0..3 {
                tenant.admin.mutate(
                    "mutation($id: ID!) { contactCreate(input: { customerId: $id, lastName: \"X\" }) { userErrors { code } } }",
                    json!({ "id": customer["id"] }),
                ).await;
            }
        }
        let answer = tenant.admin.send(
            "{ customers(first: 5) { totalCount nodes { name owner { name manager { name } }
                a: contacts(first: 1) { nodes { name customer { name } } }
                b: contacts(last: 2, where: { isPrimary: { eq: false } }) { totalCount edges { cursor node { name } } }
                opportunities { totalCount } activities { nodes { subject } } } } }",
            json!({}),
        ).await;
        assert_eq!(answer.statements, Some(1), "{:#}", answer.body);
        assert_eq!(answer.body["data"]["customers"]["nodes"][0]["b"]["totalCount"], 2);
    }

    /// Creates and changes by reference or id; the policy decides what becomes of the others when one is refused.
    async fn bulk_upsert(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let upsert = "mutation($inputs: [CustomerUpsertInput!]!, $policy: BulkErrorPolicy!) {
            customerBulkUpsert(inputs: $inputs, errorPolicy: $policy) {
                results { index customer { name externalReference version } userErrors { field code } }
            }
        }";
        let inputs = json!([
            { "externalReference": "a", "input": { "name": "A" } },
            { "externalReference": "b", "input": {} },
            { "externalReference": "a", "input": { "name": "A2" } },
        ]);
        let all = tenant.agent.data(upsert, json!({ "inputs": inputs, "policy": "REJECT_ALL" })).await;
        assert_eq!(all["customerBulkUpsert"]["results"][0]["customer"], Value::Null);
        let count = "{ customers { totalCount } }";
        assert_eq!(tenant.agent.data(count, json!({})).await["customers"]["totalCount"], 0);
        let failed = tenant.agent.data(upsert, json!({ "inputs": inputs, "policy": "REJECT_FAILED" })).await;
        let results = &failed["customerBulkUpsert"]["results"];
        assert_eq!(results[1]["userErrors"], json!([{ "field": ["input", "name"], "code": "BLANK" }]));
        assert_eq!(results[2]["customer"], json!({ "name": "A2", "externalReference": "a", "version": 2 }));
        assert_eq!(tenant.agent.data(count, json!({})).await["customers"]["totalCount"], 1);
    }

    /// An operation that is sent twice under one key happens once.
    async fn idempotency(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let key = [("Idempotency-Key", "order-17")];
        let input = json!({ "input": { "name": "Once" } });
        let first = tenant.agent.send_with(CREATE, input.clone(), &key).await;
        let again = tenant.agent.send_with(CREATE, input.clone(), &key).await;
        assert_eq!(first.body["data"], again.body["data"]);
        assert_eq!(tenant.agent.data("{ customers { totalCount } }", json!({})).await["customers"]["totalCount"], 1);
        let other = tenant.agent.send_with(CREATE, json!({ "input": { "name": "Other" } }), &key).await;
        assert_eq!(other.codes(), ["IDEMPOTENCY_KEY_REUSED"]);
        // Another actor's keys are other keys.
        let colleague = tenant.colleague.send_with(CREATE, input.clone(), &key).await;
        assert_ne!(colleague.body["data"], first.body["data"]);
        // A refusal is remembered as well.
        let bad = json!({ "input": { "name": " " } });
        let refused = tenant.agent.send_with(CREATE, bad.clone(), &[("Idempotency-Key", "bad")]).await;
        let again = tenant.agent.send_with(CREATE, bad, &[("Idempotency-Key", "bad")]).await;
        assert_eq!(refused.body["data"], again.body["data"]);
    }

    async fn the_hierarchy_has_no_cycles(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let top = create(&tenant.admin, json!({ "name": "Top" })).await;
        let middle = create(&tenant.admin, json!({ "name": "Middle", "parentId": top["id"] })).await;
        let bottom = create(&tenant.admin, json!({ "name": "Bottom", "parentId": middle["id"] })).await;
        let update = "mutation($id: ID!, $parent: ID) {
            customerUpdate(id: $id, input: { parentId: $parent }) { customer { parent { name } } userErrors { code field } }
        }";
        for (id, parent) in [(&top, &bottom), (&top, &top), (&middle, &bottom)] {
            let refused = tenant.admin.refused(update, json!({ "id": id["id"], "parent": parent["id"] })).await;
            assert_eq!(refused, [("INVALID".to_owned(), vec!["input".to_owned(), "parentId".to_owned()])]);
        }
        let moved = tenant.admin.mutate(update, json!({ "id": bottom["id"], "parent": top["id"] })).await;
        assert_eq!(moved["customer"]["parent"]["name"], "Top");

        // While one is deleted, what stood above it is put below what stood below it.
        let id = |of: &Value| json!({ "id": of["id"] });
        let delete = "mutation($id: ID!) { customerDelete(id: $id) { deletedId userErrors { code } } }";
        let restore = "mutation($id: ID!) { customerRestore(id: $id) { customer { id } userErrors { code field } } }";
        tenant.admin.mutate(update, json!({ "id": bottom["id"], "parent": middle["id"] })).await;
        tenant.admin.mutate(delete, id(&middle)).await;
        tenant.admin.mutate(update, json!({ "id": top["id"], "parent": bottom["id"] })).await;
        let refused = tenant.admin.refused(restore, id(&middle)).await;
        assert_eq!(refused, [("INVALID_STATE".to_owned(), vec!["id".to_owned()])]);
        tenant.admin.mutate(update, json!({ "id": top["id"], "parent": null })).await;
        tenant.admin.mutate(restore, id(&middle)).await;
    }

    /// Two that are put below each other at the same moment: one of them is refused, or told to try
    /// again where the two waited for each other.
    async fn two_at_once_make_no_cycle(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let update = "mutation($id: ID!, $parent: ID) {
            customerUpdate(id: $id, input: { parentId: $parent }) { userErrors { code } }
        }";
        let manage = "mutation($id: ID!, $manager: ID) {
            userUpdate(id: $id, input: { managerId: $manager }) { userErrors { code } }
        }";
        let refused = |mutation: &str, answers: &[Answer]| {
            let done = |answer: &&Answer| {
                assert!(answer.codes().iter().all(|code| *code == "CONFLICT"), "{:#}", answer.body);
                answer.body["data"][mutation]["userErrors"] == json!([])
            };
            answers.len() - answers.iter().filter(done).count()
        };
        for round in 0..8 {
            let a = create(&tenant.admin, json!({ "name": format!("A {round}") })).await;
            let b = create(&tenant.admin, json!({ "name": format!("B {round}") })).await;
            let (first, second) = tokio::join!(
                tenant.admin.send(update, json!({ "id": a["id"], "parent": b["id"] })),
                tenant.admin.send(update, json!({ "id": b["id"], "parent": a["id"] })),
            );
            assert_eq!(refused("customerUpdate", &[first, second]), 1, "customers, round {round}");
            let (a, b) = (&tenant.agent.user_id, &tenant.colleague.user_id);
            for user in [a, b] {
                tenant.admin.data(manage, json!({ "id": user, "manager": null })).await;
            }
            let (first, second) = tokio::join!(
                tenant.admin.send(manage, json!({ "id": a, "manager": b })),
                tenant.admin.send(manage, json!({ "id": b, "manager": a })),
            );
            assert_eq!(refused("userUpdate", &[first, second]), 1, "users, round {round}");
        }
    }

    /// Every text compares alike on both engines: what people write whatever its case and accents, the rest to the letter.
    async fn text_compares_alike_on_both_engines(app: TestApp) {
        let tenant = app.tenant("acme").await;
        create(&tenant.admin, json!({
            "name": "One", "website": "https://ACME.example/Team", "externalReference": "Ref-1ä",
            "address": { "street": "Große Straße 1", "region": "Île-de-France" },
        })).await;
        let count = async |filter: Value| {
            let query = "query($w: CustomerWhere) { customers(where: $w) { totalCount } }";
            tenant.admin.data(query, json!({ "w": filter })).await["customers"]["totalCount"].as_i64().unwrap()
        };
        for (filter, expected) in [
            (json!({ "website": { "contains": "acme.EXAMPLE/TEAM" } }), 1),
            (json!({ "addressStreet": { "startsWith": "grosse" } }), 1),
            (json!({ "addressRegion": { "eq": "ile-de-france" } }), 1),
            (json!({ "addressRegion": { "endsWith": "FRANCE" } }), 1),
            (json!({ "addressRegion": { "notContains": "FRANCE" } }), 0),
            (json!({ "externalReference": { "eq": "Ref-1ä" } }), 1),
            (json!({ "externalReference": { "eq": "ref-1ä" } }), 0),
            (json!({ "externalReference": { "contains": "ef-" } }), 1),
            (json!({ "externalReference": { "contains": "EF-" } }), 0),
            (json!({ "externalReference": { "contains": "%" } }), 0),
            (json!({ "externalReference": { "notContains": "EF-" } }), 1),
            (json!({ "externalReference": { "notContains": "ef-" } }), 0),
            (json!({ "externalReference": { "startsWith": "Ref" } }), 1),
            (json!({ "externalReference": { "startsWith": "ref" } }), 0),
            (json!({ "externalReference": { "endsWith": "1ä" } }), 1),
            (json!({ "externalReference": { "endsWith": "1Ä" } }), 0),
            (json!({ "externalReference": { "endsWith": "" } }), 1),
            (json!({ "externalReference": { "endsWith": "a longer text than there is" } }), 0),
            (json!({ "phone": { "notContains": "1" } }), 1),
            (json!({ "not": { "phone": { "contains": "1" } } }), 1),
        ] {
            assert_eq!(count(filter.clone()).await, expected, "{filter}");
        }
    }

    /// Each mutation of a document is a step under its key, and what is remembered is forgotten after a day.
    async fn idempotency_by_steps_and_for_a_day(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let two = "mutation {
            a: customerCreate(input: { name: \"A\" }) { customer { id } userErrors { code } }
            b: customerCreate(input: { name: \"B\" }) { customer { id } userErrors { code } }
        }";
        let key = [("Idempotency-Key", "two-steps")];
        let first = tenant.admin.send_with(two, json!({}), &key).await;
        let again = tenant.admin.send_with(two, json!({}), &key).await;
        assert_eq!(first.body["data"], again.body["data"]);
        assert_ne!(first.body["data"]["a"]["customer"]["id"], first.body["data"]["b"]["customer"]["id"]);
        let count = async |session: &Session| session.data("{ customers { totalCount } }", json!({})).await["customers"]["totalCount"].clone();
        assert_eq!(count(&tenant.admin).await, 2);
        app.clock.advance(chrono::TimeDelta::hours(24) + chrono::TimeDelta::seconds(1));
        let admin = app.login("admin@acme.example", "acme").await;
        let anew = admin.send_with(two, json!({}), &key).await;
        assert_ne!(first.body["data"], anew.body["data"]);
        assert_eq!(count(&admin).await, 4);
    }
}

async fn counted(session: &Session, filter: &str) -> usize {
    let query = format!("{{ customers(where: {filter}) {{ totalCount nodes {{ name }} }} }}");
    let data = session.data(&query, json!({})).await;
    let nodes = data["customers"]["nodes"].as_array().unwrap().len();
    assert_eq!(data["customers"]["totalCount"], nodes, "{filter}");
    nodes
}
