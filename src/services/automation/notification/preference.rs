//! How users want to hear of things: for each kind in the application, by e-mail, both or not at all. A kind of which a
//! user has said nothing has the default of its kind.

use std::collections::HashMap;

use entity::tenant::{
    notification::{NotificationChannel, NotificationKind},
    notification_preference::{ActiveModel, Column, Entity, Model},
};
use sea_orm::{ActiveValue::Set, ColumnTrait, sea_query::Condition};
use uuid::Uuid;

use super::reaction::REACTIONS;
use crate::{
    auth::{Action, Permission},
    data::{Rules, TenantDb, Unit},
    error::Result,
};

impl Rules for Entity {}

/// The ways in which somebody hears of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// In the application.
    pub in_app: bool,
    /// By e-mail.
    pub email: bool,
}

impl Channels {
    /// Those that are used.
    #[must_use]
    pub fn list(self) -> Vec<NotificationChannel> {
        let used = [(self.in_app, NotificationChannel::InApp), (self.email, NotificationChannel::Email)];
        used.into_iter().filter_map(|(used, channel)| used.then_some(channel)).collect()
    }
}

/// The default of a kind.
fn default_of(kind: NotificationKind) -> Channels {
    REACTIONS.iter().find(|reaction| reaction.kind == kind).map_or_else(Channels::default, |reaction| reaction.default)
}

/// What several users have said.
pub(super) struct Preferences(HashMap<(Uuid, NotificationKind), Channels>);

impl Preferences {
    /// Reads what these users have said.
    pub(super) async fn of(unit: &Unit, users: impl Iterator<Item = Uuid>) -> Result<Self> {
        let rows = unit.all_rows::<Entity>(Condition::all().add(Column::UserId.is_in(users))).await?;
        Ok(Self(rows.into_iter().map(|row| ((row.user_id, row.kind), channels(&row))).collect()))
    }

    pub(super) fn channels(&self, user: Uuid, kind: NotificationKind) -> Channels {
        self.0.get(&(user, kind)).copied().unwrap_or_else(|| default_of(kind))
    }
}

fn channels(row: &Model) -> Channels {
    Channels { in_app: row.in_app, email: row.email }
}

const READ: Permission = Permission::new("notifications", Action::Read);

/// How the actor hears of each kind, in the order in which people should see them.
///
/// # Errors
/// [`crate::error::Error::Forbidden`] without `notifications.read`.
pub async fn all(db: &TenantDb) -> Result<Vec<(NotificationKind, &'static str, Channels)>> {
    let said = db.find::<Entity>()?.all().await?;
    let said: HashMap<_, _> = said.iter().map(|row| (row.kind, channels(row))).collect();
    let of = |kind| said.get(&kind).copied().unwrap_or_else(|| default_of(kind));
    Ok(super::kinds().map(|(kind, about)| (kind, about, of(kind))).collect())
}

/// Says how the actor wants to hear of a kind; what is `None` stays as it is. Answers the preference's row.
///
/// # Errors
/// [`crate::error::Error::Forbidden`] without `notifications.read`.
pub async fn put(unit: &mut Unit, kind: NotificationKind, in_app: Option<bool>, email: Option<bool>) -> Result<Uuid> {
    unit.actor().require(READ)?;
    let user = unit.actor().user_id;
    // Of two at the same moment the second waits, and finds the row.
    unit.one_at_a_time("notification_preference").await?;
    let own = Condition::all().add(Column::UserId.eq(user)).add(Column::Kind.eq(kind));
    let row = unit.find::<Entity>(own).await?;
    let before = row.as_ref().map_or_else(|| default_of(kind), channels);
    let change = ActiveModel {
        in_app: Set(in_app.unwrap_or(before.in_app)),
        email: Set(email.unwrap_or(before.email)),
        ..Default::default()
    };
    let written = match row {
        Some(row) => unit.update_by_rule::<Entity>(&row, change).await?,
        None => unit.insert_by_rule::<Entity>(ActiveModel { user_id: Set(user), kind: Set(kind), ..change }).await?,
    };
    Ok(written.id)
}
