//! `schema.graphql`, which integrators generate code from.

use std::{fs, path::Path};

use async_graphql::{
    Positioned,
    parser::{
        parse_schema,
        types::{InputValueDefinition, TypeKind, TypeSystemDefinition},
    },
};

use super::{node, repository, tools};

fn committed() -> String {
    fs::read_to_string(repository().join("schema.graphql")).unwrap()
}

#[test]
fn it_is_what_the_code_says() {
    assert!(
        committed() == rapport::graphql::schema::client_sdl(),
        "regenerate it: cargo run -q -- schema > schema.graphql"
    );
}

/// What only a router asks for is left out, and nothing else is.
#[test]
fn it_is_for_clients() {
    let (clients, whole) = (rapport::graphql::schema::client_sdl(), rapport::graphql::schema::sdl(false));
    let names = |sdl: &str| {
        let document = parse_schema(sdl).unwrap();
        let names = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) => Some(definition.node.name.node.to_string()),
            _ => None,
        });
        names.collect::<Vec<_>>()
    };
    let left_out: Vec<String> = {
        let kept = names(&clients);
        names(&whole).into_iter().filter(|name| !kept.contains(name)).collect()
    };
    assert_eq!(left_out, ["_Any", "_Entity", "_Service"]);
    let fields = |sdl: &str| sdl.lines().filter(|line| line.starts_with("\t_")).count();
    assert_eq!((fields(&clients), fields(&whole)), (0, 2));
    assert!(whole.lines().count() - clients.lines().count() < 20);
}

#[test]
fn everything_is_described() {
    let mut silent = Vec::new();
    let mut described = 0;
    let mut look = |place: String, description: Option<&str>| match description {
        Some(text) if text.trim().len() > 3 => described += 1,
        _ => silent.push(place),
    };
    let described_by = |description: &Option<Positioned<String>>| description.as_ref().map(|text| text.node.clone());
    let inputs = |place: &str, inputs: &[Positioned<InputValueDefinition>]| {
        let described = inputs
            .iter()
            .map(|input| (format!("{place}.{}", input.node.name.node), described_by(&input.node.description)));
        described.collect::<Vec<_>>()
    };
    for definition in parse_schema(committed()).unwrap().definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let name = definition.node.name.node.to_string();
        look(name.clone(), described_by(&definition.node.description).as_deref());
        let fields = match &definition.node.kind {
            TypeKind::Object(object) => object.fields.as_slice(),
            TypeKind::Interface(interface) => interface.fields.as_slice(),
            TypeKind::InputObject(input) => {
                for (place, text) in inputs(&name, &input.fields) {
                    look(place, text.as_deref());
                }
                &[]
            }
            TypeKind::Enum(of) => {
                for value in &of.values {
                    let place = format!("{name}.{}", value.node.value.node);
                    look(place, described_by(&value.node.description).as_deref());
                }
                &[]
            }
            TypeKind::Scalar | TypeKind::Union(_) => &[],
        };
        for field in fields {
            let place = format!("{name}.{}", field.node.name.node);
            look(place.clone(), described_by(&field.node.description).as_deref());
            for (place, text) in inputs(&place, &field.node.arguments) {
                look(place, text.as_deref());
            }
        }
    }
    assert!(silent.is_empty(), "describe these in a doc comment: {silent:#?}");
    assert!(described > 2500, "only {described} descriptions were found");
}

async fn lint(schema: &Path) -> super::Said {
    node(repository(), &tools("lint/lint.mjs"), &[schema.to_str().unwrap()]).await
}

#[tokio::test]
async fn the_linters_find_nothing() {
    let said = lint(&repository().join("schema.graphql")).await.well();
    // "250 definitions: 0 findings by 24 rules of graphql-eslint, 0 by graphql-schema-linter"
    let numbers: Vec<u32> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [definitions, 0, rules, 0] = numbers[..] else { panic!("{said}") };
    assert!(definitions > 200 && rules >= 20, "{said}");
}

/// The options that we changed did not blind them.
#[tokio::test]
async fn the_linters_find_flaws() {
    let flaws = r#"
        "A query." type Query {
            "A thing." thing("Its id." id: ID!): Thing
            "Things." things("How many." first: Int): ThingConnection
            old: String @deprecated
        }
        "A thing." type Thing { "Its name." Its_name: String "its kind." kind: ThingKind }
        "A page." type ThingConnection { "Rows." edges: [ThingEdge] }
        "A row." type ThingEdge { "The row." node: Thing }
        enum ThingKind { "small." small }
        "Never used." type Lost { "Its id." id: ID! }
    "#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flaws.graphql");
    fs::write(&path, flaws).unwrap();
    let answer = lint(&path).await;
    assert!(!answer.success, "{}", answer.said);
    for rule in [
        "@graphql-eslint/naming-convention",
        "@graphql-eslint/no-unreachable-types",
        "@graphql-eslint/relay-arguments",
        "@graphql-eslint/relay-connection-types",
        "@graphql-eslint/relay-edge-types",
        "@graphql-eslint/require-deprecation-reason",
        "@graphql-eslint/require-description",
        "@graphql-eslint/strict-id-in-types",
        " defined-types-are-used",
        " descriptions-are-capitalized",
        " enum-values-all-caps",
        " fields-are-camel-cased",
        " fields-have-descriptions",
        " relay-connection-arguments-spec",
        " relay-connection-types-spec",
        " types-have-descriptions",
    ] {
        assert!(answer.complained.contains(rule), "{rule} is blind: {}", answer.complained);
    }
}

/// `.ci/run` holds `schema.graphql` against that of the last release in this way.
#[tokio::test]
async fn what_breaks_clients_is_named_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let released = file("released", "type Query { customer: Int lead: Int }");
    let grown = file("grown", "type Query { customer: Int lead: Int ticket: Int }");
    let broken = file("broken", "type Query { customer: Int }");
    let nothing = file("nothing", "# nothing\n");
    let named = file("named", "# leads are prospects now\nFIELD_REMOVED: Query.lead was removed.\n");
    let script = tools("breaking-changes.mjs");
    let compare = async |arguments: [&str; 3]| node(folder.path(), &script, &arguments).await;

    compare([&released, &grown, &nothing]).await.well();
    compare([&released, &broken, &named]).await.well();
    let refused = compare([&released, &broken, &nothing]).await;
    assert!(!refused.success);
    assert!(refused.complained.contains("FIELD_REMOVED: Query.lead was removed."), "{}", refused.complained);
    let list = tools("breaking-changes.txt").display().to_string();
    let schema = repository().join("schema.graphql").display().to_string();
    compare([&schema, &schema, &list]).await.well();
}
