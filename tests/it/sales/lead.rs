//! Leads: how far they come, why they do not, and to whom they are given.

use serde_json::{Value, json};

use super::{mutation, mutation_of, refusal};
use crate::{on_both_engines, support::Session};

const LEAD: &str = "id name status disqualifiedReason rating score country owner { id } budget { amount currency }";

async fn create(session: &Session, input: Value) -> Value {
    let create = mutation("leadCreate", "LeadCreateInput", "lead", LEAD);
    session.mutate(&create, json!({ "input": input })).await["lead"].clone()
}

fn update() -> String {
    mutation_of("leadUpdate", &[("input", "LeadUpdateInput!")], "lead", LEAD)
}

fn disqualify() -> String {
    mutation_of("leadDisqualify", &[("reason", "String!")], "lead", LEAD)
}

fn reopen() -> String {
    mutation_of("leadReopen", &[], "lead", LEAD)
}

on_both_engines! {
    /// A lead names a person, a company or what it is about.
    async fn a_lead_is_created(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let lead = create(&tenant.agent, json!({
            "firstName": "Ann", "lastName": "Ångström", "companyName": "Acme", "email": "Ann@ACME.example",
            "country": "Sweden", "rating": "HOT", "score": 100, "budget": { "amount": "1000", "currency": "JPY" },
        })).await;
        assert_eq!((&lead["name"], &lead["status"]), (&json!("Ann Ångström"), &json!("NEW")));
        assert_eq!(lead["budget"], json!({ "amount": "1000", "currency": "JPY" }));
        assert_eq!(lead["owner"]["id"], tenant.agent.user_id.as_str());
        assert_eq!(create(&tenant.agent, json!({ "companyName": "Acme" })).await["name"], "Acme");
        assert_eq!(create(&tenant.agent, json!({ "title": "Asked at the fair" })).await["name"], "Asked at the fair");

        let refuse = mutation("leadCreate", "LeadCreateInput", "lead", "id");
        for (input, code, field) in [
            (json!({ "firstName": "Ann" }), "BLANK", "lastName"),
            (json!({ "lastName": "A", "score": 101 }), "INVALID", "score"),
            (json!({ "lastName": "A", "score": -1 }), "INVALID", "score"),
            (json!({ "lastName": "A", "budget": { "amount": "-1", "currency": "EUR" } }), "INVALID", "budget"),
            (json!({ "lastName": "A", "status": "UNQUALIFIED" }), "BLANK", "disqualifiedReason"),
            (json!({ "lastName": "A", "disqualifiedReason": "Why" }), "INVALID", "disqualifiedReason"),
            (json!({ "lastName": "A", "status": "CONVERTED" }), "INVALID_STATE", "status"),
            (json!({ "lastName": "A", "email": "nobody" }), "INVALID", "email"),
        ] {
            let refused = tenant.agent.refused(&refuse, json!({ "input": input })).await;
            assert_eq!(refused, refusal(code, &format!("input.{field}")), "{input}");
        }
        let nameless = json!({ "id": lead["id"], "input": { "lastName": null, "companyName": null } });
        assert_eq!(tenant.agent.refused(&update(), nameless).await, refusal("BLANK", "input.lastName"));
        let found = "{ leads(where: { lastName: { startsWith: \"ang\" }, score: { gte: 100 } }) { totalCount } }";
        assert_eq!(tenant.agent.data(found, json!({})).await["leads"]["totalCount"], 1);
        assert_eq!(tenant.colleague.data(found, json!({})).await["leads"]["totalCount"], 0);
    }

    /// NEW, CONTACTED, QUALIFIED; out with a reason, and in again by reopening.
    async fn a_lead_goes_on(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let lead = create(&tenant.agent, json!({ "lastName": "Li" })).await;
        let set = |status: &str| json!({ "id": lead["id"], "input": { "status": status } });
        for status in ["CONTACTED", "QUALIFIED"] {
            tenant.agent.mutate(&update(), set(status)).await;
        }
        for status in ["NEW", "CONTACTED", "CONVERTED"] {
            assert_eq!(tenant.agent.refused(&update(), set(status)).await, refusal("INVALID_STATE", "input.status"));
        }
        let unexplained = tenant.agent.refused(&update(), set("UNQUALIFIED")).await;
        assert_eq!(unexplained, refusal("BLANK", "input.disqualifiedReason"));
        let blank = json!({ "id": lead["id"], "reason": " " });
        assert_eq!(tenant.agent.refused(&disqualify(), blank).await, refusal("BLANK", "reason"));
        let (out, raised) = app.raised(&tenant, async || {
            tenant.agent.mutate(&disqualify(), json!({ "id": lead["id"], "reason": "No budget" })).await
        }).await;
        assert_eq!(raised, ["lead.updated", "lead.disqualified"]);
        assert_eq!((&out["lead"]["status"], &out["lead"]["disqualifiedReason"]),
            (&json!("UNQUALIFIED"), &json!("No budget")));
        assert_eq!(tenant.agent.refused(&update(), set("QUALIFIED")).await, refusal("INVALID_STATE", "input.status"));

        let back = tenant.agent.mutate(&reopen(), json!({ "id": lead["id"] })).await["lead"].clone();
        assert_eq!((&back["status"], &back["disqualifiedReason"]), (&json!("NEW"), &Value::Null));
        assert_eq!(tenant.agent.refused(&reopen(), json!({ "id": lead["id"] })).await, refusal("INVALID_STATE", "id"));
    }

    /// Who gets a lead is told.
    async fn a_lead_is_assigned(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let (lead, raised) = app.raised(&tenant, async || create(&tenant.manager, json!({ "lastName": "Li" })).await).await;
        assert_eq!(raised, ["lead.created"]);
        let give = json!({ "id": lead["id"], "input": { "ownerId": tenant.agent.user_id } });
        let (_, raised) = app.raised(&tenant, async || tenant.manager.mutate(&update(), give).await).await;
        assert_eq!(raised, ["lead.updated", "lead.assigned"]);
        let given = json!({ "lastName": "Lo", "ownerId": tenant.agent.user_id });
        let (_, raised) = app.raised(&tenant, async || create(&tenant.manager, given).await).await;
        assert_eq!(raised, ["lead.created", "lead.assigned"]);
        let away = json!({ "id": lead["id"], "input": { "ownerId": tenant.colleague.user_id } });
        assert_eq!(tenant.agent.send(&update(), away).await.codes(), ["FORBIDDEN"]);
    }
}
