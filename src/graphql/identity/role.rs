//! Roles in the API. Module `roles`; events `role.created`, `.updated`, `.deleted`, `.restored`.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{
    identity,
    user::{User, patched},
};
use crate::{
    auth::{Action, DataScope, Permission},
    data::plan::Children,
    error::Result,
    graphql::kit::{
        crud::{answer, bounded, bulk_answer, deleted},
        db,
        error::nullable,
        id::Id,
        payload::{BulkErrorPolicy, DeletePayload},
    },
    services::identity::{NewRole, RoleChange, RoleUpsert},
};

/// A named set of permissions, and which records they reach. Needs `roles.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Role {
    /// Its id.
    pub id: Id<Self>,
    /// The name; unique in the tenant.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Which records its permissions reach.
    pub scope: DataScope,
    /// Whether the platform defines it; such a role cannot be changed or deleted.
    pub is_built_in: bool,
    /// What it allows, such as `customers.write`.
    pub permissions: Vec<String>,
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
    Role for role;
    values { scope: DataScope }
    relations {
        /// Who has it. Needs `users.read`.
        many users: User,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
}

crate::payload! { Role as role; RolePayload }

crate::bulk_payload! { Role as role; RoleBulkUpsertPayload, RoleBulkUpsertResult }

crate::queries! {
    Role;
    query RoleQuery {
        /// A role. Null when there is none that the actor sees. Needs `roles.read`.
        one role;
        /// The roles of the tenant. Needs `roles.read`.
        many roles;

        /// Everything that a role of a tenant can allow, in the order in which people should see it. Needs `roles.read`.
        async fn permissions(&self, ctx: &Context<'_>) -> Option<Vec<String>> {
            nullable(ctx, grantable(ctx))
        }
    }
}

fn grantable(ctx: &Context<'_>) -> Result<Vec<String>> {
    db(ctx)?.actor().require(Permission::new("roles", Action::Read))?;
    let platform_only = Permission::new("admin", Action::ManageTenants);
    Ok(Permission::all().filter(|one| *one != platform_only).map(|one| one.to_string()).collect())
}

/// A new role.
#[derive(InputObject)]
pub struct RoleCreateInput {
    /// The name, at most 100 characters; unique in the tenant.
    name: String,
    /// What it is for, at most 500 characters.
    description: Option<String>,
    /// Which records its permissions reach.
    scope: DataScope,
    /// What it allows, such as `customers.write`; nothing that the actor may not do.
    permissions: Vec<String>,
}

/// A change of a role: what is left out stays, null clears.
#[derive(InputObject)]
pub struct RoleUpdateInput {
    /// The name, at most 100 characters; unique in the tenant.
    name: Option<String>,
    /// What it is for, at most 500 characters.
    description: MaybeUndefined<String>,
    /// Which records its permissions reach.
    scope: Option<DataScope>,
    /// What it allows: these permissions and no others; nothing that the actor may not do.
    permissions: Option<Vec<String>>,
}

impl From<RoleUpdateInput> for RoleChange {
    fn from(RoleUpdateInput { name, description, scope, permissions }: RoleUpdateInput) -> Self {
        Self { name, description: patched(description), scope, permissions }
    }
}

/// One input of a bulk upsert: the role is found by its id, or without one by its name, and changed; when there is none,
/// a role is created, which needs a name, a scope and permissions.
#[derive(InputObject)]
pub struct RoleUpsertInput {
    /// The role to change.
    id: Option<Id<Role>>,
    /// What to set.
    input: RoleUpdateInput,
}

impl From<RoleUpsertInput> for RoleUpsert {
    fn from(RoleUpsertInput { id, input }: RoleUpsertInput) -> Self {
        Self { id: id.map(|id| id.0), values: input.into() }
    }
}

/// The mutations of roles.
#[derive(Default)]
pub struct RoleMutation;

#[Object]
impl RoleMutation {
    /// Makes a role. Needs `admin.manage_roles` and everything that the role allows. Raises `role.created`.
    async fn role_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it shall be.")] input: RoleCreateInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<RolePayload> {
        let RoleCreateInput { name, description, scope, permissions } = input;
        let new = NewRole { name, description, scope, permissions };
        let outcome = async { identity(ctx).role_create(db(ctx)?, new).await };
        answer(ctx, outcome.await, client_mutation_id).await
    }

    /// Changes a role; it counts from the next request on of everybody who has it. Needs `admin.manage_roles` and
    /// everything that the role allowed and allows. Raises `role.updated`, and `user.updated` for everybody who has a role
    /// that was renamed.
    async fn role_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Role>,
        #[graphql(desc = "What to change: what is left out stays, null clears.")] input: RoleUpdateInput,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<RolePayload> {
        let outcome = async { identity(ctx).role_update(db(ctx)?, id.0, expected_version, input.into()).await };
        answer(ctx, outcome.await, client_mutation_id).await
    }

    /// Deletes a role that nobody has. Needs `admin.manage_roles` and everything that the role allows. Raises
    /// `role.deleted`.
    async fn role_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Role>,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<DeletePayload> {
        let outcome = async { identity(ctx).role_delete(db(ctx)?, id.0, expected_version).await };
        deleted::<Role>(ctx, outcome.await, client_mutation_id)
    }

    /// Brings a deleted role back, with what it allowed. One that is not deleted stays as it is. Needs
    /// `admin.manage_roles` and everything that the role allows. Raises `role.restored`.
    async fn role_restore(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Role>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<RolePayload> {
        let outcome = async { identity(ctx).role_restore(db(ctx)?, id.0).await };
        answer(ctx, outcome.await, client_mutation_id).await
    }

    /// Creates and changes many roles in one transaction, found by id or name; no two inputs mean the same role. Needs what
    /// `roleCreate` and `roleUpdate` need, and raises what they raise.
    async fn role_bulk_upsert(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 250.")] inputs: Vec<RoleUpsertInput>,
        #[graphql(desc = "What becomes of the others when one is refused.")] error_policy: BulkErrorPolicy,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<RoleBulkUpsertPayload> {
        let outcome = async {
            bounded(inputs.len())?;
            let inputs: Vec<RoleUpsert> = inputs.into_iter().map(Into::into).collect();
            identity(ctx).roles_upsert(db(ctx)?, &inputs, error_policy == BulkErrorPolicy::RejectAll).await
        };
        bulk_answer(ctx, outcome.await, client_mutation_id).await
    }
}
