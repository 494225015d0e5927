//! What one may not see does not exist: another tenant's records, and with DataScope OWN a colleague's.
//!
//! Two kinds of test. The id of a hidden record is put wherever the schema takes an id, and the answer must be the one
//! that an id gets which never existed. And everything that can be asked is asked before and after records are made that
//! the asker may not see: not a byte of the answers may change, so neither lists nor counts nor sums nor filters on
//! relations tell of them. The questions are made from the schema; what cannot be asked that way is in the tables below,
//! and a root that fits nowhere fails.

use std::collections::BTreeMap;

use entity::record::{RecordMeta, Scope};
use rapport::{
    auth::{DataScope, permission::Permission},
    graphql::node::record_types,
};
use serde_json::{Map, Value, json};

use super::{
    surface::{Kind, Place, Relation, Root, Surface, Values, pascal},
    world::{self, Ids},
};
use crate::{
    on_both_engines,
    support::{Session, TestApp, TestTenant},
};

/// Queries that answer no records of a tenant, with the reason.
const WITHOUT_RECORDS: &[(&str, &str)] = &[
    ("_service", "the text of the schema"),
    ("me", "the caller alone"),
    ("emailTemplatePreview", "what was sent, filled with made-up values"),
    ("emailTemplates", "texts of the tenant, each by its name: tests/it/automation/email.rs"),
    ("notificationPreferences", "of the caller alone: tests/it/automation/notification.rs"),
    ("notificationUnreadCount", "of the caller alone: tests/it/automation/notification.rs"),
    ("permissions", "the same list for everybody"),
    ("tenant", "for platform administrators, who belong to no tenant; see the permission matrix"),
    ("webhookEventTypes", "the same list for everybody who may read webhooks"),
    ("tenants", "for platform administrators, who belong to no tenant; see the permission matrix"),
    ("recurringJobs", "for platform administrators, who belong to no tenant; see the permission matrix"),
    ("jobs", "for platform administrators, who belong to no tenant; see the permission matrix"),
    ("jobThroughput", "for platform administrators, who belong to no tenant; see the permission matrix"),
    ("workQueues", "for platform administrators, who belong to no tenant; see the permission matrix"),
];

/// Subscriptions, with the test that holds them to the same rules.
const SUBSCRIPTIONS: &[(&str, &str)] = &[
    ("recordChanged", "tests/it/policy/live.rs, subscribers_hear_what_they_may_see"),
    ("jobProgress", "for platform administrators, who belong to no tenant; see the permission matrix"),
    ("notificationReceived", "tests/it/automation/notification.rs, who_is_given_a_record_hears_of_it_at_once"),
];

/// Mutations that take an id which is not a record of the caller's tenant, with the reason.
const OTHER_IDS: &[(&str, &str)] = &[
    ("tenantSuspend", "of a tenant, for platform administrators: tests/it/identity/api.rs"),
    ("tenantResume", "of a tenant, for platform administrators: tests/it/identity/api.rs"),
    ("tenantDelete", "of a tenant, for platform administrators: tests/it/identity/api.rs"),
    ("jobRetry", "of a job, for platform administrators: tests/it/automation/jobs_api.rs"),
];

/// Filters that compare an id which the row itself holds and shows, whether or not the record behind it is seen.
const OWN_COLUMNS: &[(&str, &str)] = &[
    ("relatedToId", "whoever sees an activity or an interaction sees the id of what it is about"),
    ("recordId", "whoever may read the audit log sees which records its entries are about"),
];

/// Places at which a hidden id is refused before anybody looks for it, with the reason.
const REFUSED_BEFORE: &[(&str, &str, &str)] = &[
    ("opportunityUpdate", "customerId", "the contact that the input names as well is not of that customer"),
    ("ticketUpdate", "customerId", "the contact that the input names as well is not of that customer"),
    ("opportunityLineUpdate", "opportunityId", "a line stays with its deal"),
    ("pipelineStageUpdate", "pipelineId", "a stage stays in its pipeline"),
    ("ticketCommentUpdate", "ticketId", "a comment stays with its ticket"),
    ("ticketCommentUpdate", "contactId", "a comment keeps its author"),
];

on_both_engines! {
    /// What happens in another tenant changes nothing that an administrator can ask.
    async fn another_tenants_records_change_no_answer(app: TestApp) {
        let surface = Surface::read();
        let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
        let first = world::plant(&surface, &tenant.admin, &tenant.admin, "OWN").await;
        let second = world::plant_on(&surface, &tenant.admin, &tenant.admin, "OWN", &first).await;
        let asks = everything(&surface, &[&first, &second]);
        let before = ask_all(&tenant.admin, &asks).await;
        let foreign = world::plant(&surface, &other.admin, &other.admin, "FOREIGN").await;
        world::plant_on(&surface, &other.admin, &other.admin, "FOREIGN", &foreign).await;
        let after = ask_all(&tenant.admin, &asks).await;
        let wrong = differences(&asks, "an administrator", &before, &after);
        assert!(wrong.is_empty(), "{} answers tell of another tenant:\n{}", wrong.len(), some(&wrong));
    }

    /// What colleagues do with records of their own, those about an agent's records too, changes nothing that the agent
    /// can ask.
    async fn colleagues_records_change_no_answer(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let first = world::plant(&surface, &tenant.agent, &tenant.admin, "OWN").await;
        let second = world::plant_on(&surface, &tenant.agent, &tenant.admin, "OWN", &first).await;
        let theirs = world::plant(&surface, &tenant.colleague, &tenant.admin, "COLLEAGUE").await;
        let asks = everything(&surface, &[&first, &second]);
        let (of_agent, of_admin) = (ask_all(&tenant.agent, &asks).await, ask_all(&tenant.admin, &asks).await);

        let mut hidden: Vec<(String, String)> = Vec::new();
        for about in [&first, &second] {
            hidden.extend(plant_owned(&surface, &tenant, about, &tenant.colleague, "COLLEAGUE", false).await);
            world::about_each_type(&surface, &tenant.admin, about).await;
        }
        hidden.extend(plant_owned(&surface, &tenant, &theirs, &tenant.colleague, "COLLEAGUE", true).await);
        for (record, id) in &hidden {
            let seen = tenant.agent.data("query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
            assert_eq!(seen["node"], Value::Null, "the colleague's {record} is not hidden, so it proves nothing");
        }
        let wrong = differences(&asks, "an agent", &of_agent, &ask_all(&tenant.agent, &asks).await);
        assert!(wrong.is_empty(), "{} answers tell of what is hidden:\n{}", wrong.len(), some(&wrong));

        // The questions are good ones: who may see the colleague's records is answered otherwise.
        let after = ask_all(&tenant.admin, &asks).await;
        let telling = asks.iter().zip(of_admin.iter().zip(&after)).filter(|(ask, _)| ask.telling);
        let dull = telling.filter(|(_, (before, after))| before == after).map(|(ask, _)| ask.label.as_str());
        let dull: Vec<&str> = dull.collect();
        assert!(dull.is_empty(), "these questions would not notice a colleague's records:\n{}", some(&dull));
    }

    /// Records of one's own that lead to hidden ones show nothing of them.
    async fn relations_to_what_is_hidden_lead_nowhere(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let hidden = world::plant(&surface, &tenant.colleague, &tenant.admin, "COLLEAGUE").await;
        let bridges = plant_bridges(&surface, &tenant, &tenant.agent, &hidden).await;
        let asks = everything(&surface, &[&bridges]);
        let concealed: Vec<(&String, &String)> = hidden.iter().filter(|(record, _)| !matches!(record.as_str(), "tenant" | "job") && is_scoped(record)).collect();
        assert!(concealed.len() > 8, "{concealed:?}");
        let texts = texts(&surface, &tenant.colleague, &concealed).await;
        let mut wrong = Vec::new();
        let (of_agent, of_manager) =
            (ask_all(&tenant.agent, &asks).await, ask_all(&tenant.manager, &asks).await);
        let mut noticed = 0;
        for (ask, (agent, manager)) in asks.iter().zip(of_agent.iter().zip(&of_manager)) {
            let shown = |answer: &Value| concealed.iter().find(|(_, id)| without_own_columns(answer).contains(id.as_str()));
            noticed += usize::from(shown(manager).is_some());
            wrong.extend(shown(agent).map(|(record, id)| format!("{} shows the {record} {id}", ask.label)));
            if let Some(text) = texts.iter().find(|text| agent.to_string().contains(text.as_str())) {
                wrong.push(format!("{} shows the text {text} of a colleague's record", ask.label));
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), some(&wrong));
        assert!(noticed > 40, "the manager sees hidden records in {noticed} answers only: the bridges lead nowhere");
    }

    /// Every id in every argument of every query, of another tenant.
    async fn foreign_ids_in_queries(app: TestApp) {
        let surface = Surface::read();
        let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
        let own = world::plant(&surface, &tenant.admin, &tenant.admin, "OWN").await;
        let second = own_world(&surface, &tenant.admin, &tenant.admin, &own).await;
        let hidden = world::plant(&surface, &other.admin, &other.admin, "FOREIGN").await;
        let wrong = hidden_in_queries(&surface, &tenant.admin, [&own, &second], &hidden, &|_, _| true).await;
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), some(&wrong));
    }

    /// Every id in every argument of every query, of a colleague, with records of one's own that lead to it.
    async fn colleagues_ids_in_queries(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let keeper = keeper(&app, &tenant).await;
        let own = world::plant(&surface, &keeper, &tenant.admin, "OWN").await;
        let second = own_world(&surface, &keeper, &tenant.admin, &own).await;
        let hidden = world::plant(&surface, &tenant.colleague, &tenant.admin, "COLLEAGUE").await;
        plant_bridges(&surface, &tenant, &keeper, &hidden).await;
        let conceals = |record: &str, path: &[String]| {
            is_scoped(record) && !path.iter().any(|part| OWN_COLUMNS.iter().any(|(own, _)| own == part))
        };
        let wrong = hidden_in_queries(&surface, &keeper, [&own, &second], &hidden, &conceals).await;
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), some(&wrong));
    }

    /// Every id in every argument of every mutation, of another tenant.
    async fn foreign_ids_in_mutations(app: TestApp) {
        let surface = Surface::read();
        let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
        let own = world::plant(&surface, &tenant.admin, &tenant.admin, "OWN").await;
        let hidden = world::plant(&surface, &other.admin, &other.admin, "FOREIGN").await;
        let asks = by_id(&surface, &hidden);
        let before = ask_all(&other.admin, &asks).await;
        let mut wrong = hidden_in_mutations(&surface, &tenant.admin, &own, &hidden, &|_, _| true).await;
        let after = ask_all(&other.admin, &asks).await;
        wrong.extend(differences(&asks, "the other tenant's administrator", &before, &after));
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), some(&wrong));
    }

    /// Every id in every argument of every mutation, of a colleague, by somebody who may do everything with his own.
    async fn colleagues_ids_in_mutations(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let keeper = keeper(&app, &tenant).await;
        let own = world::plant(&surface, &keeper, &tenant.admin, "OWN").await;
        let hidden = world::plant(&surface, &tenant.colleague, &tenant.admin, "COLLEAGUE").await;
        let asks = by_id(&surface, &hidden);
        let before = ask_all(&tenant.colleague, &asks).await;
        let mut wrong = hidden_in_mutations(&surface, &keeper, &own, &hidden, &|record, _| is_scoped(record)).await;
        let after = ask_all(&tenant.colleague, &asks).await;
        wrong.extend(differences(&asks, "the colleague", &before, &after));
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), some(&wrong));
    }
}

on_both_engines! {
    /// Nobody filters by what they may not read, not even by its id.
    async fn filters_need_the_permission_to_read(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let mut modules: Vec<&str> = record_types().map(|(_, meta)| meta.module).collect();
        modules.sort_unstable();
        modules.dedup();
        let (mut wrong, mut tried) = (Vec::new(), 0);
        for module in modules {
            let reader = app.user_with(&tenant, &format!("Reader of {module}"), &[&format!("{module}.read")]).await;
            let mut asks = Vec::new();
            for root in surface.roots().into_iter().filter(|root| root.kind == Kind::Query) {
                if !surface.is_connection(&root.answer) || matches!(root.name.as_str(), "tenants" | "jobs") {
                    continue;
                }
                let listed = surface.listed(&root.answer);
                if meta(&surface.record_of(&listed).unwrap()).module != module {
                    continue;
                }
                for (name, ty) in surface.input_fields(&format!("{listed}Where")) {
                    let many = ty.ends_with("ListFilter") && ty != "StringListFilter";
                    let one = ty.ends_with("Where") && !matches!(name.as_str(), "and" | "or" | "not");
                    if !many && !one {
                        continue;
                    }
                    let target = surface.record_of(&ty).unwrap();
                    let by_id = json!({ "id": { "eq": world::never(&target) } });
                    let filter = if many { json!({ &name: { "some": by_id } }) } else { json!({ &name: by_id }) };
                    let needed = format!("{}.read", meta(&target).module);
                    let arguments = json!({ "where": filter }).as_object().cloned().unwrap();
                    let (root, selection) = (root.clone(), "{ totalCount }".to_owned());
                    asks.push((needed, Ask { label: format!("{}.{name}", root.name), root, arguments, selection, telling: false }));
                }
            }
            let (needed, asks): (Vec<String>, Vec<Ask>) = asks.into_iter().unzip();
            for (needed, (ask, answer)) in needed.iter().zip(asks.iter().zip(ask_all(&reader, &asks).await)) {
                let refused = answer["errors"][0]["extensions"]["requiredPermission"].as_str();
                let own = *needed == format!("{module}.read");
                tried += usize::from(!own);
                if refused != Some(needed).filter(|_| !own).map(String::as_str) {
                    wrong.push(format!("{} with {module}.read alone needs {needed}: {answer:.300}", ask.label));
                }
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), some(&wrong));
        assert!(tried > 50, "{tried} relations only");
    }
}

#[test]
fn every_subscription_is_tested() {
    for root in Surface::read().roots().iter().filter(|root| root.kind == Kind::Subscription) {
        assert!(
            SUBSCRIPTIONS.iter().any(|(name, _)| *name == root.name),
            "the subscription {} may tell of what is hidden: test it as tests/it/policy/live.rs does, and name the test \
             in SUBSCRIPTIONS of tests/it/policy/isolation.rs",
            root.name
        );
    }
}

/// Somebody who may do everything, with his own records only.
async fn keeper(app: &TestApp, tenant: &TestTenant) -> Session {
    let all: Vec<String> = Permission::all().map(|of| of.to_string()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).filter(|of| *of != "admin.manage_tenants").collect();
    app.user_scoped(tenant, "Kim Keeper", &all, DataScope::Own).await
}

/// More records of one's own, which lead to those there are in every way that the API has.
async fn own_world(surface: &Surface, session: &Session, administrator: &Session, own: &Ids) -> Ids {
    let second = world::plant_on(surface, session, administrator, "OWN", own).await;
    world::about_each_type(surface, session, own).await;
    world::about_each_type(surface, session, &second).await;
    let invite = surface.roots().into_iter().find(|root| root.name == "userInvite").unwrap();
    world::make(surface, administrator, &invite, own, "OWN").await.unwrap();
    second
}

/// A user's own records that lead to these.
async fn plant_bridges(surface: &Surface, tenant: &TestTenant, owner: &Session, hidden: &Ids) -> Ids {
    plant_owned(surface, tenant, hidden, owner, "BRIDGE", false).await
}

/// A record of each kind that belongs to somebody, which is about these ids and belongs to `owner`; with `children` also
/// of those that belong to others.
async fn plant_owned(
    surface: &Surface,
    tenant: &TestTenant,
    about: &Ids,
    owner: &Session,
    marker: &str,
    children: bool,
) -> Ids {
    let roots = surface.roots();
    let mut about = about.clone();
    about.insert("user".to_owned(), owner.user_id.clone());
    let mut planted = Ids::new();
    for record in surface.records() {
        let wanted = matches!(meta(&record).scope, Scope::Owned) || (children && is_scoped(&record));
        let Some(maker) = world::maker(&roots, &record).filter(|_| wanted) else { continue };
        let made = world::make(surface, &tenant.admin, maker, &about, marker).await;
        planted.insert(record, made.unwrap_or_else(|error| panic!("{}: {error}", maker.name)));
    }
    planted
}

fn meta(record: &str) -> &'static RecordMeta {
    record_types().map(|(_, meta)| meta).find(|meta| meta.name == record).unwrap_or_else(|| panic!("{record}?"))
}

/// Whether DataScope OWN hides records of this type.
fn is_scoped(record: &str) -> bool {
    scoped(meta(record))
}

fn scoped(meta: &RecordMeta) -> bool {
    match meta.scope {
        Scope::Owned | Scope::DoneBy { .. } | Scope::Personal { .. } => true,
        Scope::Reference => false,
        Scope::Child { parent, .. } => scoped(parent()),
    }
}

/// A question.
struct Ask {
    label: String,
    root: Root,
    arguments: Map<String, Value>,
    selection: String,
    /// Whether an administrator's answer must change when there are more records about the same things.
    telling: bool,
}

/// Everything that can be asked: each record by its id, every list, every list in every order, every relation of its
/// rows, and whether a relation leads anywhere.
fn everything(surface: &Surface, worlds: &[&Ids]) -> Vec<Ask> {
    let mut asks = Vec::new();
    for root in surface.roots().into_iter().filter(|root| root.kind == Kind::Query) {
        let takes = |name: &str| root.arguments.iter().any(|argument| argument.name.node == name);
        if WITHOUT_RECORDS.iter().any(|(name, _)| *name == root.name) {
            continue;
        }
        if surface.is_connection(&root.answer) && takes("where") {
            lists(surface, &root, &mut asks);
        } else if root.name == "node" || root.name == "nodes" || root.name == "_entities" {
            for (record, id) in worlds
                .iter()
                .flat_map(|ids| ids.iter())
                .filter(|(record, _)| !matches!(record.as_str(), "tenant" | "job"))
            {
                let ty = pascal(record);
                let (name, value) = match root.name.as_str() {
                    "node" => ("id", json!(id)),
                    "nodes" => ("ids", json!([id])),
                    _ => ("representations", json!([{ "__typename": ty, "id": id }])),
                };
                asks.push(Ask {
                    label: format!("{}({id})", root.name),
                    root: root.clone(),
                    arguments: Map::from_iter([(name.to_owned(), value)]),
                    selection: format!("{{ __typename ... on {ty} {} }}", surface.selection(&ty, 0, None)),
                    telling: false,
                });
            }
        } else if takes("id") && (root.arguments.len() == 1) {
            let record =
                surface.record_of(&root.name).unwrap_or_else(|| panic!("which record does {} answer?", root.name));
            // A view of a record (`customer360`) leads one step further than the record.
            let depth = if surface.is_record(&root.answer) { 1 } else { 2 };
            for id in worlds.iter().filter_map(|ids| ids.get(&record)) {
                let selection = surface.selection(&root.answer, depth, Some("Customer"));
                asks.push(Ask {
                    label: format!("{}({id})", root.name),
                    root: root.clone(),
                    arguments: Map::from_iter([("id".to_owned(), json!(id))]),
                    selection,
                    // What a user owns is not about him: the colleague's records are the colleague's.
                    telling: record != "user"
                        && surface.relations(&root.answer).iter().any(|of| of.many && owned(surface, &of.target)),
                });
            }
        } else {
            panic!(
                "what does the query {} answer? Ask it in `everything` of tests/it/policy/isolation.rs, or say in \
                 WITHOUT_RECORDS why it answers no records",
                root.name
            );
        }
    }
    asks
}

/// The markers in the texts of records.
async fn texts(surface: &Surface, session: &Session, records: &[(&String, &String)]) -> Vec<String> {
    let mut texts = Vec::new();
    for (record, id) in records {
        let ty = pascal(record);
        let query =
            format!("query($id: ID!) {{ node(id: $id) {{ ... on {ty} {} }} }}", surface.selection(&ty, 0, None));
        let answer = session.data(&query, json!({ "id": id })).await;
        // Of a key the colleague sees nothing either: administrators make them.
        let Some(node) = answer["node"].as_object() else { continue };
        // What a change of stage says is the name of a stage, which everybody sees.
        let own = node.values().filter_map(Value::as_str).filter(|text| text.starts_with("COLLEAGUE-"));
        texts.extend(own.filter(|_| *record != "opportunity_stage_change").map(str::to_owned));
    }
    texts.sort();
    texts.dedup();
    assert!(texts.len() > 5, "{texts:?}");
    texts
}

/// Whether these are records that belong to somebody.
fn owned(surface: &Surface, ty: &str) -> bool {
    surface.is_record(ty) && surface.record_of(ty).is_some_and(|record| matches!(meta(&record).scope, Scope::Owned))
}

fn lists(surface: &Surface, root: &Root, asks: &mut Vec<Ask>) {
    let listed = surface.listed(&root.answer);
    let telling = owned(surface, &listed);
    let mut add = |label: String, arguments: Value, selection: &str| {
        // A filter may choose what it chose before.
        let telling = telling && !label.starts_with(" where");
        let arguments = arguments.as_object().cloned().unwrap();
        let (root, selection) = (root.clone(), selection.to_owned());
        asks.push(Ask { label: format!("{}{label}", root.name), root, arguments, selection, telling });
    };
    let ids = "{ totalCount edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage } }";
    add(String::new(), json!({ "first": 50 }), &surface.selection(&root.answer, 0, None));
    add(" from the end".to_owned(), json!({ "last": 2 }), ids);
    for field in surface.values(&format!("{listed}OrderField")) {
        let order = json!({ "first": 50, "orderBy": [{ "field": field, "direction": "DESC" }] });
        add(format!(" by {field}"), order, ids);
    }
    for Relation { name, many, .. } in surface.relations(&listed) {
        let below = if many { "(first: 20) { totalCount edges { node { id } } }" } else { "{ __typename }" };
        let below = if !many { below.replace("__typename", "__typename ... on Node { id }") } else { below.to_owned() };
        let selection = format!("{{ edges {{ node {{ id {name} {below} }} }} }}");
        add(format!(" with {name}"), json!({ "first": 20 }), &selection);
    }
    for (name, ty) in surface.input_fields(&format!("{listed}Where")) {
        let never = |operator: &str| json!({ "id": { operator: world::never("customer") } });
        let probes = if ty.ends_with("ListFilter") && ty != "StringListFilter" {
            vec![("some", never("neq")), ("none", never("neq")), ("every", never("eq"))]
        } else if ty.ends_with("Where") && !matches!(name.as_str(), "and" | "or" | "not") {
            vec![("isNull", json!(true)), ("isNull", json!(false)), ("id", json!({ "neq": world::never("customer") }))]
        } else {
            continue;
        };
        for (operator, value) in probes {
            let of_target = surface.record_of(&ty).unwrap_or_else(|| panic!("which record does {ty} filter?"));
            let text = value.to_string().replace(&world::never("customer"), &world::never(&of_target));
            let value: Value = serde_json::from_str(&text).unwrap();
            let filter = json!({ "first": 50, "where": { &name: { operator: value } } });
            add(format!(" where {name} {operator} {value}"), filter, ids);
        }
    }
}

/// The answers to questions, several to a request.
async fn ask_all(session: &Session, asks: &[Ask]) -> Vec<Value> {
    let mut answers = Vec::new();
    let mut rest = asks;
    while !rest.is_empty() {
        let mut size = 0;
        let fitting = rest.iter().take(20).take_while(|ask| {
            // Tokens of a document are bounded, and so is what it costs.
            size += ask.selection.len() + 300;
            size < 16_000
        });
        let (now, later) = rest.split_at(fitting.count().max(1));
        answers.extend(ask_some(session, now).await);
        rest = later;
    }
    answers
}

async fn ask_some(session: &Session, asks: &[Ask]) -> Vec<Value> {
    let (mut declared, mut fields, mut variables) = (Vec::new(), Vec::new(), Map::new());
    for (at, ask) in asks.iter().enumerate() {
        let mut passed = Vec::new();
        for (name, value) in &ask.arguments {
            let argument = ask.root.arguments.iter().find(|argument| argument.name.node == *name).unwrap();
            let variable = format!("v{at}_{name}");
            declared.push(format!("${variable}: {}", argument.ty.node));
            passed.push(format!("{name}: ${variable}"));
            variables.insert(variable, value.clone());
        }
        let passed = if passed.is_empty() { String::new() } else { format!("({})", passed.join(", ")) };
        fields.push(format!("a{at}: {}{passed} {}", ask.root.name, ask.selection));
    }
    let declared = if declared.is_empty() { String::new() } else { format!("({})", declared.join(", ")) };
    let query = format!("query{declared} {{ {} }}", fields.join(" "));
    let answer = session.send(&query, Value::Object(variables)).await;
    let mut errors: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for error in answer.body["errors"].as_array().into_iter().flatten() {
        let at = error["path"][0].as_str().unwrap_or_else(|| panic!("{}: {error}", asks[0].label)).to_owned();
        let path: Vec<&Value> = error["path"].as_array().into_iter().flatten().skip(1).collect();
        let mut extensions = error["extensions"].clone();
        if let Some(extensions) = extensions.as_object_mut() {
            extensions.remove("requestId");
        }
        errors
            .entry(at)
            .or_default()
            .push(json!({ "path": path, "message": error["message"], "extensions": extensions }));
    }
    let one = |at: usize| {
        let key = format!("a{at}");
        json!({ "data": answer.body["data"][&key], "errors": errors.get(&key) })
    };
    (0..asks.len()).map(one).collect()
}

/// Which answers are not what they were.
fn differences(asks: &[Ask], who: &str, before: &[Value], after: &[Value]) -> Vec<String> {
    let pairs = asks.iter().zip(before.iter().zip(after));
    let different = pairs.filter(|(ask, (before, after))| before != after && !is_log(ask));
    different
        .map(|(ask, (before, after))| format!("{} by {who}:\n  {before:.600}\n  {after:.600}", ask.label))
        .collect()
}

/// As many as anybody reads.
fn some(lines: &[impl ToString]) -> String {
    lines.iter().take(40).map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Where two answers part.
fn contrast(one: &impl ToString, other: &impl ToString) -> String {
    let (one, other) = (one.to_string(), other.to_string());
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count().saturating_sub(60);
    let part = |text: &str| text.chars().skip(same).take(240).collect::<String>();
    format!("\n  {}\n  {}", part(&one), part(&other))
}

/// The audit log of a tenant grows with whatever is done in it.
fn is_log(ask: &Ask) -> bool {
    ask.root.name == "auditLogs"
}

/// Questions for each of these records.
fn by_id(surface: &Surface, ids: &Ids) -> Vec<Ask> {
    let asks = everything(surface, &[ids]).into_iter().filter(|ask| ask.root.name == "node");
    asks.filter(|ask| {
        ids.keys().any(|record| {
            !matches!(record.as_str(), "tenant" | "job") && is_scoped(record) && ask.label.contains(&ids[record])
        })
    })
    .collect()
}

/// An answer's text without the ids that rows hold themselves.
fn without_own_columns(answer: &Value) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !OWN_COLUMNS.iter().any(|(own, _)| own == name));
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut answer = answer.clone();
    strip(&mut answer);
    answer.to_string()
}

/// The types of records that an id can be of at this place.
fn records_at(surface: &Surface, root: &Root, place: &Place) -> Vec<String> {
    if root.name == "node" || root.name == "nodes" {
        return surface.records();
    }
    let of = |column: &str| place.path.iter().any(|part| part == column);
    if of("relatedToId") && place.path.len() < 4 {
        return surface.members("RelatedRecord").iter().filter_map(|ty| surface.record_of(ty)).collect();
    }
    if of("relatedToId") {
        return vec!["customer".to_owned()];
    }
    if of("recordId") {
        return vec!["customer".to_owned(), "user".to_owned()];
    }
    place.record.clone().into_iter().collect()
}

/// What is wrong with the answers to queries in which an id is one that the caller may not see.
async fn hidden_in_queries(
    surface: &Surface,
    session: &Session,
    own: [&Ids; 2],
    hidden: &Ids,
    conceals: &dyn Fn(&str, &[String]) -> bool,
) -> Vec<String> {
    let mut asks = Vec::new();
    for root in surface.roots().iter().filter(|root| root.kind == Kind::Query) {
        if WITHOUT_RECORDS.iter().any(|(name, _)| *name == root.name) {
            continue;
        }
        let selection = if surface.is_connection(&root.answer) {
            "{ totalCount edges { node { id } } }"
        } else if surface.has_field(&root.answer, "id") {
            "{ __typename id }"
        } else if root.answer == "String" {
            ""
        } else {
            "{ __typename }"
        };
        for (record, path, make) in cases(surface, root, own[0]) {
            if !conceals(&record, &path) {
                continue;
            }
            let Some(hidden) = hidden.get(&record) else {
                assert!(world::is_unmade(&record), "no hidden {record}");
                continue;
            };
            let never = world::never(&record);
            for id in [hidden, &never, &own[0][&record]] {
                let label = format!("{} with {id} at {}", root.name, path.join("."));
                asks.push(Ask {
                    label,
                    root: root.clone(),
                    arguments: make(id),
                    selection: selection.to_owned(),
                    telling: false,
                });
            }
        }
    }
    assert!(asks.len() > 600, "{} questions only", asks.len());
    let answers = ask_all(session, &asks).await;
    let mut wrong = Vec::new();
    let mut dull = Vec::new();
    for (of_place, answers) in asks.chunks(3).zip(answers.chunks(3)) {
        let plain = |at: usize| answers[at].to_string().replace(id_of(&of_place[at]), "ID");
        if plain(0) != plain(1) {
            let contrast = contrast(&plain(0), &plain(1));
            wrong.push(format!("{}, unlike one that never existed: {contrast}", of_place[0].label));
        }
        if plain(2) == plain(1) {
            dull.push((&of_place[2], plain(1)));
        }
    }
    // With an own id of the other world, which this one leads to or comes from.
    let others: Vec<Ask> = dull.iter().map(|(ask, _)| with_id_of(ask, own[0], own[1])).collect();
    let answers = ask_all(session, &others).await;
    let still = dull.iter().zip(others.iter().zip(&answers));
    let still = still.filter(|((_, never), (ask, answer))| answer.to_string().replace(id_of(ask), "ID") == *never);
    let dull: Vec<&str> = still.map(|((ask, _), _)| ask.label.as_str()).collect();
    // Where an own id makes no difference either, this world had nothing to show; mostly it must make one.
    assert!(dull.len() * 3 * 3 < asks.len(), "{} of {}:\n{}", dull.len(), asks.len() / 3, some(&dull));
    wrong
}

/// The id that a question is about: the third word of its label.
fn id_of(ask: &Ask) -> &str {
    ask.label.split(' ').nth(2).unwrap()
}

/// The question with the id of the other world.
fn with_id_of(ask: &Ask, one: &Ids, other: &Ids) -> Ask {
    let id = id_of(ask);
    let (record, _) = one.iter().find(|(_, of)| *of == id).unwrap();
    let arguments = serde_json::from_str(&json!(ask.arguments).to_string().replace(id, &other[record])).unwrap();
    let (root, selection) = (ask.root.clone(), ask.selection.clone());
    Ask { label: ask.label.replace(id, &other[record]), root, arguments, selection, telling: false }
}

type Arguments = Box<dyn Fn(&str) -> Map<String, Value>>;

/// Every place of a root where an id can stand, with the type of the record and the arguments for an id.
fn cases(surface: &Surface, root: &Root, own: &Ids) -> Vec<(String, Vec<String>, Arguments)> {
    let mut cases: Vec<(String, Vec<String>, Arguments)> = Vec::new();
    if root.name == "_entities" {
        for record in surface.records() {
            let ty = pascal(&record);
            cases.push((
                record,
                vec!["representations".to_owned()],
                Box::new(move |id| {
                    let given = json!({ "representations": [{ "__typename": ty, "id": id }] });
                    given.as_object().cloned().unwrap()
                }),
            ));
        }
        return cases;
    }
    // `and` and `or` hold the same again; `not` stands for them.
    let again = |place: &Place| place.path.get(1).is_some_and(|part| part == "and" || part == "or");
    let places = surface.places(root, 1).into_iter().filter(|place| place.record.is_some() && !again(place));
    let places: Vec<Place> = places.collect();
    for place in places {
        for record in records_at(surface, root, &place) {
            let marker = "0123456789-the-id-in-question";
            let value = json!(marker);
            let values = Values { ids: own, marker: None, target: Some((&place.path, &value)), without: &[] };
            let arguments = surface
                .arguments(root, &values)
                .unwrap_or_else(|| panic!("{} needs a record that tests/it/policy/world.rs does not make", root.name));
            let text = json!(arguments).to_string();
            assert!(text.contains(marker), "no id at {:?} of {}: {text}", place.path, root.name);
            let fill: Arguments = Box::new(move |id| serde_json::from_str(&text.replace(marker, id)).unwrap());
            cases.push((record, place.path.clone(), fill));
        }
    }
    cases
}

/// The codes and the last fields of the user errors of an answer.
fn refusals(root: &Root, answer: &str) -> Vec<(String, String)> {
    let body: Value = serde_json::from_str(answer).unwrap();
    let payload = &body["data"][&root.name];
    let results = payload["results"].as_array().cloned().unwrap_or_default();
    let errors = std::iter::once(payload).chain(&results).filter_map(|of| of["userErrors"].as_array()).flatten();
    let last = |error: &Value| error["field"].as_array().and_then(|field| Some(field.last()?.as_str()?.to_owned()));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    errors.map(|error| (text(&error["code"]), last(error).unwrap_or_default())).collect()
}

/// Takes a field out of arguments; whether it was there.
fn leave_out(arguments: &mut Value, field: &str) -> bool {
    match arguments {
        Value::Object(fields) => {
            let own = fields.remove(field).is_some();
            fields.values_mut().fold(own, |left, value| leave_out(value, field) || left)
        }
        Value::Array(values) => values.iter_mut().filter_map(|value| leave_out(value, field).then_some(())).count() > 0,
        _ => false,
    }
}

/// Puts an id into arguments, where the other arguments have it.
fn lay(arguments: &mut Value, other: &Value, id: &str) {
    match other {
        Value::Object(fields) => {
            if !arguments.is_object() {
                *arguments = json!({});
            }
            let into = arguments.as_object_mut().unwrap();
            if fields.get("id").is_some_and(|of| of == id) {
                // A record is named once: by its id or by its reference.
                into.remove("externalReference");
            }
            for (name, value) in fields {
                lay(into.entry(name).or_insert(Value::Null), value, id);
            }
        }
        Value::Array(values) => {
            if !arguments.is_array() {
                *arguments = json!([null]);
            }
            lay(&mut arguments[0], &values[0], id);
        }
        of if of == id || arguments.is_null() => *arguments = of.clone(),
        _ => {}
    }
}

/// What is wrong with the answers to mutations in which an id is one that the caller may not see: they must be refused,
/// for this id, as for one that never existed.
async fn hidden_in_mutations(
    surface: &Surface,
    session: &Session,
    own: &Ids,
    hidden: &Ids,
    conceals: &dyn Fn(&str, &[String]) -> bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for root in surface.roots().iter().filter(|root| root.kind == Kind::Mutation) {
        if OTHER_IDS.iter().any(|(name, _)| *name == root.name) {
            continue;
        }
        let has_ids = surface.places(root, 0).iter().any(|place| place.record.is_some());
        if !has_ids {
            continue;
        }
        // It is done with nothing but own ids: what is refused below is refused for the one that is not.
        let ids = world::fresh(surface, session, root, own, own).await;
        let accepted =
            match world::perform(surface, session, root, &ids, Some(&format!("DONE-{:08x}", rand::random::<u32>())))
                .await
            {
                Ok((arguments, _)) => json!(arguments).to_string(),
                Err(error) => {
                    wrong.push(format!("{} with own ids: {error:.500}", root.name));
                    continue;
                }
            };
        // The same once more, to a record of its own.
        let again = world::fresh(surface, session, root, own, own).await;
        let record = surface.record_of(&root.name).unwrap_or_default();
        let mut accepted = accepted.replace("DONE", "AGAIN").replace("done-", "again-");
        if let Some((before, now)) = ids.get(&record).zip(again.get(&record)) {
            accepted = accepted.replace(before, now);
        }
        let accepted: Value = serde_json::from_str(&accepted).unwrap();
        for (record, path, fill) in cases(surface, root, &again) {
            if !conceals(&record, &path) {
                continue;
            }
            tried += 1;
            let at = format!("{} with another's {record} at {}", root.name, path.join("."));
            let last = path.last().map(String::as_str).unwrap_or_default();
            let mut others = accepted.clone();
            loop {
                let mut answers = Vec::new();
                let never = world::never(&record);
                for id in [&hidden[&record], &never] {
                    let mut arguments = others.clone();
                    lay(&mut arguments, &json!(fill(id)), id);
                    let arguments = arguments.as_object().unwrap();
                    let selection = world::outcome(surface, root);
                    let answer = world::call(surface, session, root, arguments, &selection).await;
                    answers.push(answer.body.to_string().replace(id.as_str(), "ID"));
                }
                if answers[0] != answers[1] {
                    wrong.push(format!("{at}, unlike one that never existed: {}", contrast(&answers[0], &answers[1])));
                    break;
                }
                let refused = refusals(root, &answers[0]);
                if refused.iter().any(|(code, field)| code == "NOT_FOUND" && field == last) {
                    break;
                }
                let before = REFUSED_BEFORE.iter().any(|(name, at, _)| *name == root.name && *at == last);
                // What does not go with this id is left out, until nothing but the id can be wrong.
                let left_out =
                    refused.iter().filter(|(_, field)| field != last && leave_out(&mut others, field)).count();
                if left_out == 0 {
                    if !before || refused.is_empty() {
                        wrong.push(format!("{at} is not refused with NOT_FOUND there: {:.500}", answers[0]));
                    }
                    break;
                }
            }
        }
    }
    assert!(tried > 60, "{tried} places only");
    wrong
}
