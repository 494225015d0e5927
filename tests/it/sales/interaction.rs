//! Interactions: what happened, and with whom.

use chrono::Duration;
use serde_json::{Value, json};

use super::{customer, mutation, mutation_of, refusal};
use crate::on_both_engines;

const INTERACTION: &str = "id type direction occurredAt durationSeconds subject body relatedToId owner { id }
    relatedTo { ... on Customer { name } }";

on_both_engines! {
    /// What happened is kept with the record that it happened to, the last first.
    async fn an_interaction_is_kept(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let acme = customer(&tenant.agent, "Acme").await;
        let create = mutation("interactionCreate", "InteractionCreateInput", "interaction", INTERACTION);
        let (call, raised) = app.raised(&tenant, async || tenant.agent.mutate(&create, json!({ "input": {
            "type": "CALL", "direction": "INBOUND", "subject": "Asked for a price", "durationSeconds": 90,
            "occurredAt": "2026-01-02T03:04:05.678901Z", "relatedToId": acme,
        } })).await["interaction"].clone()).await;
        assert_eq!(raised, ["interaction.created"]);
        assert_eq!(call["occurredAt"], "2026-01-02T03:04:05.678901+00:00");
        assert_eq!((&call["relatedToId"], &call["relatedTo"]["name"]), (&acme, &json!("Acme")));
        assert_eq!(call["owner"]["id"], tenant.agent.user_id.as_str());
        let note = json!({ "input": { "type": "NOTE", "subject": "Later", "relatedToId": acme } });
        let note = tenant.agent.mutate(&create, note).await["interaction"].clone();
        assert_eq!((&note["direction"], note["occurredAt"].is_string()), (&Value::Null, true));
        let old = json!({ "input": { "type": "EMAIL", "subject": "Old", "occurredAt": "2020-01-01T00:00:00Z",
            "relatedToId": acme } });
        tenant.agent.mutate(&create, old).await;

        let of_customer = "query($id: ID!) { customer(id: $id) { interactions { nodes { subject } } } }";
        let of_customer = tenant.agent.data(of_customer, json!({ "id": acme })).await;
        assert_eq!(of_customer["customer"]["interactions"]["nodes"], json!([
            { "subject": "Later" }, { "subject": "Asked for a price" }, { "subject": "Old" },
        ]));

        let update = mutation_of("interactionUpdate", &[("input", "InteractionUpdateInput!")], "interaction", INTERACTION);
        let corrected = json!({ "id": call["id"], "input": { "body": "12 of them", "relatedToId": null } });
        let corrected = tenant.agent.mutate(&update, corrected).await["interaction"].clone();
        assert_eq!((&corrected["body"], &corrected["relatedToId"]), (&json!("12 of them"), &Value::Null));
    }

    /// It has happened, and took no less than no time.
    async fn an_interaction_is_checked(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let create = mutation("interactionCreate", "InteractionCreateInput", "interaction", "id");
        let later = (app.clock.now() + Duration::hours(1)).to_rfc3339();
        for (field, value) in [("occurredAt", json!(later)), ("durationSeconds", json!(-1))] {
            let mut input = json!({ "type": "CALL", "subject": "X" });
            input[field] = value;
            let refused = tenant.agent.refused(&create, json!({ "input": input })).await;
            assert_eq!(refused, refusal("INVALID", &format!("input.{field}")));
        }
        let unknown = json!({ "input": { "type": "CALL", "subject": "X", "relatedToId": "lead_00000000000000000000000000" } });
        assert_eq!(tenant.agent.refused(&create, unknown).await, refusal("NOT_FOUND", "input.relatedToId"));
        let upsert = "mutation($inputs: [InteractionUpsertInput!]!) {
            interactionBulkUpsert(inputs: $inputs, errorPolicy: REJECT_FAILED) {
                results { interaction { subject } userErrors { code } }
            }
        }";
        let synced = json!([
            { "externalReference": "call-1", "input": { "type": "CALL", "subject": "One" } },
            { "externalReference": "call-1", "input": { "subject": "One again" } },
            { "externalReference": "call-2", "input": { "subject": "No type" } },
        ]);
        let synced = tenant.agent.data(upsert, json!({ "inputs": synced })).await["interactionBulkUpsert"]["results"].clone();
        assert_eq!(synced[1]["interaction"]["subject"], "One again");
        assert_eq!(synced[2], json!({ "interaction": null, "userErrors": [{ "code": "BLANK" }] }));
    }
}
