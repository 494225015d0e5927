//! Every record is whole: its table holds what its entity says, its module can be granted, its relations lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use entity::record::{Kind, Link, RecordMeta};
use migration::TenantMigrator;
use rapport::{auth::permission::MODULES, graphql::node::record_types};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use sea_orm_migration::MigratorTrait;

fn records() -> Vec<&'static RecordMeta> {
    record_types().map(|(_, meta)| meta).collect()
}

/// The columns that the migrations give a table, and whether each may be empty.
async fn columns(db: &impl ConnectionTrait, table: &str) -> BTreeMap<String, bool> {
    let pragma = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA table_info(\"{table}\")"));
    let rows = db.query_all_raw(pragma).await.unwrap();
    rows.iter()
        .map(|row| (row.try_get::<String>("", "name").unwrap(), row.try_get::<i32>("", "notnull").unwrap() == 0))
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a database of the test's own")]
#[tokio::test]
async fn tables_and_entities_agree() {
    let db = Database::connect("sqlite::memory:").await.unwrap();
    TenantMigrator::up(&db, None).await.unwrap();
    for record in records() {
        let mut expected = BTreeMap::new();
        for column in &record.columns {
            expected.insert(column.name.to_owned(), column.nullable);
            if let Some(folded) = column.folded {
                expected.insert(folded.to_owned(), column.nullable);
            }
        }
        let mut table = columns(&db, record.name).await;
        // The salt of an audit entry's commitment is for whoever verifies the chain; the API never reads it.
        if record.name == "audit_log" {
            table.remove("salt");
        }
        assert_eq!(
            table, expected,
            "the columns of `{}` (and whether they may be empty) differ between its migration, on the left, and its \
             entity, on the right",
            record.name
        );
    }
}

#[test]
fn modules_can_be_granted() {
    let modules: BTreeSet<&str> = MODULES.iter().map(|module| module.name).collect();
    for record in records() {
        assert!(
            modules.contains(record.module),
            "the module `{}` of `{}` is missing in MODULES of src/auth/permission.rs: nobody could be allowed to read it",
            record.module,
            record.name
        );
    }
}

#[test]
fn relations_lead_somewhere() {
    for record in records() {
        for relation in &record.relations {
            let target = (relation.target)();
            let (holder, column, only) = match relation.link {
                Link::One { column } => (record, column, None),
                Link::Many { column, only } => (target, column, only),
            };
            let found = holder.column(column).map(|column| column.kind);
            let what = format!("the relation `{}` of `{}`", relation.name, record.name);
            assert_eq!(found, Some(Kind::Uuid), "{what} goes over {}.{column}, which is no id", holder.name);
            if let Some((kind, value)) = only {
                assert!(holder.column(kind).is_some(), "{what} asks for {}.{kind}, which is not there", holder.name);
                assert_eq!(value, record.name, "{what} asks for rows about another record");
            }
            assert!(
                records().iter().any(|other| other.name == target.name),
                "{what} leads to `{}`, which the API does not show",
                target.name
            );
        }
    }
}

/// What a row belongs to says who sees it, so the way up must end at a record that says so itself.
#[test]
fn children_follow_their_parents() {
    use entity::record::Scope;
    for record in records() {
        let Scope::Child { column, parent } = record.scope else { continue };
        let link = Link::One { column };
        let up = record.relations.iter().find(|relation| relation.link == link);
        assert_eq!(
            up.map(|relation| (relation.target)().name),
            Some(parent().name),
            "`{}` is a child by {column}, but no relation of it leads to its parent by that column",
            record.name
        );
        assert_eq!(record.module, parent().module, "`{}` is of another module than its parent", record.name);
    }
}
