//! Deals on their way: stages, history, won, lost and reopened.

use chrono::Duration;
use entity::tenant::opportunity::{self, OpportunityStatus};
use rapport::{data::ids, services::sales::opportunity::LOST_REASON};
use sea_orm::ActiveValue::Set;
use serde_json::{Value, json};

use super::{contact, customer, mutation, mutation_of, refusal};
use crate::{on_both_engines, support::Session};

const DEAL: &str = "id title status probability closedAt lostReason stageChangedAt version value { amount currency }
    pipeline { name } stage { id name kind } customer { id } primaryContact { id } owner { id }
    stageChanges { nodes { fromStageName toStageName secondsInStage createdBy { name } } }";

async fn create(session: &Session, input: Value) -> Value {
    let create = mutation("opportunityCreate", "OpportunityCreateInput", "opportunity", DEAL);
    session.mutate(&create, json!({ "input": input })).await["opportunity"].clone()
}

async fn stage(session: &Session, name: &str) -> Value {
    let query = "query($name: String) { pipelineStages(where: { name: { eq: $name } }) { nodes { id } } }";
    session.data(query, json!({ "name": name })).await["pipelineStages"]["nodes"][0]["id"].clone()
}

fn move_stage() -> String {
    let arguments = [("stageId", "ID!"), ("lostReason", "String"), ("probability", "Int"), ("closedAt", "DateTime")];
    mutation_of("opportunityMoveStage", &arguments, "opportunity", DEAL)
}

fn win() -> String {
    mutation_of("opportunityWin", &[("closedAt", "DateTime")], "opportunity", DEAL)
}

fn lose() -> String {
    mutation_of("opportunityLose", &[("lostReason", "String!")], "opportunity", DEAL)
}

fn reopen() -> String {
    mutation_of("opportunityReopen", &[("stageId", "ID")], "opportunity", DEAL)
}

fn update() -> String {
    mutation_of("opportunityUpdate", &[("input", "OpportunityUpdateInput!")], "opportunity", DEAL)
}

on_both_engines! {
    /// A deal begins in the first stage of the default pipeline, with that stage's probability.
    async fn a_deal_begins(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let (deal, raised) = app.raised(&tenant, async || {
            create(&tenant.agent, json!({ "title": "Big", "value": { "amount": "12.34", "currency": "EUR" } })).await
        }).await;
        assert_eq!(raised, ["opportunity.created", "opportunity_stage_change.created"]);
        assert_eq!(deal["stage"]["name"], "Prospecting");
        assert_eq!((&deal["status"], &deal["probability"]), (&json!("OPEN"), &json!(10)));
        assert_eq!(deal["value"], json!({ "amount": "12.34", "currency": "EUR" }));
        assert_eq!(deal["stageChanges"]["nodes"], json!([{
            "fromStageName": null, "toStageName": "Prospecting", "secondsInStage": null,
            "createdBy": { "name": "Ann Agent" },
        }]));
        let proposal = stage(&tenant.agent, "Proposal").await;
        let later = create(&tenant.agent, json!({ "title": "Later", "stageId": proposal, "probability": 55 })).await;
        assert_eq!((&later["stage"]["name"], &later["probability"]), (&json!("Proposal"), &json!(55)));
    }

    /// A move is kept with who, when and for how long the deal had been where it was.
    async fn a_deal_moves(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let deal = create(&tenant.agent, json!({ "title": "Big", "probability": 66 })).await;
        app.clock.advance(Duration::seconds(90));
        let there = json!({ "id": deal["id"], "stageId": stage(&tenant.agent, "Proposal").await });
        let (moved, raised) =
            app.raised(&tenant, async || tenant.agent.mutate(&move_stage(), there.clone()).await).await;
        let moved = &moved["opportunity"];
        assert_eq!(raised, [
            "opportunity.updated", "opportunity_stage_change.created", "opportunity.stage_changed",
        ]);
        assert_eq!((&moved["stage"]["name"], &moved["probability"]), (&json!("Proposal"), &json!(50)));
        let last = &moved["stageChanges"]["nodes"][0];
        assert_eq!((&last["fromStageName"], &last["toStageName"]), (&json!("Prospecting"), &json!("Proposal")));
        let seconds = last["secondsInStage"].as_i64().unwrap();
        assert!((90..120).contains(&seconds), "{seconds}");

        // Where it is already, it stays: nothing is written.
        let (again, raised) = app.raised(&tenant, async || tenant.agent.mutate(&move_stage(), there).await).await;
        assert!(raised.is_empty(), "{raised:?}");
        assert_eq!(again["opportunity"]["version"], moved["version"]);

        let nowhere = json!({ "id": deal["id"], "stageId": "pipeline_stage_00000000000000000000000000" });
        assert_eq!(tenant.agent.refused(&move_stage(), nowhere).await, refusal("NOT_FOUND", "stageId"));
        let wild = json!({ "id": deal["id"], "stageId": stage(&tenant.agent, "Engaging").await, "probability": 101 });
        assert_eq!(tenant.agent.refused(&move_stage(), wild).await, refusal("INVALID", "probability"));
        let unseen = json!({ "id": deal["id"], "stageId": stage(&tenant.agent, "Engaging").await });
        assert_eq!(tenant.colleague.refused(&move_stage(), unseen).await, refusal("NOT_FOUND", "id"));
    }

    /// Winning makes it certain and dated; only reopening opens it again, where it was.
    async fn a_deal_is_won_and_reopened(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let negotiation = stage(&tenant.agent, "Negotiation").await;
        let deal = create(&tenant.agent, json!({ "title": "Big", "stageId": negotiation })).await;
        let id = &deal["id"];
        let (won, raised) = app.raised(&tenant, async || tenant.agent.mutate(&win(), json!({ "id": id })).await).await;
        let won = &won["opportunity"];
        assert_eq!(raised, [
            "opportunity.updated", "opportunity_stage_change.created", "opportunity.stage_changed", "opportunity.won",
        ]);
        assert_eq!((&won["status"], &won["probability"]), (&json!("WON"), &json!(100)));
        assert_eq!((&won["stage"]["kind"], won["closedAt"].is_string()), (&json!("WON"), true));
        let (_, raised) = app.raised(&tenant, async || tenant.agent.mutate(&win(), json!({ "id": id })).await).await;
        assert!(raised.is_empty(), "{raised:?}");

        let back = json!({ "id": id, "stageId": negotiation });
        assert_eq!(tenant.agent.refused(&move_stage(), back).await, refusal("INVALID_STATE", "stageId"));
        let lost = json!({ "id": id, "lostReason": "Price" });
        assert_eq!(tenant.agent.refused(&lose(), lost).await, refusal("INVALID_STATE", "stageId"));
        for (field, value) in [("probability", json!(50)), ("lostReason", json!("Price"))] {
            let mut input = json!({});
            input[field] = value;
            let refused = tenant.agent.refused(&update(), json!({ "id": id, "input": input })).await;
            assert_eq!(refused, refusal("INVALID", &format!("input.{field}")));
        }

        let opened = tenant.agent.mutate(&reopen(), json!({ "id": id })).await["opportunity"].clone();
        assert_eq!((&opened["status"], &opened["stage"]["name"]), (&json!("OPEN"), &json!("Negotiation")));
        assert_eq!((&opened["probability"], &opened["closedAt"]), (&json!(75), &Value::Null));
        assert_eq!(tenant.agent.refused(&reopen(), json!({ "id": id })).await, refusal("INVALID_STATE", "id"));
        assert_eq!(opened["stageChanges"]["nodes"].as_array().unwrap().len(), 3);
    }

    /// A lost deal has a reason; an import of old ones may waive it.
    async fn a_deal_is_lost(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let deal = create(&tenant.agent, json!({ "title": "Big" })).await;
        let id = &deal["id"];
        let blank = json!({ "id": id, "lostReason": " " });
        assert_eq!(tenant.agent.refused(&lose(), blank).await, refusal("BLANK", "lostReason"));
        let there = json!({ "id": id, "stageId": stage(&tenant.agent, "Lost").await });
        assert_eq!(tenant.agent.refused(&move_stage(), there).await, refusal("BLANK", "lostReason"));
        let (lost, raised) = app.raised(&tenant, async || {
            tenant.agent.mutate(&lose(), json!({ "id": id, "lostReason": "Price" })).await
        }).await;
        let lost = &lost["opportunity"];
        assert!(raised.contains(&"opportunity.lost".to_owned()), "{raised:?}");
        assert_eq!((&lost["status"], &lost["probability"]), (&json!("LOST"), &json!(0)));
        assert_eq!(lost["lostReason"], "Price");
        let corrected = json!({ "id": id, "input": { "lostReason": "Too late" } });
        let corrected = tenant.agent.mutate(&update(), corrected).await["opportunity"]["lostReason"].clone();
        assert_eq!(corrected, "Too late");
        let engaging = stage(&tenant.agent, "Engaging").await;
        let opened = tenant.agent.mutate(&reopen(), json!({ "id": id, "stageId": engaging })).await;
        assert_eq!((&opened["opportunity"]["stage"]["name"], &opened["opportunity"]["lostReason"]),
            (&json!("Engaging"), &Value::Null));

        let db = app.system(tenant.id).await;
        let closed_at = app.clock.now() - Duration::days(400);
        let old = async |waive: bool| {
            db.write(async |unit| {
                if waive {
                    unit.waive(LOST_REASON);
                }
                unit.insert::<opportunity::Entity>(opportunity::ActiveModel {
                    title: Set("Old".to_owned()),
                    status: Set(OpportunityStatus::Lost),
                    closed_at: Set(Some(closed_at)),
                    owner_id: Set(ids::decode(&tenant.agent.user_id).unwrap().1),
                    ..Default::default()
                }).await
            }).await
        };
        assert!(old(false).await.is_err());
        let imported = old(true).await.unwrap();
        assert_eq!((imported.status, imported.closed_at), (OpportunityStatus::Lost, Some(closed_at)));
    }

    /// Closing needs a permission of its own, however it is done.
    async fn closing_needs_its_permission(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let deal = create(&tenant.agent, json!({ "title": "Big", "ownerId": tenant.agent.user_id })).await;
        let writer = app.user_with(&tenant, "Wendy Writer", &["opportunities.read", "opportunities.write", "pipelines.read"]).await;
        let won = stage(&tenant.agent, "Won").await;
        for (mutation, variables) in [
            (win(), json!({ "id": deal["id"] })),
            (lose(), json!({ "id": deal["id"], "lostReason": "Price" })),
            (reopen(), json!({ "id": deal["id"] })),
            (move_stage(), json!({ "id": deal["id"], "stageId": won })),
            (update(), json!({ "id": deal["id"], "input": { "stageId": won } })),
        ] {
            let answer = writer.send(&mutation, variables).await;
            assert_eq!(answer.codes(), ["FORBIDDEN"], "{mutation}");
            assert_eq!(answer.body["errors"][0]["extensions"]["requiredPermission"], "opportunities.close");
        }
        let made = mutation("opportunityCreate", "OpportunityCreateInput", "opportunity", "id");
        let made = writer.send(&made, json!({ "input": { "title": "Won at once", "stageId": won } })).await;
        assert_eq!(made.codes(), ["FORBIDDEN"]);
        let only_move = mutation_of("opportunityMoveStage", &[("stageId", "ID!")], "opportunity", "status");
        let engaging = json!({ "id": deal["id"], "stageId": stage(&tenant.agent, "Engaging").await });
        writer.mutate(&only_move, engaging).await;
    }

    /// The primary contact is one of the customer, and brings it along when it comes alone.
    async fn contact_and_customer_belong_together(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let (acme, other) = (customer(&tenant.agent, "Acme").await, customer(&tenant.agent, "Other").await);
        let (ann, bob) = (contact(&tenant.agent, &acme, "Ann").await, contact(&tenant.agent, &other, "Bob").await);
        let deal = create(&tenant.agent, json!({ "title": "Big", "primaryContactId": ann })).await;
        assert_eq!(deal["customer"]["id"], acme);
        let moved = json!({ "id": deal["id"], "input": { "customerId": other } });
        assert_eq!(tenant.agent.refused(&update(), moved).await, refusal("INVALID", "input.primaryContactId"));
        let both = json!({ "id": deal["id"], "input": { "customerId": other, "primaryContactId": bob } });
        let both = tenant.agent.mutate(&update(), both).await["opportunity"].clone();
        assert_eq!((&both["customer"]["id"], &both["primaryContact"]["id"]), (&other, &bob));

        // A contact out of sight is like none at all.
        let theirs = customer(&tenant.colleague, "Theirs").await;
        let carl = contact(&tenant.colleague, &theirs, "Carl").await;
        let create = mutation("opportunityCreate", "OpportunityCreateInput", "opportunity", "id");
        for unseen in [carl, json!("contact_00000000000000000000000000")] {
            let input = json!({ "title": "Big", "customerId": acme, "primaryContactId": unseen });
            let refused = tenant.agent.refused(&create, json!({ "input": input })).await;
            assert_eq!(refused, refusal("NOT_FOUND", "input.primaryContactId"));
        }
        let of_contact = "query($id: ID!) { contact(id: $id) { opportunities { nodes { title } } } }";
        let of_contact = tenant.agent.data(of_contact, json!({ "id": bob })).await;
        assert_eq!(of_contact["contact"]["opportunities"]["nodes"], json!([{ "title": "Big" }]));
    }

    /// A restored deal whose stage is gone goes to one of the same kind.
    async fn a_deal_comes_back(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let engaging = stage(&tenant.manager, "Engaging").await;
        let deal = create(&tenant.manager, json!({ "title": "Big", "stageId": engaging })).await;
        let delete = "mutation($id: ID!) { opportunityDelete(id: $id) { deletedId userErrors { code } } }";
        tenant.manager.mutate(delete, json!({ "id": deal["id"] })).await;
        let gone = "mutation($id: ID!) { pipelineStageDelete(id: $id) { deletedId userErrors { code } } }";
        tenant.manager.mutate(gone, json!({ "id": engaging })).await;
        let restore = mutation_of("opportunityRestore", &[], "opportunity", DEAL);
        let back = tenant.manager.mutate(&restore, json!({ "id": deal["id"] })).await["opportunity"].clone();
        assert_eq!((&back["stage"]["name"], &back["status"]), (&json!("Prospecting"), &json!("OPEN")));
    }
}
