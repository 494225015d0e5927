//! Records of every type, made through the API with what the schema says of their inputs; their texts are markers, so
//! that a single byte of them is recognised wherever it appears.

use std::collections::BTreeMap;

use entity::tenant::notification::{self, NotificationKind};
use rapport::auth::Actor;
use sea_orm::ActiveValue::Set;
use serde_json::{Map, Value, json};

use super::surface::{Kind, Root, Surface, Values, pascal};
use crate::support::{Answer, Session, TestApp};

/// Types of records that cannot be made or found through the API, with the reason.
const UNMADE: &[(&str, &str)] = &[("webhook_attempt", "an attempt is made by the worker, which does not run here")];

/// Whether no record of this type can be made or found.
pub fn is_unmade(record: &str) -> bool {
    UNMADE.iter().any(|(of, _)| *of == record)
}

/// What must be done to a new record before a mutation means something. Before `…Restore` stands `…Delete` by itself.
const FIRST: &[(&str, &[&str])] = &[
    ("opportunityReopen", &["opportunityWin"]),
    ("leadReopen", &["leadDisqualify"]),
    ("userEnable", &["userDisable"]),
    ("ticketReopen", &["ticketResolve"]),
    ("ticketClose", &["ticketResolve"]),
    ("emailTemplateReset", &["emailTemplateSet"]),
    ("webhookEnable", &["webhookDisable"]),
];

/// The ids of records by the record's name, and of the tenant.
pub type Ids = BTreeMap<String, String>;

/// Calls a root with arguments as variables.
pub async fn call(
    surface: &Surface,
    session: &Session,
    root: &Root,
    arguments: &Map<String, Value>,
    selection: &str,
) -> Answer {
    session.send(&surface.document(root, arguments, selection), Value::Object(arguments.clone())).await
}

/// What a mutation of one record answers: the record's id, and the user errors.
pub fn outcome(surface: &Surface, root: &Root) -> String {
    let mut parts = Vec::new();
    for field in surface.fields(&root.answer) {
        let name = field.name.node.as_str();
        let leads_to = super::surface::base(&field.ty.node);
        if surface.has_field(leads_to, "id") {
            parts.push(format!("{name} {{ id }}"));
        } else if name == "results" {
            let errors = "userErrors { field code message }";
            parts.push(format!("{name} {{ {errors} }}"));
        }
    }
    if surface.has_field(&root.answer, "userErrors") {
        parts.push("userErrors { field code message }".to_owned());
    }
    if parts.is_empty() { "{ __typename }".to_owned() } else { format!("{{ {} }}", parts.join(" ")) }
}

/// The root that makes a record.
pub fn maker<'a>(roots: &'a [Root], record: &str) -> Option<&'a Root> {
    let name = pascal(record);
    let verbs = ["Create", "Add", "Invite"].map(|verb| format!("{name}{verb}").to_lowercase());
    roots.iter().find(|root| root.kind == Kind::Mutation && verbs.contains(&root.name.to_lowercase()))
}

/// Makes a record of a type with everything filled in; what a rule does not want is left out. Answers its id.
pub async fn make(
    surface: &Surface,
    session: &Session,
    root: &Root,
    ids: &Ids,
    marker: &str,
) -> Result<String, String> {
    // A key of a record must be its own.
    let unique = format!("{marker}-{:08x}", rand::random::<u32>());
    let (_, payload) = perform(surface, session, root, ids, Some(&unique)).await?;
    let made = payload.as_object().unwrap().values().find_map(|record| record["id"].as_str());
    made.map(str::to_owned).ok_or_else(|| format!("{} answers no record: {payload}", root.name))
}

/// Calls a mutation until it is accepted: what its user errors name is left out. Answers the arguments and the payload.
pub async fn perform(
    surface: &Surface,
    session: &Session,
    root: &Root,
    ids: &Ids,
    marker: Option<&str>,
) -> Result<(Map<String, Value>, Value), String> {
    let mut without: Vec<String> = Vec::new();
    for _ in 0..6 {
        let values = Values { ids, marker, target: None, without: &without };
        let arguments = surface.arguments(root, &values).ok_or("an id is missing")?;
        let answer = call(surface, session, root, &arguments, &outcome(surface, root)).await;
        if !answer.codes().is_empty() {
            return Err(format!("{:?} {}", answer.codes(), answer.body));
        }
        let payload = answer.body["data"][&root.name].clone();
        let results = payload["results"].as_array().cloned().unwrap_or_default();
        let refused: Vec<Value> = std::iter::once(&payload)
            .chain(&results)
            .flat_map(|of| of["userErrors"].as_array().cloned().unwrap_or_default())
            .collect();
        if refused.is_empty() {
            return Ok((arguments, payload));
        }
        let before = without.len();
        for error in &refused {
            let field = error["field"].as_array().and_then(|field| field.iter().rev().find_map(Value::as_str));
            if let Some(field) = field.filter(|field| !without.iter().any(|of| of == field)) {
                without.push(field.to_owned());
            }
        }
        if without.len() == before {
            return Err(format!("{refused:?} of {arguments:?}"));
        }
    }
    Err(format!("still refused without {without:?}"))
}

/// A record of every type that this session can make, the rest made by `administrator`.
pub async fn plant(surface: &Surface, session: &Session, administrator: &Session, marker: &str) -> Ids {
    plant_on(surface, session, administrator, marker, &Ids::new()).await
}

/// Like [`plant`]; what the new records need before it is made anew is taken from `basis`, so that they refer to
/// everything that they can refer to.
pub async fn plant_on(surface: &Surface, session: &Session, administrator: &Session, marker: &str, basis: &Ids) -> Ids {
    let roots = surface.roots();
    let tenant = session.data("{ me { tenant { id } } }", Value::Object(Map::new())).await;
    let tenant = tenant["me"]["tenant"]["id"].as_str().unwrap().to_owned();
    let job = rapport::data::ids::encode("job", uuid::Uuid::from_u128(1));
    let mut ids = Ids::from([
        ("user".to_owned(), session.user_id.clone()),
        ("tenant".to_owned(), tenant),
        ("job".to_owned(), job),
    ]);
    let mut waiting: Vec<String> = surface.records().into_iter().filter(|record| record != "user").collect();
    while !waiting.is_empty() {
        // What can be made with the most of what it may refer to.
        let unmet = |record: &String| {
            let root = maker(&roots, record)?;
            let values = Values { ids: &ids, marker: None, target: None, without: &[] };
            surface.arguments(root, &values)?;
            let places = surface.places(root, 0);
            let of =
                |place: &super::surface::Place| place.record.clone().filter(|of| of != record && !ids.contains_key(of));
            Some(places.iter().filter_map(of).count())
        };
        let Some((_, at)) = waiting.iter().enumerate().filter_map(|(at, of)| unmet(of).map(|unmet| (unmet, at))).min()
        else {
            break;
        };
        let record = waiting.remove(at);
        let root = maker(&roots, &record).unwrap();
        let known: Ids = basis.iter().chain(&ids).map(|(record, id)| (record.clone(), id.clone())).collect();
        let made = match make(surface, session, root, &known, marker).await {
            Err(error) if error.contains("FORBIDDEN") => make(surface, administrator, root, &known, marker).await,
            made => made,
        };
        let id = made.unwrap_or_else(|error| {
            panic!(
                "{} could not be called: {error}\nSay what fits in `special` of tests/it/policy/surface.rs",
                root.name
            )
        });
        ids.insert(record, id);
    }
    tell(session, marker).await;
    // What other records bring with them is found in its list.
    for record in waiting {
        let connection = format!("{}Connection", pascal(&record));
        let list = roots.iter().find(|root| root.answer == connection);
        let found = match list {
            Some(list) => {
                let answer = call(surface, session, list, &Map::new(), "{ edges { node { id } } }").await;
                let answer = if answer.codes().contains(&"FORBIDDEN".to_owned()) {
                    call(surface, administrator, list, &Map::new(), "{ edges { node { id } } }").await
                } else {
                    answer
                };
                answer.body["data"][&list.name]["edges"][0]["node"]["id"].as_str().map(str::to_owned)
            }
            None => None,
        };
        match found {
            Some(id) => drop(ids.insert(record, id)),
            None if list.is_none() && UNMADE.iter().any(|(of, _)| *of == record) => {}
            None => panic!(
                "no `{record}` could be made or found. Let its mutation be called {}Create, let another record bring \
                 it, or say in UNMADE of tests/it/policy/world.rs why there is none",
                pascal(&record)
            ),
        }
    }
    ids
}

/// Tells the user of the session something, as the worker does: no mutation makes a notification.
async fn tell(session: &Session, marker: &str) {
    let tenant = session.data("{ me { tenant { id } } }", json!({})).await;
    let id = |text: &str| rapport::data::ids::decode(text).unwrap().1;
    let (tenant, user) = (id(tenant["me"]["tenant"]["id"].as_str().unwrap()), id(&session.user_id));
    let tenant = TestApp::behind(session).identity().tenants().open(tenant).await.unwrap();
    let db = tenant.for_actor(Actor::system(tenant.id()).into(), None);
    let new = notification::ActiveModel {
        user_id: Set(user),
        kind: Set(NotificationKind::Assigned),
        title: Set(format!("{marker} was assigned to you")),
        actor_id: Set(Some(user)),
        channels: Set(json!(["IN_APP"])),
        ..Default::default()
    };
    db.write(async |unit| unit.insert_by_rule::<notification::Entity>(new).await.map(|_| ())).await.unwrap();
}

/// The id of a record of this type that never existed.
pub fn never(record: &str) -> String {
    rapport::data::ids::encode(record, uuid::Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0001))
}

/// The ids that a mutation is called with: a record of its own, made with what `made_from` holds and brought where the
/// mutation means something, and the rest of `ids`.
pub async fn fresh(surface: &Surface, session: &Session, root: &Root, made_from: &Ids, ids: &Ids) -> Ids {
    let roots = surface.roots();
    let mut ids = ids.clone();
    let record = surface.record_of(&root.name).unwrap_or_default();
    if let Some(maker) = maker(&roots, &record).filter(|maker| maker.name != root.name) {
        let made = make(surface, session, maker, made_from, "FRESH").await;
        ids.insert(record, made.unwrap_or_else(|error| panic!("{}: {error}", maker.name)));
    }
    // What is a part of a record is removed rather than deleted.
    let deleted = root.name.strip_suffix("Restore").map(|stem| {
        let names = ["Delete", "Remove"].map(|verb| format!("{stem}{verb}"));
        names.into_iter().find(|name| roots.iter().any(|root| root.name == *name)).unwrap_or_default()
    });
    let listed = FIRST.iter().find(|(name, _)| *name == root.name).map_or(&[][..], |(_, first)| *first);
    for first in deleted.iter().map(String::as_str).chain(listed.iter().copied()) {
        let first = roots.iter().find(|root| root.name == first).unwrap_or_else(|| panic!("there is no {first}"));
        let done = perform(surface, session, first, &ids, Some("First")).await;
        done.unwrap_or_else(|error| panic!("{}: {error}", first.name));
    }
    ids
}

/// Activities and interactions about a record of each type that they can be about.
pub async fn about_each_type(surface: &Surface, session: &Session, ids: &Ids) {
    for ty in surface.members("RelatedRecord") {
        let id = &ids[&surface.record_of(&ty).unwrap()];
        for (mutation, of) in [("activityCreate", "TASK"), ("interactionCreate", "NOTE")] {
            let query = format!(
                "mutation($input: {}Input!) {{ {mutation}(input: $input) {{ userErrors {{ code message field }} }} }}",
                pascal(mutation)
            );
            let input = json!({ "type": of, "subject": "About", "relatedToId": id });
            session.mutate(&query, json!({ "input": input })).await;
        }
    }
}
