//! Users as a target: each has an account in the master database, so identity writes them.
//!
//! A new user is INVITED, and nobody is told: an administrator sends the invitations when it is time. A user who is
//! there keeps the e-mail address to log in with.

use entity::{
    record::{Record, RecordMeta},
    tenant::user,
};
use sea_orm::Value;

use super::target::{Context, Draft, Target, Values, Writing, Written};
use crate::{
    data::{Unit, import::Hit},
    error::{Error, Result},
    services::identity::{Access, UserValues},
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
            let values = read(draft.values)?;
            let (user, untold) = match existing {
                Some(existing) => {
                    let change = values.into_change(unit, existing.id).await?;
                    context.identity.user_import_change(unit, existing.id, &change, context.rehearsal).await?
                }
                None => {
                    let new = values.into_new(Access::Later)?;
                    context.identity.user_import(unit, &new, context.rehearsal).await?
                }
            };
            context.untold.extend(untold);
            Ok(Written { id: user.id, version: user.version, part_changed: false })
        })
    }
}

/// What a row says of a user.
fn read(values: Values) -> Result<UserValues> {
    let mut user = UserValues::default();
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
            "name" => user.name = text,
            "email" => user.email = text,
            "job_title" => user.job_title = Some(text),
            "manager_id" => user.manager_id = Some(id),
            "role_id" => user.role_id = id,
            "external_reference" => user.external_reference = Some(text),
            other => return Err(Error::internal(format!("an import of users does not know {other}"))),
        }
    }
    Ok(user)
}
