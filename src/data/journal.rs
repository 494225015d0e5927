//! What a unit of work leaves behind: one audit entry and one event for every changed row, and the events that rules
//! add.
//!
//! Both are numbered from a one-row head table. The head is taken when all other work of the transaction is done and
//! its lock is held only from there to COMMIT, so numbers are gapless and in commit order on both engines. Audit
//! entries form a chain: each hash covers the one before and a salted commitment to the changes, so that erasing the
//! changes of a person (and their salt) leaves the chain verifiable.

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use entity::record::{Column, RecordMeta};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, Value,
    sea_query::{Expr, ExprTrait, Query, SimpleExpr},
};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{feed::Event, ids, value};
use crate::{
    auth::{Actor, ActorKind},
    error::{Error, Result},
};

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    Updated,
    Deleted,
    Restored,
}

impl Change {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
        }
    }
}

/// The difference between two states of a row: column name, before, after.
pub(super) type Difference = Vec<(&'static str, Value, Value)>;

struct AuditEntry {
    action: &'static str,
    record_type: &'static str,
    record_id: Uuid,
    version: i32,
    changes: Json,
}

/// The audit entries and events of one unit of work, until it is sealed.
#[derive(Default)]
pub(super) struct Journal {
    entries: Vec<AuditEntry>,
    events: Vec<Event>,
}

/// A point in a journal to go back to.
#[derive(Clone, Copy)]
pub(super) struct Mark(usize, usize);

/// Columns that change with every write and say nothing of it.
const BOOKKEEPING: &[&str] = &["tenant_id", "version", "updated_at", "updated_by"];

impl Journal {
    /// Whether it will put anything into the outbox.
    pub(super) const fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) const fn mark(&self) -> Mark {
        Mark(self.entries.len(), self.events.len())
    }

    pub(super) fn rewind(&mut self, mark: Mark) {
        self.entries.truncate(mark.0);
        self.events.truncate(mark.1);
    }

    /// Notes what happened to a row; `after` is the whole row.
    #[expect(clippy::too_many_arguments, reason = "one entry, named by its columns")]
    pub(super) fn note(
        &mut self,
        meta: &'static RecordMeta,
        change: Change,
        record_id: Uuid,
        version: i32,
        difference: &Difference,
        after: &[(&'static str, Value)],
        actor: &Actor,
        now: DateTime<Utc>,
    ) {
        let after_text = |name: &str| text_of(after.iter().find(|(own, _)| *own == name).map(|(_, value)| value));
        let before_text = |name: &str| match difference.iter().find(|(own, ..)| *own == name) {
            Some((_, before, _)) => text_of(Some(before)),
            None => after_text(name),
        };
        let beside_before = Beside { currency: before_text("currency"), related_type: before_text("related_type") };
        let beside_after = Beside { currency: after_text("currency"), related_type: after_text("related_type") };
        let (mut changes, mut previous, mut changed_fields) = (Map::new(), Map::new(), Vec::new());
        for (name, before, after) in difference {
            let Some(column) = meta.column(name) else { continue };
            if BOOKKEEPING.contains(name) {
                continue;
            }
            let Some(field) = api_field(column) else { continue };
            let from = api_value(meta, column, before, &beside_before);
            let to = api_value(meta, column, after, &beside_after);
            changes.insert(field.to_owned(), json!({ "from": from, "to": to }));
            previous.insert(field.to_owned(), from);
            changed_fields.push(field.to_owned());
        }
        let data = data_of(meta, after, &beside_after);
        let created = change == Change::Created;
        if meta.audited {
            self.entries.push(AuditEntry {
                action: change.name(),
                record_type: meta.name,
                record_id,
                version,
                changes: Json::Object(changes),
            });
        }
        self.events.push(Event {
            seq: 0,
            id: ids::new(now),
            name: format!("{}.{}", meta.name, change.name()),
            record_type: meta.name.into(),
            record_id,
            actor_id: actor.user_id,
            occurred_at: now,
            changed_fields: if created { Vec::new() } else { changed_fields },
            data,
            previous: if created { Json::Object(Map::new()) } else { Json::Object(previous) },
        });
    }

    /// Adds an event that a rule raises, such as `opportunity.won`, after the row's own.
    pub(super) fn raise(
        &mut self,
        meta: &'static RecordMeta,
        event: &str,
        record_id: Uuid,
        actor: &Actor,
        now: DateTime<Utc>,
    ) {
        let own = self.events.iter().rev().find(|own| own.record_id == record_id);
        let (changed_fields, data, previous) = own.map_or_else(
            || (Vec::new(), json!({ "id": ids::encode(meta.name, record_id) }), json!({})),
            |own| (own.changed_fields.clone(), own.data.clone(), own.previous.clone()),
        );
        self.events.push(Event {
            seq: 0,
            id: ids::new(now),
            name: format!("{}.{event}", meta.name),
            record_type: meta.name.into(),
            record_id,
            actor_id: actor.user_id,
            occurred_at: now,
            changed_fields,
            data,
            previous,
        });
    }

    /// Adds an event that a rule raises of a row that this unit does not change; `row` is the whole of it.
    pub(super) fn raise_of(
        &mut self,
        meta: &'static RecordMeta,
        event: &str,
        record_id: Uuid,
        row: &[(&'static str, Value)],
        actor: &Actor,
        now: DateTime<Utc>,
    ) {
        let text = |name: &str| text_of(row.iter().find(|(own, _)| *own == name).map(|(_, value)| value));
        let beside = Beside { currency: text("currency"), related_type: text("related_type") };
        self.raise(meta, event, record_id, actor, now);
        if let Some(raised) = self.events.last_mut() {
            raised.data = data_of(meta, row, &beside);
        }
    }

    /// Numbers and writes everything noted. The last thing before COMMIT; at most five statements, whatever the
    /// number of rows. Answers the events as they stand in the outbox.
    pub(super) async fn seal(
        mut self,
        tx: &DatabaseTransaction,
        tenant_id: Uuid,
        actor: &Actor,
        now: DateTime<Utc>,
        salt: impl Fn() -> String,
    ) -> Result<(Vec<Event>, u32)> {
        if self.entries.is_empty() && self.events.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let (new_entries, new_events) = (self.entries.len() as i64, self.events.len() as i64);
        let take_head = Query::update()
            .table("event_head")
            .value("event_seq", Expr::col("event_seq").add(new_events))
            .value("audit_seq", Expr::col("audit_seq").add(new_entries))
            .and_where(Expr::col("id").eq(1))
            .returning(Query::returning().columns(["event_seq", "audit_seq", "audit_hash"]))
            .to_owned();
        let head = tx.query_one(&take_head).await?.ok_or_else(|| Error::internal("the event head is missing"))?;
        let (event_seq, audit_seq): (i64, i64) = (head.try_get_by_index(0)?, head.try_get_by_index(1)?);
        let mut hash: String = head.try_get_by_index(2)?;

        let mut statements = 1;
        for (offset, event) in self.events.iter_mut().enumerate() {
            event.seq = event_seq - new_events + 1 + offset as i64;
        }
        for chunk in self.events.chunks(CHUNK) {
            tx.execute(&insert_events(chunk, tenant_id)).await?;
            statements += 1;
        }
        let kind = match actor.kind {
            ActorKind::User => "USER",
            ActorKind::ApiKey { .. } => "API_KEY",
            ActorKind::System => "SYSTEM",
        };
        for (index, chunk) in self.entries.chunks(CHUNK).enumerate() {
            let mut insert = Query::insert();
            insert.into_table("audit_log").columns(AUDIT_COLUMNS);
            for (offset, entry) in chunk.iter().enumerate() {
                let seq = audit_seq - new_entries + 1 + (index * CHUNK + offset) as i64;
                let salt = salt();
                let commitment = digest(&[&salt, &entry.changes.to_string()]);
                let (record_id, actor_id) = (entry.record_id.to_string(), actor.user_id.to_string());
                hash = digest(&[
                    &hash,
                    &seq.to_string(),
                    &value::moment(now),
                    &actor_id,
                    entry.action,
                    entry.record_type,
                    &record_id,
                    &commitment,
                ]);
                let values: [SimpleExpr; 14] = [
                    ids::new(now).into(),
                    tenant_id.into(),
                    seq.into(),
                    now.into(),
                    actor.user_id.into(),
                    kind.into(),
                    entry.action.into(),
                    entry.record_type.into(),
                    entry.record_id.into(),
                    entry.version.into(),
                    entry.changes.clone().into(),
                    salt.into(),
                    commitment.into(),
                    hash.clone().into(),
                ];
                insert.values_panic(values);
            }
            tx.execute(&insert).await?;
            statements += 1;
        }
        if new_entries > 0 {
            let put_hash = Query::update()
                .table("event_head")
                .value("audit_hash", hash)
                .and_where(Expr::col("id").eq(1))
                .to_owned();
            tx.execute(&put_hash).await?;
            statements += 1;
        }
        Ok((self.events, statements))
    }
}

/// What other columns of the row say about a value.
struct Beside {
    currency: Option<String>,
    related_type: Option<String>,
}

/// The name of a column in the API. What a row is about stands in two columns and is one field there.
fn api_field(column: &Column) -> Option<&str> {
    match column.name {
        "related_type" => None,
        "related_id" => Some("relatedToId"),
        _ => Some(&column.field),
    }
}

fn api_value(meta: &RecordMeta, column: &Column, value: &Value, beside: &Beside) -> Json {
    match (column.name, value, &beside.related_type) {
        ("related_id", Value::Uuid(Some(id)), Some(related_type)) => json!(ids::encode(related_type, *id)),
        _ => value::to_api(meta, column, value, beside.currency.as_deref()),
    }
}

/// A whole row as the API names and writes its fields.
fn data_of(meta: &RecordMeta, row: &[(&'static str, Value)], beside: &Beside) -> Json {
    let field = |(name, value): &(&'static str, Value)| {
        let column = meta.column(name)?;
        Some((api_field(column)?.to_owned(), api_value(meta, column, value, beside)))
    };
    Json::Object(row.iter().filter_map(field).collect())
}

fn text_of(value: Option<&Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) => text.clone(),
        _ => None,
    }
}

/// How many rows one INSERT takes: 14 columns each, within the 32,766 parameters of SQLite.
const CHUNK: usize = 500;

const AUDIT_COLUMNS: [&str; 14] = [
    "id",
    "tenant_id",
    "seq",
    "created_at",
    "actor_id",
    "actor_kind",
    "action",
    "record_type",
    "record_id",
    "record_version",
    "changes",
    "salt",
    "commitment",
    "hash",
];

fn insert_events(events: &[Event], tenant_id: Uuid) -> sea_orm::sea_query::InsertStatement {
    let mut insert = Query::insert();
    insert.into_table("event").columns([
        "seq",
        "id",
        "tenant_id",
        "name",
        "record_type",
        "record_id",
        "actor_id",
        "occurred_at",
        "changed_fields",
        "data",
        "previous",
    ]);
    for event in events {
        let values: [SimpleExpr; 11] = [
            event.seq.into(),
            event.id.into(),
            tenant_id.into(),
            event.name.clone().into(),
            event.record_type.as_ref().into(),
            event.record_id.into(),
            event.actor_id.into(),
            event.occurred_at.into(),
            json!(event.changed_fields).into(),
            event.data.clone().into(),
            event.previous.clone().into(),
        ];
        insert.values_panic(values);
    }
    insert
}

/// SHA-256 over the parts, each preceded by its length so that no two lists of parts agree; lower-case hex.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    HEXLOWER.encode(&hasher.finalize())
}
