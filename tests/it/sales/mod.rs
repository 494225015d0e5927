//! Whom the tenant does business with, and what about.

mod activity;
mod contact;
mod customer;
mod interaction;
mod lead;
mod opportunity;
mod opportunity_line;
mod pipeline;
mod product;

use serde_json::{Value, json};

use crate::support::Session;

/// A mutation that writes one record and answers these fields of it.
fn mutation(name: &str, input: &str, record: &str, fields: &str) -> String {
    format!(
        "mutation($input: {input}!) {{ {name}(input: $input) {{
            {record} {{ {fields} }} userErrors {{ field message code }}
        }} }}"
    )
}

/// A mutation of one record by its id, which answers these fields of it.
fn mutation_of(name: &str, arguments: &[(&str, &str)], record: &str, fields: &str) -> String {
    let declared: String = arguments.iter().map(|(name, ty)| format!(", ${name}: {ty}")).collect();
    let given: String = arguments.iter().map(|(name, _)| format!(", {name}: ${name}")).collect();
    format!(
        "mutation($id: ID!{declared}) {{ {name}(id: $id{given}) {{
            {record} {{ {fields} }} userErrors {{ field message code }}
        }} }}"
    )
}

/// Makes a customer and answers its id.
async fn customer(session: &Session, name: &str) -> Value {
    let create = mutation("customerCreate", "CustomerCreateInput", "customer", "id");
    session.mutate(&create, json!({ "input": { "name": name } })).await["customer"]["id"].clone()
}

/// Makes a contact of a customer and answers its id.
async fn contact(session: &Session, customer: &Value, name: &str) -> Value {
    let create = mutation("contactCreate", "ContactCreateInput", "contact", "id");
    let input = json!({ "customerId": customer, "lastName": name });
    session.mutate(&create, json!({ "input": input })).await["contact"]["id"].clone()
}

/// A refusal by code and field.
fn refusal(code: &str, field: &str) -> Vec<(String, Vec<String>)> {
    vec![(code.to_owned(), field.split('.').map(str::to_owned).collect())]
}
