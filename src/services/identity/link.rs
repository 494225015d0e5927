//! One-time links: whoever holds one may set the password of an account, once, until it expires. A new link replaces
//! every earlier one of its kind.

use std::fmt;

use chrono::{DateTime, Duration, Utc};
use entity::master::{OneTimePurpose, account, one_time_token};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};

use super::Identity;
use crate::{
    auth::secret::{SecretKind, SecretToken},
    data::{ids, master::MasterUnit},
    error::{Error, Result, UserErrorCode},
};

/// An invitation that was made: its link is sent by e-mail, and can be shown once to whoever invited.
#[derive(Clone)]
pub struct Invitation {
    /// The secret in the link.
    pub token: SecretToken,
    /// The whole link.
    pub link: String,
    /// Until when it counts.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Identity {
    /// A link that nobody has yet.
    pub(super) fn draw_link(&self, purpose: OneTimePurpose, now: DateTime<Utc>) -> Result<Invitation> {
        let settings = self.settings();
        let (template, lasts) = match purpose {
            OneTimePurpose::Invite => (&settings.invitation_link, Duration::days(i64::from(settings.invitation_days))),
            OneTimePurpose::Reset => (&settings.reset_link, Duration::minutes(i64::from(settings.reset_minutes))),
        };
        let token = SecretToken::generate(SecretKind::OneTimeLink)?;
        let link = template.replace("{token}", token.expose());
        Ok(Invitation { token, link, expires_at: now + lasts })
    }

    /// The link that was presented, if it counts for this purpose now.
    pub(super) async fn presented_link(&self, purpose: OneTimePurpose, text: &str) -> Result<one_time_token::Model> {
        let secret = SecretToken::parse(SecretKind::OneTimeLink, text.trim()).ok_or_else(spent)?;
        let query = one_time_token::Entity::find().filter(one_time_token::Column::Hash.eq(secret.hash()));
        let row = self.master().one(query).await?.ok_or_else(spent)?;
        if row.purpose == purpose && counts(&row, self.now()) { Ok(row) } else { Err(spent()) }
    }
}

fn counts(row: &one_time_token::Model, now: DateTime<Utc>) -> bool {
    row.used_at.is_none() && now < row.expires_at
}

/// What somebody learns whose link does not count: not why.
pub(super) fn spent() -> Error {
    Error::user(UserErrorCode::Invalid, &["input", "token"], "This link is not valid any more; ask for a new one")
}

/// Stores a link in place of the account's earlier ones of its kind.
pub(super) async fn store(
    unit: &mut MasterUnit,
    account: &account::Model,
    purpose: OneTimePurpose,
    link: &Invitation,
) -> Result<()> {
    use_up(unit, account, Some(purpose)).await?;
    let now = unit.now();
    unit.insert(one_time_token::ActiveModel {
        id: Set(ids::new(now)),
        account_id: Set(account.id),
        purpose: Set(purpose),
        hash: Set(link.token.hash()),
        created_at: Set(now),
        expires_at: Set(link.expires_at),
        used_at: Set(None),
    })
    .await?;
    Ok(())
}

/// Marks the account's links (of one kind) as used.
pub(super) async fn use_up(
    unit: &mut MasterUnit,
    account: &account::Model,
    purpose: Option<OneTimePurpose>,
) -> Result<()> {
    let mut statement = one_time_token::Entity::update_many()
        .col_expr(one_time_token::Column::UsedAt, Expr::value(unit.now()))
        .filter(one_time_token::Column::AccountId.eq(account.id))
        .filter(one_time_token::Column::UsedAt.is_null());
    if let Some(purpose) = purpose {
        statement = statement.filter(one_time_token::Column::Purpose.eq(purpose));
    }
    unit.update_many(statement).await?;
    Ok(())
}

/// The account of a link that is used in this transaction. Of two uses at the same moment the second waits here and
/// finds the link used.
pub(super) async fn redeem(unit: &mut MasterUnit, link: &one_time_token::Model) -> Result<account::Model> {
    let query = account::Entity::find_by_id(link.account_id).lock_exclusive();
    let account = unit.one(query).await?.ok_or_else(spent)?;
    let now = unit.now();
    let row = unit.one(one_time_token::Entity::find_by_id(link.id)).await?;
    if !row.is_some_and(|row| counts(&row, now)) {
        return Err(spent());
    }
    use_up(unit, &account, None).await?;
    Ok(account)
}
