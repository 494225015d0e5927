//! The texts that a tenant has put in the place of ours. They are looked at when they are saved: what names a variable
//! that its e-mail does not have, or cannot be filled for any other reason, is refused with the place and the cause.
//!
//! Whoever writes the texts of invitations and password e-mails decides where their links are shown, so
//! `email_templates.write` is for administrators. Events `email_template.created`, `.updated`, `.deleted`.

use entity::tenant::email_template::{self, ActiveModel, Column, EmailTemplateName, Entity, Model};
use sea_orm::{ActiveEnum, ActiveValue::Set, ColumnTrait, Iterable, sea_query::Condition};
use uuid::Uuid;

use super::template::{Source, Templates};
use crate::{
    auth::{Action, Permission},
    data::{Rules, TenantDb, Unit},
    error::{Error, Result, UserError, UserErrorCode},
};

impl Rules for Entity {}

const READ: Permission = Permission::new("email_templates", Action::Read);
const WRITE: Permission = Permission::new("email_templates", Action::Write);

/// The texts of one e-mail, and what they can be filled with.
#[derive(Clone, Debug)]
pub struct Texts {
    /// Which e-mail.
    pub name: EmailTemplateName,
    /// The texts.
    pub source: Source,
    /// The row of a tenant that has its own.
    pub own: Option<Model>,
    /// What can stand in them.
    pub variables: &'static [(&'static str, &'static str)],
}

/// The name of the file that an e-mail's texts are in, as the queue has it.
pub(super) fn file_of(name: EmailTemplateName) -> String {
    name.to_value().to_lowercase()
}

fn texts(name: EmailTemplateName, own: Option<Model>) -> Texts {
    let source = own.as_ref().map_or_else(|| Templates::source(&file_of(name)), source_of);
    Texts { name, source, own, variables: Templates::variables(&file_of(name)) }
}

fn source_of(row: &Model) -> Source {
    Source { subject: row.subject.clone(), text: row.text.clone(), html: row.html.clone() }
}

/// The texts of every e-mail, as they are sent.
///
/// # Errors
/// [`Error::Forbidden`] without `email_templates.read`.
pub async fn all(db: &TenantDb) -> Result<Vec<Texts>> {
    let mut own = db.find::<Entity>()?.all().await?;
    let mut take = |name| own.iter().position(|row| row.name == name).map(|at| own.swap_remove(at));
    Ok(EmailTemplateName::iter().map(|name| texts(name, take(name))).collect())
}

/// What the tenant has put in the place of our texts; none where it has not.
pub(super) async fn own(db: &TenantDb, file: &str) -> Result<Option<Source>> {
    let Some(name) = EmailTemplateName::iter().find(|name| file_of(*name) == file) else { return Ok(None) };
    Ok(db.find::<Entity>()?.filter(Column::Name.eq(name)).one().await?.as_ref().map(source_of))
}

/// Puts texts in the place of those that there are.
///
/// # Errors
/// [`Error::Forbidden`] without `email_templates.write`; [`Error::User`] for texts that cannot be filled.
pub async fn put(unit: &mut Unit, name: EmailTemplateName, source: Source) -> Result<Uuid> {
    unit.actor().require(WRITE)?;
    check(name, &source)?;
    // Of two at the same moment the second waits, and finds the row.
    unit.one_at_a_time("email_template").await?;
    let Source { subject, text, html } = source;
    let change = ActiveModel { subject: Set(subject), text: Set(text), html: Set(html), ..Default::default() };
    let written = match row_of(unit, name).await? {
        Some(row) => unit.update_by_rule::<Entity>(&row, change).await?,
        None => unit.insert_by_rule::<Entity>(ActiveModel { name: Set(name), ..change }).await?,
    };
    Ok(written.id)
}

/// Goes back to our texts; does nothing where they are ours.
///
/// # Errors
/// [`Error::Forbidden`] without `email_templates.write`.
pub async fn reset(unit: &mut Unit, name: EmailTemplateName) -> Result<Option<Uuid>> {
    unit.actor().require(WRITE)?;
    unit.one_at_a_time("email_template").await?;
    let Some(row) = row_of(unit, name).await? else { return Ok(None) };
    unit.delete_by_rule::<Entity>(&row).await.map(|row| Some(row.id))
}

async fn row_of(unit: &Unit, name: EmailTemplateName) -> Result<Option<email_template::Model>> {
    let rows = unit.all_rows::<Entity>(Condition::all().add(Column::Name.eq(name))).await?;
    Ok(rows.into_iter().next())
}

/// The texts filled with made-up values.
///
/// # Errors
/// [`Error::Forbidden`] without `email_templates.read`; [`Error::User`] for texts that cannot be filled.
pub fn preview(db: &TenantDb, name: EmailTemplateName, source: &Source) -> Result<Source> {
    db.actor().require(READ)?;
    check(name, source)
}

fn check(name: EmailTemplateName, source: &Source) -> Result<Source> {
    Templates::check(&file_of(name), source).map_err(|wrong| {
        let error =
            |(field, message): (&str, String)| UserError::new(UserErrorCode::Invalid, &["input", field], message);
        Error::User(wrong.into_iter().map(error).collect())
    })
}
