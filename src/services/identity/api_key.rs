//! API keys: made, changed, revoked. The key itself is told once, when it is made.
//!
//! What a key may do is computed anew for every request, from its own permissions and those of its creator; here is
//! only seen to it that nobody makes a key that is to do more than he may now.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use entity::{
    master::{DataScope, Scopes, api_key},
    tenant::api_key as key_record,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};
use serde_json::json;
use uuid::Uuid;

use super::{
    Identity,
    guard::{lock_tenant, may_grant, permissions_of},
    mirror::Mirrored,
};
use crate::{
    auth::{
        Action, ActorKind, Permission,
        secret::{SecretKind, SecretToken},
    },
    data::{TenantDb, Unit, idempotency::Outcome, ids, master::MasterUnit},
    error::{Error, Result, UserErrorCode},
};

const WRITE: Permission = Permission::new("api_keys", Action::Write);

/// An API key to be made, for the actor.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What it is for.
    pub name: String,
    /// The names of the permissions it has at most.
    pub permissions: Vec<String>,
    /// Which records it reaches at most.
    pub data_scope: DataScope,
    /// Until when it counts.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A change of an API key: `None` leaves a value as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyChange {
    /// What it is for.
    pub name: Option<String>,
    /// The names of the permissions it has at most: these and no others.
    pub permissions: Option<Vec<String>>,
    /// Which records it reaches at most.
    pub data_scope: Option<DataScope>,
    /// Until when it counts.
    pub expires_at: Option<Option<DateTime<Utc>>>,
}

impl Identity {
    /// Makes a key for the actor. Answers the outcome and the key: shown now and never again. A repeated request
    /// under an idempotency key gets the outcome and no key.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without `api_keys.write`, and for a permission that the actor does not hold.
    pub async fn api_key_create(&self, db: &TenantDb, new: NewApiKey) -> Result<(Outcome, Option<SecretToken>)> {
        db.actor().require(WRITE)?;
        if db.actor().kind == ActorKind::System {
            return Err(Error::internal("an API key acts for a user, and the platform is none"));
        }
        let mut made = None;
        let outcome = db
            .mutate(async |unit| {
                let (id, row, secret) = self.make_key(unit, &new).await?;
                made = Some((row, secret));
                Ok(Outcome::written(id))
            })
            .await;
        self.forget(Some(db.actor().tenant_id));
        let outcome = outcome?;
        let Some((row, secret)) = made else { return Ok((outcome, None)) };
        self.told(&[Mirrored::ApiKey(row)]).await;
        Ok((outcome, Some(secret)))
    }

    async fn make_key(&self, unit: &mut Unit, new: &NewApiKey) -> Result<(Uuid, api_key::Model, SecretToken)> {
        let (actor, now) = (unit.actor().clone(), unit.now());
        let permissions = permissions_of(&new.permissions, "permissions")?;
        may_grant(&actor, &permissions, new.data_scope, "dataScope")?;
        in_future(new.expires_at, now)?;
        let secret = SecretToken::generate(SecretKind::ApiKey)?;
        let prefix = secret.lookup_prefix().ok_or_else(|| Error::internal("an API key without a prefix"))?;
        let record = unit
            .insert_by_rule::<key_record::Entity>(key_record::ActiveModel {
                id: Set(ids::new(now)),
                name: Set(new.name.clone()),
                prefix: Set(prefix.to_owned()),
                owner_id: Set(actor.user_id),
                permissions: Set(json!(permissions.names())),
                data_scope: Set(new.data_scope),
                expires_at: Set(new.expires_at),
                revoked_at: Set(None),
                ..Default::default()
            })
            .await?;
        let row = self
            .master()
            .write(async |master| {
                lock_tenant(master, actor.tenant_id).await?;
                master
                    .insert(api_key::ActiveModel {
                        id: Set(record.id),
                        tenant_id: Set(actor.tenant_id),
                        account_id: Set(actor.user_id),
                        name: Set(record.name.clone()),
                        prefix: Set(prefix.to_owned()),
                        hash: Set(secret.hash()),
                        scopes: Set(Scopes(permissions.names())),
                        data_scope: Set(new.data_scope),
                        expires_at: Set(new.expires_at),
                        last_used_at: Set(None),
                        revoked_at: Set(None),
                        mirror_pending: Set(true),
                        version: Set(1),
                        created_at: Set(now),
                        updated_at: Set(now),
                    })
                    .await
            })
            .await?;
        Ok((record.id, row, secret))
    }

    /// Changes a key that the actor sees.
    ///
    /// # Errors
    /// As [`Identity::api_key_create`].
    pub async fn api_key_update(
        &self,
        db: &TenantDb,
        id: Uuid,
        expected: Option<i32>,
        change: ApiKeyChange,
    ) -> Result<Outcome> {
        let mut changed = None;
        let outcome = db
            .mutate(async |unit| {
                changed = self.change_key(unit, id, expected, &change).await?;
                Ok(Outcome::written(id))
            })
            .await;
        self.key_told(db, outcome, changed).await
    }

    async fn key_told(&self, db: &TenantDb, outcome: Result<Outcome>, row: Option<api_key::Model>) -> Result<Outcome> {
        self.forget(Some(db.actor().tenant_id));
        let outcome = outcome?;
        if let Some(row) = row {
            self.told(&[Mirrored::ApiKey(row)]).await;
        }
        Ok(outcome)
    }

    async fn change_key(
        &self,
        unit: &mut Unit,
        id: Uuid,
        expected: Option<i32>,
        change: &ApiKeyChange,
    ) -> Result<Option<api_key::Model>> {
        let before = unit.claim::<key_record::Entity>(id, expected, Action::Write).await?;
        let (actor, now) = (unit.actor().clone(), unit.now());
        if before.revoked_at.is_some() {
            let message = "This key is revoked and stays so";
            return Err(Error::user(UserErrorCode::InvalidState, &["id"], message));
        }
        let mut row = key_record::ActiveModel::default();
        if let Some(name) = &change.name {
            row.name = Set(name.clone());
        }
        if let Some(names) = &change.permissions {
            let permissions = permissions_of(names, "permissions")?;
            may_grant(&actor, &permissions, DataScope::Own, "dataScope")?;
            row.permissions = Set(json!(permissions.names()));
        }
        if let Some(scope) = change.data_scope {
            may_grant(&actor, &Default::default(), scope, "dataScope")?;
            row.data_scope = Set(scope);
        }
        if let Some(until) = change.expires_at {
            in_future(until, now)?;
            row.expires_at = Set(until);
        }
        let record = unit.update_by_rule::<key_record::Entity>(&before, row).await?;
        if record.version == before.version {
            return Ok(None);
        }
        let row = self
            .master()
            .write(async |master| {
                lock_tenant(master, actor.tenant_id).await?;
                let known = key_in(master, actor.tenant_id, id).await?;
                let version = known.version + 1;
                let mut row = known.into_active_model();
                row.name = Set(record.name.clone());
                row.scopes = Set(Scopes(serde_json::from_value(record.permissions.clone()).map_err(Error::internal)?));
                row.data_scope = Set(record.data_scope);
                row.expires_at = Set(record.expires_at);
                row.mirror_pending = Set(true);
                row.version = Set(version);
                row.updated_at = Set(now);
                master.update(row).await
            })
            .await?;
        Ok(Some(row))
    }

    /// Revokes a key that the actor sees: it is refused from the next request on. A revoked key stays as it is.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without `api_keys.delete`.
    pub async fn api_key_revoke(&self, db: &TenantDb, id: Uuid) -> Result<Outcome> {
        let mut revoked = None;
        let outcome = db
            .mutate(async |unit| {
                let before = unit.claim::<key_record::Entity>(id, None, Action::Delete).await?;
                if before.revoked_at.is_some() {
                    return Ok(Outcome::written(id));
                }
                let (actor, now) = (unit.actor().clone(), unit.now());
                let change = key_record::ActiveModel { revoked_at: Set(Some(now)), ..Default::default() };
                unit.update_by_rule::<key_record::Entity>(&before, change).await?;
                let row = self
                    .master()
                    .write(async |master| {
                        let known = key_in(master, actor.tenant_id, id).await?;
                        let version = known.version + 1;
                        let mut row = known.into_active_model();
                        row.revoked_at = Set(Some(now));
                        row.mirror_pending = Set(true);
                        row.version = Set(version);
                        row.updated_at = Set(now);
                        master.update(row).await
                    })
                    .await?;
                revoked = Some(row);
                Ok(Outcome::written(id))
            })
            .await;
        self.key_told(db, outcome, revoked).await
    }

    /// When each of these keys of a tenant was last used, to the minute; keys that were never used are left out.
    /// Whether the caller may see a key is for the caller's own query to say.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_keys_last_used(&self, tenant_id: Uuid, keys: &[Uuid]) -> Result<HashMap<Uuid, DateTime<Utc>>> {
        let query = api_key::Entity::find()
            .filter(api_key::Column::TenantId.eq(tenant_id))
            .filter(api_key::Column::Id.is_in(keys.iter().copied()));
        let rows = self.master().all(query).await?;
        Ok(rows.into_iter().filter_map(|row| Some((row.id, row.last_used_at?))).collect())
    }
}

async fn key_in(master: &mut MasterUnit, tenant_id: Uuid, id: Uuid) -> Result<api_key::Model> {
    let query = api_key::Entity::find_by_id(id).filter(api_key::Column::TenantId.eq(tenant_id)).lock_exclusive();
    master.one(query).await?.ok_or(Error::NotFound)
}

fn in_future(until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<()> {
    if until.is_some_and(|until| until <= now) {
        let message = "A key must count for a while";
        return Err(Error::user(UserErrorCode::Invalid, &["input", "expiresAt"], message));
    }
    Ok(())
}
