//! Activities: what is to be done, how it goes on, and what it is about.

use serde_json::{Value, json};

use super::{contact, customer, mutation, mutation_of, refusal};
use crate::{on_both_engines, support::Session};

const ACTIVITY: &str = "id type subject status priority completedAt recurrence attendees relatedToId version";

async fn create(session: &Session, input: Value) -> Value {
    let create = mutation("activityCreate", "ActivityCreateInput", "activity", ACTIVITY);
    session.mutate(&create, json!({ "input": input })).await["activity"].clone()
}

fn update() -> String {
    mutation_of("activityUpdate", &[("input", "ActivityUpdateInput!")], "activity", ACTIVITY)
}

fn complete() -> String {
    mutation_of("activityComplete", &[("completedAt", "DateTime")], "activity", ACTIVITY)
}

on_both_engines! {
    /// A moment that PostgreSQL does not know, and that text does not sort.
    async fn a_year_has_four_digits(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let create = "mutation($at: DateTime) { activityCreate(input: { type: TASK, subject: \"Long ago\", dueAt: $at }) {
            activity { dueAt } userErrors { code field } } }";
        for at in ["-4713-01-01T00:00:00Z", "+12026-01-01T00:00:00Z"] {
            let refused = tenant.agent.refused(create, json!({ "at": at })).await;
            assert_eq!(refused, [("INVALID".to_owned(), vec!["input".to_owned(), "dueAt".to_owned()])], "{at}");
        }
        let kept = tenant.agent.mutate(create, json!({ "at": "0001-01-01T00:00:00Z" })).await;
        assert_eq!(kept["activity"]["dueAt"], "0001-01-01T00:00:00+00:00");
    }

    /// It goes on and never back, and says when it was done.
    async fn an_activity_goes_on(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let task = create(&tenant.agent, json!({ "type": "TASK", "subject": "Write" })).await;
        assert_eq!((&task["status"], &task["priority"]), (&json!("PLANNED"), &json!("NORMAL")));
        let id = &task["id"];
        let set = |status: &str| json!({ "id": id, "input": { "status": status } });
        tenant.agent.mutate(&update(), set("IN_PROGRESS")).await;
        assert_eq!(tenant.agent.refused(&update(), set("PLANNED")).await, refusal("INVALID_STATE", "input.status"));
        let (done, raised) =
            app.raised(&tenant, async || tenant.agent.mutate(&complete(), json!({ "id": id })).await).await;
        assert_eq!(raised, ["activity.updated", "activity.completed"]);
        assert_eq!(done["activity"]["status"], "COMPLETED");
        assert!(done["activity"]["completedAt"].is_string());
        let (again, raised) =
            app.raised(&tenant, async || tenant.agent.mutate(&complete(), json!({ "id": id })).await).await;
        assert!(raised.is_empty(), "{raised:?}");
        assert_eq!(again["activity"]["completedAt"], done["activity"]["completedAt"]);
        for status in ["PLANNED", "IN_PROGRESS", "CANCELLED"] {
            assert_eq!(tenant.agent.refused(&update(), set(status)).await, refusal("INVALID_STATE", "input.status"));
        }

        let cancelled = create(&tenant.agent, json!({ "type": "CALL", "subject": "Ring" })).await;
        let cancel = json!({ "id": cancelled["id"], "input": { "status": "CANCELLED" } });
        tenant.agent.mutate(&update(), cancel).await;
        let refused = tenant.agent.refused(&complete(), json!({ "id": cancelled["id"] })).await;
        assert_eq!(refused, refusal("INVALID_STATE", "status"));
    }

    /// Dates, recurrence and attendees are checked; a list of addresses holds each once.
    async fn an_activity_is_checked(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let meeting = create(&tenant.agent, json!({
            "type": "MEETING", "subject": "Weekly", "recurrence": "rrule:freq=weekly;byday=MO,TH",
            "attendees": ["Ann@ACME.example", " Ann@acme.example ", "bob@acme.example"],
            "startAt": "2026-01-01T09:00:00Z", "dueAt": "2026-01-01T10:00:00Z",
        })).await;
        assert_eq!(meeting["recurrence"], "FREQ=WEEKLY;BYDAY=MO,TH");
        assert_eq!(meeting["attendees"], json!(["Ann@acme.example", "bob@acme.example"]));
        let create = mutation("activityCreate", "ActivityCreateInput", "activity", "id");
        for (field, value, at) in [
            ("recurrence", json!("every monday"), "recurrence"),
            ("recurrence", json!("FREQ=WEEKLY;COUNT=0"), "recurrence"),
            ("attendees", json!(["ann@acme.example", "nobody"]), "attendees.1"),
            ("dueAt", json!("2025-12-31T00:00:00Z"), "dueAt"),
            ("completedAt", json!("2026-01-01T09:00:00Z"), "completedAt"),
        ] {
            let mut input = json!({ "type": "TASK", "subject": "X", "startAt": "2026-01-01T09:00:00Z" });
            input[field] = value.clone();
            let refused = tenant.agent.refused(&create, json!({ "input": input })).await;
            assert_eq!(refused, refusal("INVALID", &format!("input.{at}")), "{value}");
        }
        let early = json!({ "id": meeting["id"], "input": { "dueAt": "2026-01-01T08:00:00Z" } });
        assert_eq!(tenant.agent.refused(&update(), early).await, refusal("INVALID", "input.dueAt"));
        let future = json!({ "id": meeting["id"], "completedAt": "2999-01-01T00:00:00Z" });
        assert_eq!(tenant.agent.refused(&complete(), future).await, refusal("INVALID", "completedAt"));
        let has = "{ activities(where: { attendees: { has: \"bob@acme.example\" } }) { totalCount } }";
        assert_eq!(tenant.agent.data(has, json!({})).await["activities"]["totalCount"], 1);
    }

    /// It is about a record that the actor sees, whatever its type.
    async fn what_it_is_about(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let acme = customer(&tenant.agent, "Acme").await;
        let ann = contact(&tenant.agent, &acme, "Ann").await;
        let deal = mutation("opportunityCreate", "OpportunityCreateInput", "opportunity", "id");
        let deal = tenant.agent.mutate(&deal, json!({ "input": { "title": "Big" } })).await["opportunity"]["id"].clone();
        let lead = mutation("leadCreate", "LeadCreateInput", "lead", "id");
        let lead = tenant.agent.mutate(&lead, json!({ "input": { "lastName": "Li" } })).await["lead"]["id"].clone();
        let ticket = mutation("ticketCreate", "TicketCreateInput", "ticket", "id");
        let ticket = tenant.agent.mutate(&ticket, json!({ "input": { "title": "Broken" } })).await["ticket"]["id"].clone();
        for (subject, about) in [("a", &acme), ("b", &acme), ("c", &ann), ("d", &deal), ("e", &lead), ("f", &ticket)] {
            let made = create(&tenant.agent, json!({ "type": "TASK", "subject": subject, "relatedToId": about })).await;
            assert_eq!(made["relatedToId"], *about);
        }
        create(&tenant.agent, json!({ "type": "TASK", "subject": "g" })).await;

        let list = "{ activities(orderBy: [{field: SUBJECT}]) { nodes { subject relatedTo {
            __typename
            ... on Customer { id label: name activities(first: 1, orderBy: [{field: SUBJECT}]) { nodes { subject } } }
            ... on Contact { id label: lastName activities { totalCount } }
            ... on Opportunity { id label: title }
            ... on Lead { id label: name }
            ... on Ticket { id label: title }
        } } } }";
        let answer = tenant.agent.send(list, json!({})).await;
        assert_eq!(answer.body.get("errors"), None, "{:#}", answer.body);
        let nodes = answer.body["data"]["activities"]["nodes"].clone();
        let found: Vec<String> = nodes.as_array().unwrap().iter().map(|node| {
            let about = &node["relatedTo"];
            format!("{} {} {}", node["subject"].as_str().unwrap(), about["__typename"].as_str().unwrap_or("-"),
                about["label"].as_str().unwrap_or("-"))
        }).collect();
        assert_eq!(found, [
            "a Customer Acme", "b Customer Acme", "c Contact Ann", "d Opportunity Big", "e Lead Li", "f Ticket Broken",
            "g - -",
        ]);
        assert_eq!(nodes[0]["relatedTo"]["activities"]["nodes"], json!([{ "subject": "a" }]));
        assert_eq!(nodes[2]["relatedTo"]["activities"]["totalCount"], 1);
        assert_eq!(answer.statements, Some(6), "the list, and one statement for each type");

        let by = "query($where: ActivityWhere) { activities(where: $where, orderBy: [{field: SUBJECT}]) { nodes { subject } } }";
        let found = async |filter: Value| {
            let found = tenant.agent.data(by, json!({ "where": { "relatedToId": filter } })).await;
            let nodes = found["activities"]["nodes"].as_array().unwrap();
            nodes.iter().map(|node| node["subject"].as_str().unwrap()).collect::<String>()
        };
        assert_eq!(found(json!({ "eq": acme })).await, "ab");
        assert_eq!(found(json!({ "in": [acme, ticket] })).await, "abf");
        assert_eq!(found(json!({ "neq": acme })).await, "cdefg");
        assert_eq!(found(json!({ "notIn": [acme, ann, deal] })).await, "efg");
        assert_eq!(found(json!({ "isNull": true })).await, "g");
        assert_eq!(found(json!({ "isNull": false })).await, "abcdef");

        let of_lead = "query($id: ID!) { lead(id: $id) { activities { nodes { subject } } } }";
        assert_eq!(
            tenant.agent.data(of_lead, json!({ "id": lead })).await["lead"]["activities"]["nodes"],
            json!([{ "subject": "e" }]),
        );
    }

    /// What cannot be seen cannot be named, and is null where others named it.
    async fn what_it_is_about_is_scoped(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let theirs = customer(&tenant.colleague, "Theirs").await;
        let create_it = mutation("activityCreate", "ActivityCreateInput", "activity", "id");
        let about = |id: &Value| json!({ "input": { "type": "TASK", "subject": "X", "relatedToId": id } });
        for unseen in [theirs.clone(), json!("customer_00000000000000000000000000")] {
            let refused = tenant.agent.refused(&create_it, about(&unseen)).await;
            assert_eq!(refused, refusal("NOT_FOUND", "input.relatedToId"));
        }
        let product = json!("product_00000000000000000000000000");
        assert_eq!(tenant.agent.refused(&create_it, about(&product)).await, refusal("INVALID", "input.relatedToId"));
        assert_eq!(tenant.agent.send(&create_it, about(&json!("nonsense"))).await.codes(), ["BAD_USER_INPUT"]);

        let given = json!({ "type": "TASK", "subject": "Given", "relatedToId": theirs, "ownerId": tenant.agent.user_id });
        let given = create(&tenant.manager, given).await;
        let read = "query($id: ID!) { activity(id: $id) { relatedTo { ... on Customer { name } } } }";
        let hidden = tenant.agent.data(read, json!({ "id": given["id"] })).await;
        assert_eq!(hidden["activity"]["relatedTo"], Value::Null);
        let seen = tenant.manager.data(read, json!({ "id": given["id"] })).await;
        assert_eq!(seen["activity"]["relatedTo"]["name"], "Theirs");
        // What it is about may stay as it is, though the actor does not see it.
        let kept = json!({ "id": given["id"], "input": { "subject": "Kept", "relatedToId": theirs } });
        tenant.agent.mutate(&update(), kept).await;

        let blind = app.user_with(&tenant, "Bea Blind", &["activities.read"]).await;
        let denied = blind.send(read, json!({ "id": given["id"] })).await;
        assert_eq!(denied.codes(), ["FORBIDDEN"]);
        assert_eq!(denied.body["errors"][0]["path"], json!(["activity", "relatedTo"]));
        assert_eq!(denied.body["data"]["activity"]["relatedTo"], Value::Null);
    }
}
