//! Users as a target: each has an account in the master database, so identity writes them.
//!
//! A new user is INVITED, and nobody is told: an administrator sends the invitations when it is time. A user who is
//! there keeps the e-mail address to log in with.

use entity::{
    record::{Record, RecordMeta},
    tenant::user,
};
use sea_orm::Value;
use uuid::Uuid;

use super::target::{Context, Draft, Target, Values, Writing, Written};
use crate::{
    data::{Unit, import::Hit},
    error::{Error, Result, UserError, UserErrorCode},
    services::identity::{Access, NewUser, UserChange},
};

/// Users.
pub(super) struct Users;

impl Target for Users {
    fn meta(&self) -> &'static RecordMeta {
        user::Entity::meta()
    }

    fn named(&self, _: &str) -> Option<&[String]> {
        None
    }

    fn is_fixed(&self, column: &str) -> bool {
        matches!(column, "status" | "role_name")
    }

    fn write<'a>(
        &'a self,
        unit: &'a mut Unit,
        context: &'a mut Context,
        existing: Option<&'a Hit>,
        draft: Draft,
    ) -> Writing<'a> {
        Box::pin(async move {
            let row = Row::read(draft.values)?;
            let (user, untold) = match existing {
                Some(existing) => {
                    let change = row.change(unit, existing.id).await?;
                    context.identity.user_import_change(unit, existing.id, &change, context.rehearsal).await?
                }
                None => context.identity.user_import(unit, &row.new_user()?, context.rehearsal).await?,
            };
            context.untold.extend(untold);
            Ok(Written { id: user.id, version: user.version, part_changed: false })
        })
    }
}

/// What a row says of a user: nothing, that there is no value, or the value.
#[derive(Default)]
struct Row {
    name: Option<String>,
    email: Option<String>,
    job_title: Option<Option<String>>,
    manager_id: Option<Option<Uuid>>,
    role_id: Option<Uuid>,
    external_reference: Option<Option<String>>,
}

impl Row {
    fn read(values: Values) -> Result<Self> {
        let mut row = Self::default();
        for (column, value) in values {
            let text = match &value {
                Some(Value::String(text)) => text.clone(),
                _ => None,
            };
            let id = match &value {
                Some(Value::Uuid(id)) => *id,
                _ => None,
            };
            match column.name {
                "name" => row.name = text,
                "email" => row.email = text,
                "job_title" => row.job_title = Some(text),
                "manager_id" => row.manager_id = Some(id),
                "role_id" => row.role_id = id,
                "external_reference" => row.external_reference = Some(text),
                other => return Err(Error::internal(format!("an import of users does not know {other}"))),
            }
        }
        Ok(row)
    }

    fn new_user(self) -> Result<NewUser> {
        let mut missing = Vec::new();
        let mut needed = |value: bool, field: &str, message: &str| {
            if !value {
                missing.push(UserError::new(UserErrorCode::Blank, &["input", field], message));
            }
        };
        needed(self.name.is_some(), "name", "name is required");
        needed(self.email.is_some(), "email", "email is required");
        needed(self.role_id.is_some(), "roleId", "a user needs a role, as in: set role.name to Agent");
        match (self.name, self.email, self.role_id) {
            (Some(name), Some(email), Some(role_id)) => Ok(NewUser {
                name,
                email,
                role_id,
                job_title: self.job_title.flatten(),
                manager_id: self.manager_id.flatten(),
                external_reference: self.external_reference.flatten(),
                access: Access::Later,
            }),
            _ => Err(Error::User(missing)),
        }
    }

    async fn change(self, unit: &Unit, id: Uuid) -> Result<UserChange> {
        if let Some(email) = &self.email {
            let before = unit.get::<user::Entity>(id).await?;
            if !before.email.eq_ignore_ascii_case(email.trim()) {
                let message = format!("{} logs in with {}; an import does not change that", before.name, before.email);
                return Err(Error::user(UserErrorCode::InvalidState, &["input", "email"], message));
            }
        }
        Ok(UserChange {
            name: self.name,
            job_title: self.job_title,
            manager_id: self.manager_id,
            role_id: self.role_id,
            status: None,
            external_reference: self.external_reference,
        })
    }
}
