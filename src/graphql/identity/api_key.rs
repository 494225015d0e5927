//! API keys in the API. Module `api_keys`; events `api_key.created`, `.updated`.

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use async_graphql::{
    Context, InputObject, MaybeUndefined, Object, SimpleObject,
    dataloader::{DataLoader, Loader},
    runtime::{Timer, TokioSpawner},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    identity,
    user::{User, patched},
};
use crate::{
    auth::DataScope,
    data::plan::Children,
    error::{Error, Result},
    graphql::kit::{crud::answer, db, error::nullable, id::Id, payload::UserError},
    services::identity::{ApiKeyChange, Identity, NewApiKey},
};

/// A program that acts for the user who made the key. Needs `api_keys.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct ApiKey {
    /// Its id.
    pub id: Id<Self>,
    /// What it is for.
    pub name: String,
    /// The eight characters after `rak_` by which the key is recognised.
    pub prefix: String,
    /// What it may do at most, such as `customers.write`; never more than its owner.
    pub permissions: Vec<String>,
    /// Which records it reaches at most; never more than its owner.
    pub data_scope: DataScope,
    /// Until when it counts; null: until it is revoked.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// 1 at creation, one more with each change.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    ApiKey for api_key;
    values { data_scope: DataScope }
    needs { last_used_at: ["id"] }
    relations {
        /// The user who made it and for whom it acts. Needs `users.read`.
        one owner: User,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
    methods {
        /// When it was last used, to the minute; null when it never was.
        async fn last_used_at(&self, ctx: &Context<'_>) -> Option<DateTime<Utc>> {
            nullable(ctx, last_used(ctx, self.id.0).await).flatten()
        }
    }
}

crate::payload! { ApiKey as api_key; ApiKeyPayload }

crate::queries! {
    ApiKey;
    query ApiKeyQuery {
        /// An API key. Null when there is none that the actor sees. Needs `api_keys.read`.
        one api_key;
        /// The API keys that the actor sees. Needs `api_keys.read`.
        many api_keys;
    }
}

/// A key that was made.
#[derive(SimpleObject)]
pub struct ApiKeyCreatePayload {
    /// The key as it is shown from now on; null when it was not made.
    pub api_key: Option<ApiKey>,
    /// The key itself, which travels as `Authorization: Bearer …`. It is shown now and never again; null when the key was
    /// not made, and when the answer is repeated for an idempotency key.
    pub secret: Option<String>,
    /// What a user can mend; empty when all went well.
    pub user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    pub client_mutation_id: Option<String>,
}

/// A new API key, for the actor.
#[derive(InputObject)]
pub struct ApiKeyCreateInput {
    /// What it is for, at most 100 characters.
    name: String,
    /// What it may do at most, such as `customers.write`; nothing that the actor may not do.
    permissions: Vec<String>,
    /// Which records it reaches at most; OWN when left out.
    data_scope: Option<DataScope>,
    /// Until when it counts; until it is revoked when left out.
    expires_at: Option<DateTime<Utc>>,
}

/// A change of an API key: what is left out stays, null clears.
#[derive(InputObject)]
pub struct ApiKeyUpdateInput {
    /// What it is for, at most 100 characters.
    name: Option<String>,
    /// What it may do at most: these permissions and no others; nothing that the actor may not do.
    permissions: Option<Vec<String>>,
    /// Which records it reaches at most.
    data_scope: Option<DataScope>,
    /// Until when it counts.
    expires_at: MaybeUndefined<DateTime<Utc>>,
}

/// The mutations of API keys.
#[derive(Default)]
pub struct ApiKeyMutation;

#[Object]
impl ApiKeyMutation {
    /// Makes an API key for the actor. It may do what it was given and its owner may at the time of the request. Needs
    /// `api_keys.write` and everything that the key is given. Raises `api_key.created`.
    async fn api_key_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it shall be.")] input: ApiKeyCreateInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<ApiKeyCreatePayload> {
        let ApiKeyCreateInput { name, permissions, data_scope, expires_at } = input;
        let new = NewApiKey { name, permissions, data_scope: data_scope.unwrap_or_default(), expires_at };
        let mut secret = None;
        let outcome = async {
            let (outcome, made) = identity(ctx).api_key_create(db(ctx)?, new).await?;
            secret = made.map(|made| made.expose().to_owned());
            Ok(outcome)
        };
        let outcome = outcome.await;
        let ApiKeyPayload { api_key, user_errors, client_mutation_id } =
            answer::<ApiKeyPayload>(ctx, outcome, client_mutation_id).await?;
        Some(ApiKeyCreatePayload { api_key, secret, user_errors, client_mutation_id })
    }

    /// Changes an API key; it counts from the key's next request on. Needs `api_keys.write` and everything that the key is
    /// given. Raises `api_key.updated`.
    async fn api_key_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<ApiKey>,
        #[graphql(desc = "What to change: what is left out stays, null clears.")] input: ApiKeyUpdateInput,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<ApiKeyPayload> {
        let ApiKeyUpdateInput { name, permissions, data_scope, expires_at } = input;
        let change = ApiKeyChange { name, permissions, data_scope, expires_at: patched(expires_at) };
        let outcome = async { identity(ctx).api_key_update(db(ctx)?, id.0, expected_version, change).await };
        answer(ctx, outcome.await, client_mutation_id).await
    }

    /// Revokes an API key: from the next request on it is refused, for good. Needs `api_keys.delete`. Raises
    /// `api_key.updated`.
    async fn api_key_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<ApiKey>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<ApiKeyPayload> {
        let outcome = async { identity(ctx).api_key_revoke(db(ctx)?, id.0).await };
        answer(ctx, outcome.await, client_mutation_id).await
    }
}

async fn last_used(ctx: &Context<'_>, id: Uuid) -> Result<Option<DateTime<Utc>>> {
    let tenant_id = db(ctx)?.actor().tenant_id;
    let found = ctx.data_unchecked::<LastUses>().load_one((tenant_id, id)).await;
    found.map_err(|error| Error::internal(error.to_string()))
}

/// Loads when keys were last used, which the master database knows, for all that are asked for at the same time.
pub type LastUses = DataLoader<LastUseLoader>;

/// A loader over these rules of identity.
#[must_use]
pub fn last_uses(identity: Identity) -> LastUses {
    DataLoader::new(LastUseLoader(identity), TokioSpawner::current(), Yield).delay(Duration::ZERO)
}

/// See [`LastUses`].
pub struct LastUseLoader(Identity);

/// One turn of the scheduler is enough for every sibling to ask.
struct Yield;

impl Timer for Yield {
    fn delay(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(tokio::task::yield_now())
    }
}

impl Loader<(Uuid, Uuid)> for LastUseLoader {
    type Value = DateTime<Utc>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[(Uuid, Uuid)]) -> Result<HashMap<(Uuid, Uuid), DateTime<Utc>>, Arc<Error>> {
        let mut by_tenant: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for (tenant_id, id) in keys {
            by_tenant.entry(*tenant_id).or_default().push(*id);
        }
        let mut found = HashMap::with_capacity(keys.len());
        for (tenant_id, ids) in by_tenant {
            let uses = self.0.api_keys_last_used(tenant_id, &ids).await.map_err(Arc::new)?;
            found.extend(uses.into_iter().map(|(id, at)| ((tenant_id, id), at)));
        }
        Ok(found)
    }
}
