//! Pipelines and their stages: one default, a place to win and to lose, and no stage that vanishes under a deal.

use rapport::services::sales::pipeline::seed_default;
use serde_json::{Value, json};

use super::{mutation, mutation_of, refusal};
use crate::{on_both_engines, support::Session};

const PIPELINE: &str = "id name isDefault version stages { nodes { id name position probability kind rotAfterDays } }";

async fn create(session: &Session, input: Value) -> Value {
    let create = mutation("pipelineCreate", "PipelineCreateInput", "pipeline", PIPELINE);
    session.mutate(&create, json!({ "input": input })).await["pipeline"].clone()
}

async fn read(session: &Session, id: &Value) -> Value {
    let query = format!("query($id: ID!) {{ pipeline(id: $id) {{ {PIPELINE} }} }}");
    session.data(&query, json!({ "id": id })).await["pipeline"].clone()
}

async fn default(session: &Session) -> Value {
    let query =
        format!("{{ pipelines(where: {{ isDefault: {{ eq: true }} }}) {{ totalCount nodes {{ {PIPELINE} }} }} }}");
    let pipelines = session.data(&query, json!({})).await["pipelines"].clone();
    assert_eq!(pipelines["totalCount"], 1, "there is exactly one default pipeline");
    pipelines["nodes"][0].clone()
}

/// The stages by name and position.
fn stages(pipeline: &Value) -> Vec<String> {
    let stages = pipeline["stages"]["nodes"].as_array().unwrap();
    stages.iter().map(|stage| format!("{} {}", stage["position"], stage["name"].as_str().unwrap())).collect()
}

fn stage(pipeline: &Value, name: &str) -> Value {
    let stages = pipeline["stages"]["nodes"].as_array().unwrap();
    stages.iter().find(|stage| stage["name"] == name).unwrap()["id"].clone()
}

fn update() -> String {
    mutation_of("pipelineUpdate", &[("input", "PipelineUpdateInput!")], "pipeline", "isDefault")
}

fn stage_update() -> String {
    mutation_of("pipelineStageUpdate", &[("input", "PipelineStageUpdateInput!")], "pipelineStage", "position")
}

fn stage_delete() -> String {
    "mutation($id: ID!, $replacement: ID) {
        pipelineStageDelete(id: $id, replacementId: $replacement) { deletedId userErrors { field message code } }
    }"
    .to_owned()
}

const DELETE: &str = "mutation($id: ID!) { pipelineDelete(id: $id) { deletedId userErrors { field message code } } }";

on_both_engines! {
    /// Every tenant begins with the usual pipeline; seeding it again changes nothing.
    async fn a_tenant_begins_with_the_default_pipeline(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let pipeline = default(&tenant.viewer).await;
        let found: Vec<String> = pipeline["stages"]["nodes"].as_array().unwrap().iter().map(|stage| {
            format!("{} {} {} {}", stage["position"], stage["name"].as_str().unwrap(), stage["probability"],
                stage["kind"].as_str().unwrap())
        }).collect();
        assert_eq!(found, [
            "1 Prospecting 10 OPEN", "2 Engaging 30 OPEN", "3 Proposal 50 OPEN", "4 Negotiation 75 OPEN",
            "5 Won 100 WON", "6 Lost 0 LOST",
        ]);
        let system = app.system(tenant.id).await;
        let (_, raised) = app.raised(&tenant, async || system.write(seed_default).await.unwrap()).await;
        assert!(raised.is_empty(), "{raised:?}");
        assert_eq!(default(&tenant.viewer).await, pipeline);
    }

    /// Making another pipeline the default moves the mark; it can neither be taken away nor deleted.
    async fn exactly_one_is_the_default(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let first = default(&tenant.admin).await;
        let second = create(&tenant.manager, json!({ "name": "Partners" })).await;
        assert_eq!((&second["isDefault"], stages(&second).len()), (&json!(false), 6));
        assert_eq!(default(&tenant.admin).await["id"], first["id"]);

        tenant.manager.mutate(&update(), json!({ "id": second["id"], "input": { "isDefault": true } })).await;
        assert_eq!(default(&tenant.admin).await["id"], second["id"]);
        let unset = json!({ "id": second["id"], "input": { "isDefault": false } });
        assert_eq!(tenant.manager.refused(&update(), unset).await, refusal("INVALID_STATE", "input.isDefault"));
        let delete = json!({ "id": second["id"] });
        assert_eq!(tenant.manager.refused(DELETE, delete.clone()).await, refusal("INVALID_STATE", "id"));

        let third = create(&tenant.manager, json!({ "name": "Renewals", "isDefault": true })).await;
        assert_eq!(default(&tenant.admin).await["id"], third["id"]);
        tenant.manager.mutate(DELETE, delete).await;
        let taken = mutation("pipelineCreate", "PipelineCreateInput", "pipeline", "id");
        let taken = tenant.manager.refused(&taken, json!({ "input": { "name": "RENEWALS" } })).await;
        assert_eq!(taken, refusal("TAKEN", "input.name"));

        let agent = tenant.agent.send(&update(), json!({ "id": first["id"], "input": { "isDefault": true } })).await;
        assert_eq!(agent.codes(), ["FORBIDDEN"]);
    }

    /// A pipeline has OPEN stages and one place each to win and to lose, whatever was asked for.
    async fn a_pipeline_is_complete(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let own = create(&tenant.manager, json!({ "name": "Own", "stages": [
            { "name": "Signed", "kind": "WON" }, { "name": "Talk", "probability": 20, "rotAfterDays": 14 },
            { "name": "Offer", "probability": 60 },
        ] })).await;
        assert_eq!(stages(&own), ["1 Talk", "2 Offer", "3 Signed", "4 Lost"]);
        assert_eq!(own["stages"]["nodes"][0]["rotAfterDays"], 14);
        assert_eq!(own["stages"]["nodes"][2]["probability"], 100);

        let create = mutation("pipelineCreate", "PipelineCreateInput", "pipeline", "id");
        for (stages, expected) in [
            (json!([]), refusal("INVALID", "input.stages")),
            (json!([{ "name": "W", "kind": "WON" }]), refusal("INVALID", "input.stages")),
            (
                json!([{ "name": "A", "probability": 1 }, { "name": "W", "kind": "WON" }, { "name": "V", "kind": "WON" }]),
                refusal("INVALID", "input.stages"),
            ),
            (json!([{ "name": "A", "probability": 101 }]), refusal("INVALID", "input.stages.0.probability")),
            (json!([{ "name": "A" }]), refusal("BLANK", "input.stages.0.probability")),
            (
                json!([{ "name": "A", "probability": 1 }, { "name": "W", "kind": "WON", "probability": 99 }]),
                refusal("INVALID", "input.stages.1.probability"),
            ),
            (json!([{ "name": " ", "probability": 1 }]), refusal("BLANK", "input.stages.0.name")),
        ] {
            let refused = tenant.manager.refused(&create, json!({ "input": { "name": "Bad", "stages": stages } })).await;
            assert_eq!(refused, expected, "{stages}");
        }
        let all = tenant.manager.data("{ pipelines { totalCount } }", json!({})).await;
        assert_eq!(all["pipelines"]["totalCount"], 2, "what was refused left nothing behind");
    }

    /// Stages keep their order without gaps, WON and LOST last.
    async fn stages_keep_their_order(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let pipeline = default(&tenant.manager).await;
        let add = mutation("pipelineStageCreate", "PipelineStageCreateInput", "pipelineStage", "id position kind");
        let demo = json!({ "pipelineId": pipeline["id"], "name": "Demo", "probability": 40, "position": 3 });
        let demo = tenant.manager.mutate(&add, json!({ "input": demo })).await["pipelineStage"].clone();
        assert_eq!((&demo["position"], &demo["kind"]), (&json!(3), &json!("OPEN")));
        let last = json!({ "pipelineId": pipeline["id"], "name": "Legal", "probability": 90, "position": 99 });
        tenant.manager.mutate(&add, json!({ "input": last })).await;
        assert_eq!(stages(&read(&tenant.viewer, &pipeline["id"]).await), [
            "1 Prospecting", "2 Engaging", "3 Demo", "4 Proposal", "5 Negotiation", "6 Legal", "7 Won", "8 Lost",
        ]);

        let first = json!({ "id": stage(&pipeline, "Negotiation"), "input": { "position": 1 } });
        tenant.manager.mutate(&stage_update(), first).await;
        assert_eq!(stages(&read(&tenant.viewer, &pipeline["id"]).await), [
            "1 Negotiation", "2 Prospecting", "3 Engaging", "4 Demo", "5 Proposal", "6 Legal", "7 Won", "8 Lost",
        ]);
        let won = json!({ "id": stage(&pipeline, "Won"), "input": { "position": 1 } });
        assert_eq!(tenant.manager.refused(&stage_update(), won).await, refusal("INVALID", "input.position"));
        let certain = json!({ "id": stage(&pipeline, "Won"), "input": { "probability": 90 } });
        assert_eq!(tenant.manager.refused(&stage_update(), certain).await, refusal("INVALID", "input.probability"));
    }

    /// A stage with deals is replaced, and their history says so; WON, LOST and the last OPEN stage stay.
    async fn a_stage_in_use_is_replaced(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let pipeline = default(&tenant.manager).await;
        let prospecting = stage(&pipeline, "Prospecting");
        let deal = mutation("opportunityCreate", "OpportunityCreateInput", "opportunity", "id");
        let usual = tenant.agent.mutate(&deal, json!({ "input": { "title": "Usual" } })).await["opportunity"]["id"].clone();
        let own = json!({ "input": { "title": "Own chance", "probability": 77 } });
        let own = tenant.agent.mutate(&deal, own).await["opportunity"]["id"].clone();

        let without = tenant.manager.refused(&stage_delete(), json!({ "id": prospecting })).await;
        assert_eq!(without, refusal("INVALID_STATE", "replacementId"));
        let other = create(&tenant.manager, json!({ "name": "Other" })).await;
        for replacement in [stage(&pipeline, "Won"), stage(&other, "Engaging"), prospecting.clone()] {
            let refused = json!({ "id": prospecting, "replacement": replacement });
            assert_eq!(tenant.manager.refused(&stage_delete(), refused).await, refusal("INVALID", "replacementId"));
        }
        assert_eq!(
            tenant.manager.refused(DELETE, json!({ "id": pipeline["id"] })).await,
            refusal("INVALID_STATE", "id"),
        );

        let replace = json!({ "id": prospecting, "replacement": stage(&pipeline, "Proposal") });
        let (_, raised) = app.raised(&tenant, async || tenant.manager.mutate(&stage_delete(), replace).await).await;
        assert_eq!(raised.iter().filter(|event| *event == "opportunity.stage_changed").count(), 2);
        assert!(raised.contains(&"pipeline_stage.deleted".to_owned()));
        assert_eq!(stages(&read(&tenant.viewer, &pipeline["id"]).await), [
            "1 Engaging", "2 Proposal", "3 Negotiation", "4 Won", "5 Lost",
        ]);
        let query = "query($id: ID!) { opportunity(id: $id) { probability stage { name }
            stageChanges(first: 1) { nodes { fromStageName fromStage { name } toStageName createdBy { name } } } } }";
        let moved = tenant.agent.data(query, json!({ "id": usual })).await["opportunity"].clone();
        assert_eq!((&moved["probability"], &moved["stage"]["name"]), (&json!(50), &json!("Proposal")));
        assert_eq!(moved["stageChanges"]["nodes"][0], json!({
            "fromStageName": "Prospecting", "fromStage": null, "toStageName": "Proposal",
            "createdBy": { "name": "Max Manager" },
        }));
        let kept = tenant.agent.data(query, json!({ "id": own })).await["opportunity"]["probability"].clone();
        assert_eq!(kept, 77, "a chance that was set by hand stays");

        for name in ["Won", "Lost"] {
            let refused = tenant.manager.refused(&stage_delete(), json!({ "id": stage(&pipeline, name) })).await;
            assert_eq!(refused, refusal("INVALID_STATE", "id"), "{name}");
        }
        for name in ["Engaging", "Negotiation"] {
            tenant.manager.mutate(&stage_delete(), json!({ "id": stage(&pipeline, name) })).await;
        }
        let last = tenant.manager.refused(&stage_delete(), json!({ "id": stage(&pipeline, "Proposal") })).await;
        assert_eq!(last, refusal("INVALID_STATE", "id"));

        let back = mutation_of("pipelineStageRestore", &[], "pipelineStage", "position");
        tenant.manager.mutate(&back, json!({ "id": prospecting })).await;
        assert_eq!(stages(&read(&tenant.viewer, &pipeline["id"]).await), [
            "1 Prospecting", "2 Proposal", "3 Won", "4 Lost",
        ]);
    }

    /// Stages are added and changed in bulk, and keep their order.
    async fn stages_are_written_in_bulk(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let pipeline = default(&tenant.admin).await;
        let bulk = "mutation($inputs: [PipelineStageUpsertInput!]!) {
            pipelineStageBulkUpsert(inputs: $inputs, errorPolicy: REJECT_FAILED) {
                results { index pipelineStage { name position } userErrors { field code } }
            } }";
        let inputs = json!([
            { "input": { "pipelineId": pipeline["id"], "name": "Trial", "probability": 60, "position": 1 } },
            { "id": stage(&pipeline, "Proposal"), "input": { "name": "Offer" } },
            { "input": { "name": "Nowhere", "probability": 1 } },
        ]);
        let answer = tenant.admin.data(bulk, json!({ "inputs": inputs })).await;
        let results = &answer["pipelineStageBulkUpsert"]["results"];
        assert_eq!(results[0]["pipelineStage"], json!({ "name": "Trial", "position": 1 }));
        assert_eq!(results[1]["pipelineStage"]["name"], "Offer");
        assert_eq!(results[2]["userErrors"], json!([{ "field": ["input", "pipelineId"], "code": "BLANK" }]));
        let after = stages(&read(&tenant.admin, &pipeline["id"]).await);
        assert_eq!(after, ["1 Trial", "2 Prospecting", "3 Engaging", "4 Offer", "5 Negotiation", "6 Won", "7 Lost"]);
    }
}
