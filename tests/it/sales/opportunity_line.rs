//! The lines of deals: exact totals, and the value that they make.

use serde_json::{Value, json};

use super::{mutation, mutation_of, refusal};
use crate::{on_both_engines, support::Session};

const LINE: &str = "id description quantity discountPercent position version
    unitPrice { amount currency } total { amount currency } product { sku } opportunity { value { amount currency } }";

async fn product(session: &Session, sku: &str, price: &str) -> Value {
    let create = mutation("productCreate", "ProductCreateInput", "product", "id");
    let input =
        json!({ "sku": sku, "name": format!("The {sku}"), "unitPrice": { "amount": price, "currency": "EUR" } });
    session.mutate(&create, json!({ "input": input })).await["product"]["id"].clone()
}

fn create() -> String {
    let fields = format!("id version value {{ amount currency }} lines {{ totalCount nodes {{ {LINE} }} }}");
    mutation("opportunityCreate", "OpportunityCreateInput", "opportunity", &fields)
}

fn add() -> String {
    format!(
        "mutation($deal: ID!, $input: OpportunityLineInput!) {{
            opportunityLineAdd(opportunityId: $deal, input: $input) {{
                opportunityLine {{ {LINE} }} userErrors {{ field message code }}
            }}
        }}"
    )
}

fn update() -> String {
    mutation_of("opportunityLineUpdate", &[("input", "OpportunityLineUpdateInput!")], "opportunityLine", LINE)
}

const REMOVE: &str =
    "mutation($id: ID!) { opportunityLineRemove(id: $id) { deletedId userErrors { field message code } } }";

async fn value(session: &Session, deal: &Value) -> Value {
    let query = "query($id: ID!) { opportunity(id: $id) { value { amount currency } } }";
    session.data(query, json!({ "id": deal })).await["opportunity"]["value"].clone()
}

on_both_engines! {
    /// A deal is made with its lines at once; what a line does not say comes from the product.
    async fn a_deal_is_made_with_lines(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let gtx = product(&tenant.manager, "GTX", "3.33").await;
        let (deal, raised) = app.raised(&tenant, async || tenant.agent.mutate(&create(), json!({ "input": {
            "title": "Big", "lines": [
                { "productId": gtx, "quantity": "3", "discountPercent": "10" },
                { "description": "Setup", "unitPrice": { "amount": "100", "currency": "EUR" }, "quantity": "0.125" },
            ],
        } })).await).await;
        let deal = &deal["opportunity"];
        assert_eq!(raised, [
            "opportunity.created", "opportunity_stage_change.created", "opportunity_line.created",
            "opportunity_line.created",
        ]);
        assert_eq!(deal["version"], 1);
        assert_eq!(deal["value"], json!({ "amount": "21.49", "currency": "EUR" }));
        let lines = deal["lines"]["nodes"].as_array().unwrap();
        assert_eq!(lines[0]["description"], "The GTX");
        assert_eq!((&lines[0]["quantity"], &lines[0]["discountPercent"]), (&json!("3.000"), &json!("10.00")));
        assert_eq!(lines[0]["total"]["amount"], "8.99");
        assert_eq!((&lines[1]["total"]["amount"], &lines[1]["product"]), (&json!("12.50"), &Value::Null));
        assert_eq!((&lines[0]["position"], &lines[1]["position"]), (&json!(1), &json!(2)));

        let of_product = "query($id: ID!) { product(id: $id) { opportunityLines { nodes { opportunity { title } } } } }";
        let of_product = tenant.agent.data(of_product, json!({ "id": gtx })).await;
        assert_eq!(of_product["product"]["opportunityLines"]["nodes"], json!([{ "opportunity": { "title": "Big" } }]));
        let unseen = tenant.colleague.data("{ opportunityLines { totalCount } }", json!({})).await;
        assert_eq!(unseen["opportunityLines"]["totalCount"], 0, "a line is as visible as its deal");
    }

    /// The value follows the lines as they come, change and go.
    async fn the_value_follows_the_lines(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let explicit = json!({ "title": "Big", "value": { "amount": "5", "currency": "USD" } });
        let deal = tenant.agent.mutate(&create(), json!({ "input": explicit })).await["opportunity"]["id"].clone();
        let eur = |amount: &str| json!({ "amount": amount, "currency": "EUR" });
        let line = async |price: &str| {
            let input = json!({ "description": "Work", "unitPrice": eur(price) });
            tenant.agent.mutate(&add(), json!({ "deal": deal, "input": input })).await["opportunityLine"].clone()
        };
        let (first, raised) = app.raised(&tenant, async || line("10").await).await;
        assert_eq!(raised, ["opportunity_line.created", "opportunity.updated"]);
        assert_eq!(first["opportunity"]["value"], eur("10.00"), "the sum of the lines takes the place of the old value");
        let second = line("20.5").await;
        assert_eq!((&second["position"], &second["opportunity"]["value"]), (&json!(2), &eur("30.50")));

        let more = json!({ "id": second["id"], "input": { "quantity": "2", "discountPercent": "50" } });
        tenant.agent.mutate(&update(), more).await;
        assert_eq!(value(&tenant.agent, &deal).await, eur("30.50"));
        let dearer = json!({ "id": first["id"], "input": { "unitPrice": eur("11") } });
        let dearer = tenant.agent.mutate(&update(), dearer).await["opportunityLine"].clone();
        assert_eq!(dearer["opportunity"]["value"], eur("31.50"));

        let set = mutation_of("opportunityUpdate", &[("input", "OpportunityUpdateInput!")], "opportunity", "id");
        let refused = tenant.agent.refused(&set, json!({ "id": deal, "input": { "value": eur("1") } })).await;
        assert_eq!(refused, refusal("INVALID_STATE", "input.value"));

        tenant.agent.mutate(REMOVE, json!({ "id": first["id"] })).await;
        assert_eq!(value(&tenant.agent, &deal).await, eur("20.50"));
        tenant.agent.mutate(REMOVE, json!({ "id": second["id"] })).await;
        assert_eq!(value(&tenant.agent, &deal).await, Value::Null);
        tenant.agent.mutate(&set, json!({ "id": deal, "input": { "value": eur("1") } })).await;
        assert_eq!(value(&tenant.agent, &deal).await, eur("1.00"));
    }

    /// Lines that cannot be meant are refused where they stand, and leave nothing behind.
    async fn lines_are_checked(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let gtx = product(&tenant.manager, "GTX", "3.33").await;
        let old = product(&tenant.manager, "Old", "1").await;
        let retire = mutation_of("productUpdate", &[("input", "ProductUpdateInput!")], "product", "id");
        tenant.manager.mutate(&retire, json!({ "id": old, "input": { "isActive": false } })).await;
        let usd = json!({ "amount": "1", "currency": "USD" });
        let eur = json!({ "amount": "1000", "currency": "EUR" });
        for (line, code, field) in [
            (json!({ "productId": gtx, "quantity": "0" }), "INVALID", "quantity"),
            (json!({ "productId": gtx, "quantity": "1.0005" }), "INVALID", "quantity"),
            (json!({ "productId": gtx, "discountPercent": "100.01" }), "INVALID", "discountPercent"),
            (json!({ "productId": gtx, "quantity": "9223372036854775.807", "unitPrice": eur }), "INVALID", "quantity"),
            (json!({ "productId": old }), "INVALID_STATE", "productId"),
            (json!({ "productId": "product_00000000000000000000000000" }), "NOT_FOUND", "productId"),
            (json!({ "description": "Free text" }), "BLANK", "unitPrice"),
            (json!({ "unitPrice": eur }), "BLANK", "description"),
            (json!({ "description": "Dollars", "unitPrice": usd }), "INVALID", "unitPrice"),
        ] {
            let input = json!({ "title": "Big", "lines": [{ "productId": gtx }, line] });
            let refused = tenant.agent.refused(&create(), json!({ "input": input })).await;
            assert_eq!(refused, refusal(code, &format!("input.lines.1.{field}")), "{line}");
        }
        let value_too = json!({ "title": "Big", "lines": [{ "productId": gtx }], "value": usd });
        let refused = tenant.agent.refused(&create(), json!({ "input": value_too })).await;
        assert_eq!(refused, refusal("INVALID", "input.value"));
        let none = tenant.admin.data("{ opportunities { totalCount } opportunityLines { totalCount } }", json!({})).await;
        assert_eq!(none, json!({ "opportunities": { "totalCount": 0 }, "opportunityLines": { "totalCount": 0 } }));

        let nowhere = json!({ "deal": "opportunity_00000000000000000000000000", "input": { "productId": gtx } });
        assert_eq!(tenant.agent.refused(&add(), nowhere).await, refusal("NOT_FOUND", "opportunityId"));
        let deal = tenant.agent.mutate(&create(), json!({ "input": { "title": "Mine" } })).await["opportunity"].clone();
        let theirs = json!({ "deal": deal["id"], "input": { "productId": gtx } });
        assert_eq!(tenant.colleague.refused(&add(), theirs.clone()).await, refusal("NOT_FOUND", "opportunityId"));
        assert_eq!(tenant.viewer.send(&add(), theirs).await.codes(), ["FORBIDDEN"]);
    }

    /// A line that was removed comes back with its part of the value, where the deal still takes it.
    async fn a_line_comes_back(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let eur = |amount: &str| json!({ "amount": amount, "currency": "EUR" });
        let input = json!({ "title": "Big", "lines": [
            { "description": "Work", "unitPrice": eur("10") }, { "description": "More", "unitPrice": eur("5") },
        ] });
        let made = tenant.agent.mutate(&create(), json!({ "input": input })).await["opportunity"].clone();
        let deal = &made["id"];
        let lines = made["lines"]["nodes"].as_array().unwrap();
        for line in lines {
            tenant.agent.mutate(REMOVE, json!({ "id": line["id"] })).await;
        }
        let restore = "mutation($id: ID!) { opportunityLineRestore(id: $id) { opportunityLine { description } \
                       userErrors { field message code } } }";
        let (back, raised) =
            app.raised(&tenant, async || tenant.admin.mutate(restore, json!({ "id": lines[0]["id"] })).await).await;
        assert_eq!(back["opportunityLine"]["description"], "Work");
        assert_eq!(raised, ["opportunity_line.restored", "opportunity.updated"]);
        assert_eq!(value(&tenant.agent, deal).await, eur("10.00"));

        tenant.agent.mutate(REMOVE, json!({ "id": lines[0]["id"] })).await;
        let dollars = json!({ "description": "Abroad", "unitPrice": { "amount": "1", "currency": "USD" } });
        tenant.agent.mutate(&add(), json!({ "deal": deal, "input": dollars })).await;
        let refused = tenant.admin.refused(restore, json!({ "id": lines[1]["id"] })).await;
        assert_eq!(refused, refusal("INVALID_STATE", "id"));
    }

    /// Lines of several deals are written at once; what is wrong with one is told at its place.
    async fn lines_are_written_in_bulk(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let eur = |amount: &str| json!({ "amount": amount, "currency": "EUR" });
        let input = json!({ "title": "Big", "lines": [{ "description": "Work", "unitPrice": eur("10") }] });
        let made = tenant.agent.mutate(&create(), json!({ "input": input })).await["opportunity"].clone();
        let deal = &made["id"];
        let bulk = "mutation($inputs: [OpportunityLineUpsertInput!]!, $policy: BulkErrorPolicy!) {
            opportunityLineBulkUpsert(inputs: $inputs, errorPolicy: $policy) {
                results { index opportunityLine { description total { amount } } userErrors { field code } }
            } }";
        let inputs = json!([
            { "id": made["lines"]["nodes"][0]["id"], "input": { "quantity": "2" } },
            { "input": { "opportunityId": deal, "description": "New", "unitPrice": eur("3") } },
            { "input": { "description": "Homeless", "unitPrice": eur("3") } },
        ]);
        let all = tenant.agent.data(bulk, json!({ "inputs": inputs, "policy": "REJECT_ALL" })).await;
        let written = |answer: &Value| -> Vec<bool> {
            let results = answer["opportunityLineBulkUpsert"]["results"].as_array().unwrap();
            results.iter().map(|result| !result["opportunityLine"].is_null()).collect()
        };
        assert_eq!(written(&all), [false, false, false]);
        assert_eq!(value(&tenant.agent, deal).await, eur("10.00"));
        let some = tenant.agent.data(bulk, json!({ "inputs": inputs, "policy": "REJECT_FAILED" })).await;
        assert_eq!(written(&some), [true, true, false]);
        let refused = &some["opportunityLineBulkUpsert"]["results"][2]["userErrors"];
        assert_eq!(*refused, json!([{ "field": ["input", "opportunityId"], "code": "BLANK" }]));
        assert_eq!(value(&tenant.agent, deal).await, eur("23.00"));
    }
}
