//! Products: the SKU, exact prices and rates.

use serde_json::{Value, json};

use super::{mutation, mutation_of, refusal};
use crate::on_both_engines;

const PRODUCT: &str = "id sku name category isActive taxRate unitPrice { amount currency }";

on_both_engines! {
    /// Money and rates come back digit for digit; what is left out gets its usual value.
    async fn a_product_is_created(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let create = mutation("productCreate", "ProductCreateInput", "product", PRODUCT);
        let product = tenant.manager.mutate(&create, json!({ "input": {
            "sku": " GTX-Pro ", "name": "GTX Pro", "category": "GTX", "taxRate": "7.5",
            "unitPrice": { "amount": "4821", "currency": "USD" },
        } })).await["product"].clone();
        assert_eq!(product["sku"], "GTX-Pro");
        assert_eq!(product["isActive"], true);
        assert_eq!(product["taxRate"], "7.50");
        assert_eq!(product["unitPrice"], json!({ "amount": "4821.00", "currency": "USD" }));

        let taken = tenant.manager.refused(&create, json!({ "input": { "sku": "gtx-PRO", "name": "Copy" } })).await;
        assert_eq!(taken, refusal("TAKEN", "input.sku"));
        for (field, value) in [
            ("taxRate", json!("7.505")), ("taxRate", json!("100.01")), ("taxRate", json!("-1")),
            ("unitPrice", json!({ "amount": "-1", "currency": "USD" })),
            ("unitPrice", json!({ "amount": "1.001", "currency": "USD" })),
        ] {
            let mut input = json!({ "sku": "X", "name": "X" });
            input[field] = value.clone();
            let refused = tenant.manager.refused(&create, json!({ "input": input })).await;
            assert_eq!(refused, refusal("INVALID", &format!("input.{field}")), "{value}");
        }
        assert_eq!(
            tenant.agent.send(&create, json!({ "input": { "sku": "Y", "name": "Y" } })).await.codes(),
            ["FORBIDDEN"],
        );

        let update = mutation_of("productUpdate", &[("input", "ProductUpdateInput!")], "product", PRODUCT);
        let cleared = json!({ "id": product["id"], "input": { "taxRate": null, "isActive": false } });
        let cleared = tenant.manager.mutate(&update, cleared).await["product"].clone();
        assert_eq!((&cleared["taxRate"], &cleared["isActive"]), (&Value::Null, &json!(false)));
    }

    /// Rates and amounts can be filtered and sorted by; everybody in the tenant sees the catalogue.
    async fn products_are_found(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let upsert = "mutation($inputs: [ProductUpsertInput!]!) {
            productBulkUpsert(inputs: $inputs, errorPolicy: REJECT_ALL) { results { product { sku } userErrors { code } } }
        }";
        let inputs: Vec<Value> = [("A", "19"), ("B", "7.25"), ("C", "0"), ("D", "7.3")].into_iter().map(|(sku, rate)| {
            json!({ "externalReference": sku, "input": { "sku": sku, "name": sku, "taxRate": rate } })
        }).collect();
        tenant.manager.data(upsert, json!({ "inputs": inputs })).await;
        let find = "query($where: ProductWhere) {
            products(where: $where, orderBy: [{field: TAX_RATE, direction: DESC}]) { nodes { sku } }
        }";
        let found = async |filter: Value| {
            let found = tenant.agent.data(find, json!({ "where": filter })).await;
            let skus = found["products"]["nodes"].as_array().unwrap();
            skus.iter().map(|product| product["sku"].as_str().unwrap()).collect::<String>()
        };
        assert_eq!(found(json!({})).await, "ADBC");
        assert_eq!(found(json!({ "taxRate": { "gt": "7.25" } })).await, "AD");
        assert_eq!(found(json!({ "taxRate": { "in": ["0", "7.30"] } })).await, "DC");
        assert_eq!(found(json!({ "sku": { "eq": "b" } })).await, "B");
        let wrong = tenant.agent.send(find, json!({ "where": { "taxRate": { "eq": "7.255" } } })).await;
        assert_eq!(wrong.codes(), ["BAD_USER_INPUT"]);

        // Pages by a rate go on where they ended.
        let page = "query($after: String) {
            products(first: 2, after: $after, orderBy: [{field: TAX_RATE}]) { nodes { sku } pageInfo { endCursor } }
        }";
        let first = tenant.agent.data(page, json!({})).await["products"].clone();
        let second = tenant.agent.data(page, json!({ "after": first["pageInfo"]["endCursor"] })).await;
        assert_eq!(first["nodes"], json!([{ "sku": "C" }, { "sku": "B" }]));
        assert_eq!(second["products"]["nodes"], json!([{ "sku": "D" }, { "sku": "A" }]));
    }
}
