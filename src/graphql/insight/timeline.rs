//! The timeline of a customer in the API.

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use chrono::{DateTime, SubsecRound, Utc};
use data_encoding::BASE64URL_NOPAD;
use entity::{record::Record, tenant::user};
use uuid::Uuid;

use crate::{
    data::{
        ids,
        plan::denied,
        timeline::{Entry, Place},
    },
    error::{Error, Result},
    graphql::{
        identity::user::User,
        kit::{
            connection::PageInfo,
            db,
            error::null_with,
            id::AnyId,
            relation,
            select::{DEFAULT_PAGE, LARGEST_PAGE},
        },
        node::Node,
    },
    services::insight::timeline::{self, Kind},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Kind")]
pub enum TimelineEntryKind {
    /// An activity was planned.
    ActivityPlanned,
    /// An activity was completed.
    ActivityCompleted,
    /// A deal was begun.
    OpportunityCreated,
    /// A deal was won.
    OpportunityWon,
    /// A deal was lost.
    OpportunityLost,
    /// A ticket was opened.
    TicketOpened,
    /// A ticket was resolved.
    TicketResolved,
    /// People came together.
    Interaction,
}

/// Something that happened around a customer.
pub struct TimelineEntry {
    entry: Entry,
    kind: Kind,
}

/// Something that happened around a customer.
#[Object]
impl TimelineEntry {
    /// Tells the entry from all others; it cannot be asked for by `node`.
    async fn id(&self) -> ID {
        ID(format!("{}.{}", ids::encode(self.entry.record, self.entry.place.id), self.entry.place.kind))
    }

    /// When it happened.
    async fn at(&self) -> DateTime<Utc> {
        self.entry.place.at
    }

    /// What happened.
    async fn kind(&self) -> TimelineEntryKind {
        self.kind.into()
    }

    /// What it was about: the subject or the title of the record.
    async fn title(&self) -> Option<&str> {
        self.entry.title.as_deref()
    }

    /// The id of the record that it happened to.
    async fn record_id(&self) -> ID {
        ID(ids::encode(self.entry.record, self.entry.place.id))
    }

    /// The record that it happened to. The records of a page are read in one statement for each of their types.
    async fn record(&self, ctx: &Context<'_>) -> Option<Node> {
        Node::load(ctx, &AnyId { name: self.entry.record.to_owned(), id: self.entry.place.id }).await
    }

    /// Who did it: who created what was planned, begun or opened, the owner of what was completed, won, lost or
    /// resolved, and who took part in an interaction. Null when it was the platform. Needs `users.read`.
    async fn actor(&self, ctx: &Context<'_>) -> Option<User> {
        match db(ctx).map(|db| denied(user::Entity::meta(), db.actor())) {
            Ok(None) => relation::entity(ctx, self.entry.actor).await,
            Ok(Some(permission)) => null_with(ctx, Error::Forbidden { permission: permission.to_string() }),
            Err(error) => null_with(ctx, error),
        }
    }
}

/// An entry and where it stands.
#[derive(SimpleObject)]
pub struct TimelineEntryEdge {
    /// Where the entry stands: give it to `after`.
    pub cursor: String,
    /// The entry.
    pub node: std::sync::Arc<TimelineEntry>,
}

/// A page of a timeline.
#[derive(SimpleObject)]
pub struct TimelineEntryConnection {
    /// The entries with their cursors.
    pub edges: Vec<TimelineEntryEdge>,
    /// The entries.
    pub nodes: Vec<std::sync::Arc<TimelineEntry>>,
    /// Where the page stands in the timeline.
    pub page_info: PageInfo,
}

/// A page of a customer's timeline.
///
/// # Errors
/// [`Error::BadInput`] for a size or a cursor that cannot be meant.
pub async fn page(
    ctx: &Context<'_>,
    customer: Uuid,
    first: Option<i32>,
    after: Option<&str>,
    kinds: Option<Vec<TimelineEntryKind>>,
) -> Result<TimelineEntryConnection> {
    let limit = match first.map(u32::try_from) {
        None => DEFAULT_PAGE,
        Some(Ok(first)) if first <= LARGEST_PAGE => first,
        Some(_) => return Err(Error::BadInput(format!("first is a number from 0 to {LARGEST_PAGE}"))),
    };
    let place = after.map(read_cursor).transpose()?;
    let kinds: Vec<Kind> =
        kinds.map_or_else(|| Kind::ALL.to_vec(), |kinds| kinds.into_iter().map(Kind::from).collect());
    let (entries, more) = timeline::page(db(ctx)?, customer, &kinds, limit, place).await?;
    let mut edges = Vec::with_capacity(entries.len());
    for entry in entries {
        let kind = Kind::of(entry.place.kind).ok_or_else(|| Error::internal("an entry of no kind"))?;
        let cursor = write_cursor(entry.place);
        edges.push(TimelineEntryEdge { cursor, node: std::sync::Arc::new(TimelineEntry { entry, kind }) });
    }
    Ok(TimelineEntryConnection {
        nodes: edges.iter().map(|edge| edge.node.clone()).collect(),
        page_info: PageInfo {
            has_next_page: more,
            has_previous_page: place.is_some(),
            start_cursor: edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: edges.last().map(|edge| edge.cursor.clone()),
        },
        edges,
    })
}

/// The cursor of an entry: its place, as base64url.
fn write_cursor(Place { at, id, kind }: Place) -> String {
    BASE64URL_NOPAD.encode(format!("timeline {} {} {kind}", at.timestamp_micros(), id.simple()).as_bytes())
}

fn read_cursor(cursor: &str) -> Result<Place> {
    let place = || {
        let text = String::from_utf8(BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?).ok()?;
        let mut parts = text.strip_prefix("timeline ")?.split(' ');
        let at = DateTime::from_timestamp_micros(parts.next()?.parse().ok()?)?.trunc_subsecs(6);
        let id = Uuid::try_parse(parts.next()?).ok()?;
        let kind = parts.next()?.parse().ok()?;
        // A year that RFC 3339 cannot write was never in a cursor.
        let written = (0..=9999).contains(&chrono::Datelike::year(&at));
        (written && parts.next().is_none()).then_some(Place { at, id, kind })
    };
    place().ok_or_else(|| Error::BadInput("this is no cursor of a timeline".to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_keeps_its_place(micros in 0..4_000_000_000_000_000i64, bits: u128, kind: i32) {
            let at = DateTime::from_timestamp_micros(micros).unwrap();
            let place = Place { at, id: Uuid::from_u128(bits), kind };
            prop_assert_eq!(read_cursor(&write_cursor(place)).unwrap(), place);
        }

        #[test]
        fn whatever_else_comes_is_refused(text in "\\PC{0,60}") {
            prop_assert!(read_cursor(&text).is_err());
            prop_assert!(read_cursor(&BASE64URL_NOPAD.encode(text.as_bytes())).is_err());
        }
    }
}
