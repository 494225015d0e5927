//! Records by their ids.

use serde_json::{Value, json};

use crate::{on_both_engines, support::Session};

async fn created(session: &Session, record: &str, input: &str) -> Value {
    let field = format!("{}{}", record[..1].to_lowercase(), &record[1..]);
    let create =
        format!("mutation {{ {field}Create(input: {{ {input} }}) {{ {field} {{ id }} userErrors {{ code }} }} }}");
    session.mutate(&create, json!({})).await[&field]["id"].clone()
}

on_both_engines! {
    /// In the order of the ids, one statement for each type, and null for what is not to be seen or not there.
    async fn nodes_of_several_types(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let mut ids = Vec::new();
        for index in 0..5 {
            let customer = created(&tenant.agent, "Customer", &format!("name: \"C{index}\"")).await;
            let contact = created(&tenant.agent, "Contact", &format!("lastName: \"P{index}\", customerId: {customer}")).await;
            ids.extend([customer, contact, created(&tenant.agent, "Ticket", &format!("title: \"T{index}\"")).await]);
        }
        let hidden = created(&tenant.colleague, "Customer", "name: \"Hidden\"").await;
        ids.extend([hidden, json!("customer_00000000000000000000000000"), json!("unicorn_00000000000000000000000000")]);
        let query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id
            ... on Customer { name contacts { totalCount } }
            ... on Contact { lastName customer { name } }
            ... on Ticket { number title }
        } }";
        let answer = tenant.agent.send(query, json!({ "ids": ids })).await;
        assert_eq!(answer.body.get("errors"), None, "{:#}", answer.body);
        assert_eq!(answer.statements, Some(3));
        let nodes = answer.body["data"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 18);
        for (id, node) in ids.iter().zip(nodes).take(15) {
            assert_eq!(&node["id"], id);
        }
        assert_eq!(nodes[3], json!({ "__typename": "Customer", "id": ids[3], "name": "C1", "contacts": { "totalCount": 1 } }));
        assert_eq!(nodes[4]["customer"]["name"], "C1");
        assert_eq!(nodes[5], json!({ "__typename": "Ticket", "id": ids[5], "number": "TKT-000002", "title": "T1" }));
        assert_eq!(nodes[15..], [Value::Null, Value::Null, Value::Null]);
        // An id that is asked for twice is answered twice.
        let twice = tenant.agent.data("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": [ids[0], ids[0]] })).await;
        assert_eq!(twice["nodes"], json!([{ "id": ids[0] }, { "id": ids[0] }]));
    }

    /// One response key may stand for different fields and arguments under different types.
    async fn type_conditions_do_not_mix(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let customer = created(&tenant.admin, "Customer", "name: \"C\"").await;
        let contact = created(&tenant.admin, "Contact", &format!("lastName: \"P\", customerId: {customer}")).await;
        for index in 0..3 {
            created(&tenant.admin, "Ticket", &format!("title: \"T{index}\", contactId: {contact}")).await;
        }
        let query = "query($ids: [ID!]!) { nodes(ids: $ids) {
            ...Asked
            ... on Customer { label: name list: tickets(first: 1, orderBy: [{ field: TITLE }]) { totalCount nodes { title } }
                who: owner { name } }
            ... on Contact { label: lastName list: tickets(first: 2, where: { title: { neq: \"T1\" } },
                orderBy: [{ field: TITLE, direction: DESC }]) { totalCount nodes { title number } } who: customer { id } }
            ... on Node { id }
        } } fragment Asked on Contact { department }";
        let answer = tenant.admin.send(query, json!({ "ids": [customer, contact] })).await;
        assert_eq!(answer.body.get("errors"), None, "{:#}", answer.body);
        assert_eq!(answer.statements, Some(2));
        assert_eq!(answer.body["data"]["nodes"][0], json!({
            "id": customer, "label": "C", "who": { "name": "Ada Admin" },
            "list": { "totalCount": 3, "nodes": [{ "title": "T0" }] },
        }));
        assert_eq!(answer.body["data"]["nodes"][1], json!({
            "department": null, "id": contact, "label": "P", "who": { "id": customer },
            "list": { "totalCount": 2, "nodes": [
                { "title": "T2", "number": "TKT-000003" }, { "title": "T0", "number": "TKT-000001" },
            ] },
        }));
    }

    async fn one_node(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let customer = created(&tenant.agent, "Customer", "name: \"C\"").await;
        let query = "query($id: ID!) { node(id: $id) { id ... on Customer { name contacts(first: 3) { nodes { name } } } } }";
        let answer = tenant.agent.send(query, json!({ "id": customer })).await;
        assert_eq!(answer.body["data"]["node"]["name"], "C");
        assert_eq!(answer.statements, Some(1));
        // Out of sight, in another tenant, of no type that is there, never there: all alike.
        let other = app.tenant("other").await;
        let nowhere = tenant.colleague.send(query, json!({ "id": "customer_00000000000000000000000000" })).await.body;
        for id in [&customer, &json!("unicorn_00000000000000000000000000"), &json!("tenant_00000000000000000000000000")] {
            assert_eq!(tenant.colleague.send(query, json!({ "id": id })).await.body, nowhere);
            if id == &customer {
                assert_eq!(other.admin.send(query, json!({ "id": id })).await.body, nowhere);
            }
        }
        let long: Vec<_> = (0..101).map(|_| customer.clone()).collect();
        for (query, variables) in [
            (query, json!({ "id": "nonsense" })),
            ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": long })),
            ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": ["nonsense"] })),
        ] {
            assert_eq!(tenant.agent.send(query, variables).await.codes(), ["BAD_USER_INPUT"]);
        }
        let anonymous = app.anonymous().send(query, json!({ "id": customer })).await;
        assert_eq!(anonymous.codes(), ["UNAUTHENTICATED"]);
        // A mistake in a part of the selection is told, not hidden behind a null.
        let wrong = "query($id: ID!) { node(id: $id) { ... on Customer { contacts(first: 1000) { nodes { name } } } } }";
        assert_eq!(tenant.agent.send(wrong, json!({ "id": customer })).await.codes(), ["BAD_USER_INPUT"]);
    }
}
