//! Contacts: each customer that has any has exactly one primary contact, whatever is done to them; consent is dated.

use serde_json::{Value, json};

use super::{contact, customer, mutation_of, refusal};
use crate::{on_both_engines, support::Session};

const CONTACT: &str = "id isPrimary marketingConsent marketingConsentAt";

fn update() -> String {
    mutation_of("contactUpdate", &[("input", "ContactUpdateInput!")], "contact", CONTACT)
}

/// The last names of a customer's primary contacts.
async fn primary(session: &Session, customer: &Value) -> Vec<String> {
    let query = "query($id: ID!) { customer(id: $id) {
        contacts(where: { isPrimary: { eq: true } }) { nodes { lastName } }
    } }";
    let found = session.data(query, json!({ "id": customer })).await;
    let nodes = found["customer"]["contacts"]["nodes"].as_array().unwrap();
    nodes.iter().map(|contact| contact["lastName"].as_str().unwrap().to_owned()).collect()
}

on_both_engines! {
    async fn there_is_one_primary_contact(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let agent = &tenant.manager;
        let (acme, other) = (customer(agent, "Acme").await, customer(agent, "Other").await);
        let first = contact(agent, &acme, "First").await;
        assert_eq!(primary(agent, &acme).await, ["First"], "the first becomes it");
        let second = contact(agent, &acme, "Second").await;
        let third = contact(agent, &acme, "Third").await;
        assert_eq!(primary(agent, &acme).await, ["First"]);

        let set = |id: &Value, input: Value| json!({ "id": id, "input": input });
        let (_, raised) = app.raised(&tenant, async || {
            agent.mutate(&update(), set(&second, json!({ "isPrimary": true }))).await
        }).await;
        assert_eq!(primary(agent, &acme).await, ["Second"], "one that is made primary takes the place");
        assert_eq!(raised, ["contact.updated", "contact.updated"]);
        let unset = agent.refused(&update(), set(&second, json!({ "isPrimary": false }))).await;
        assert_eq!(unset, refusal("INVALID_STATE", "input.isPrimary"));

        let delete = "mutation($id: ID!) { contactDelete(id: $id) { deletedId userErrors { code } } }";
        agent.mutate(delete, json!({ "id": second })).await;
        assert_eq!(primary(agent, &acme).await, ["First"], "the oldest of the others succeeds");
        let restore = "mutation($id: ID!) { contactRestore(id: $id) { contact { isPrimary } userErrors { code } } }";
        let back = agent.mutate(restore, json!({ "id": second })).await;
        assert_eq!(back["contact"]["isPrimary"], false, "one that comes back leaves it so");

        agent.mutate(&update(), set(&first, json!({ "customerId": other }))).await;
        assert_eq!(primary(agent, &other).await, ["First"], "the first of its new customer");
        assert_eq!(primary(agent, &acme).await, ["Second"], "and the oldest succeeds where it was");
        agent.mutate(&update(), set(&third, json!({ "customerId": other, "isPrimary": true }))).await;
        assert_eq!(primary(agent, &other).await, ["Third"]);
        agent.mutate(&update(), set(&second, json!({ "customerId": other }))).await;
        assert_eq!((primary(agent, &acme).await.len(), primary(agent, &other).await), (0, vec!["Third".to_owned()]));

        // The last one goes, and comes back.
        let only = contact(agent, &acme, "Only").await;
        agent.mutate(delete, json!({ "id": only })).await;
        assert!(primary(agent, &acme).await.is_empty());
        agent.mutate(restore, json!({ "id": only })).await;
        assert_eq!(primary(agent, &acme).await, ["Only"]);
    }

    /// Many first contacts at the same moment: some may be told to try again, and there is one primary.
    async fn many_first_contacts_at_once(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let acme = customer(&tenant.agent, "Acme").await;
        let create = "mutation($input: ContactCreateInput!) {
            contactCreate(input: $input) { contact { id } userErrors { code field message } }
        }";
        let one = async |name: String| {
            let input = json!({ "input": { "customerId": acme, "lastName": name } });
            tenant.agent.data(create, input).await["contactCreate"].clone()
        };
        let made = futures_util::future::join_all((0..6).map(|number| one(format!("N{number}")))).await;
        for answer in &made {
            assert_eq!(answer["userErrors"], json!([]), "{answer}");
        }
        assert_eq!(primary(&tenant.agent, &acme).await.len(), 1);
    }

    async fn consent_is_dated(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let acme = customer(&tenant.agent, "Acme").await;
        let ann = contact(&tenant.agent, &acme, "Ann").await;
        let set = async |consent: Value| {
            let input = json!({ "id": ann, "input": consent });
            tenant.agent.mutate(&update(), input).await["contact"].clone()
        };
        let never = set(json!({ "lastName": "Anne" })).await;
        assert_eq!((&never["marketingConsent"], &never["marketingConsentAt"]), (&json!(false), &Value::Null));
        let given = set(json!({ "marketingConsent": true })).await["marketingConsentAt"].clone();
        assert!(given.is_string());
        app.clock.advance(chrono::TimeDelta::minutes(5));
        assert_eq!(set(json!({ "marketingConsent": true })).await["marketingConsentAt"], given, "nothing changed");
        let withdrawn = set(json!({ "marketingConsent": false })).await["marketingConsentAt"].clone();
        assert!(withdrawn.as_str() > given.as_str(), "{withdrawn} after {given}");
    }
}
