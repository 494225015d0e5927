//! Users in the API. Module `users`; events `user.created`, `.updated`, `.deleted`, `.restored`.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::user::UserStatus;
use serde::Deserialize;

use super::{api_key::ApiKey, audit_log::AuditLog, identity, role::Role};
use crate::{
    data::plan::Children,
    graphql::{
        kit::{
            crud::{answer, bounded, bulk_answer, deleted},
            db,
            id::Id,
            payload::{BulkErrorPolicy, DeletePayload},
            scalars::EmailAddress,
        },
        sales::{
            activity::Activity, contact::Contact, customer::Customer, interaction::Interaction, lead::Lead,
            opportunity::Opportunity,
        },
        support::ticket::Ticket,
    },
    services::identity::{Access, NewUser, UserChange, UserUpsert, UserValues},
};

/// A person who works in the tenant. Needs `users.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct User {
    /// Its id.
    pub id: Id<Self>,
    /// The full name.
    pub name: String,
    /// The e-mail address to log in with.
    pub email: EmailAddress,
    /// What the person does.
    pub job_title: Option<String>,
    /// Whether the person can log in.
    pub status: UserStatus,
    /// The role's name.
    pub role_name: Option<String>,
    /// The id in the integrator's own system, unique where present.
    pub external_reference: Option<String>,
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
    User for user;
    values { status: UserStatus }
    relations {
        /// Whom the person reports to.
        one manager: User,
        /// Who reports to the person.
        many reports: User,
        /// What the person may do. Needs `roles.read`.
        one role: Role,
        /// The customers that the person owns. Needs `customers.read`.
        many customers: Customer,
        /// The contacts that the person owns. Needs `contacts.read`.
        many contacts: Contact,
        /// The leads that the person owns. Needs `leads.read`.
        many leads: Lead,
        /// The deals that the person owns. Needs `opportunities.read`.
        many opportunities: Opportunity,
        /// The tickets that the person works on. Needs `tickets.read`.
        many tickets: Ticket,
        /// What the person has planned and done. Needs `activities.read`.
        many activities: Activity,
        /// What the person has noted of what happened. Needs `interactions.read`.
        many interactions: Interaction,
        /// The API keys that act for the person. Needs `api_keys.read`.
        many api_keys: ApiKey,
        /// What the person has done, the last first. Needs `audit.read`.
        many audit_logs: AuditLog,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
}

crate::payload! { User as user; UserPayload }

crate::bulk_payload! { User as user; UserBulkUpsertPayload, UserBulkUpsertResult }

crate::queries! {
    User;
    query UserQuery {
        keys { email, external_reference }
        /// A user. Null when there is none that the actor sees. Needs `users.read`.
        one user;
        /// The users of the tenant. Needs `users.read`.
        many users;
    }
}

/// A new user, who is invited.
#[derive(InputObject)]
pub struct UserInviteInput {
    /// The full name, at most 200 characters.
    name: String,
    /// The e-mail address to log in with, to which the invitation goes; unique in the tenant.
    email: EmailAddress,
    /// The role; one that may do no more than the actor.
    role_id: Id<Role>,
    /// What the person does.
    job_title: Option<String>,
    /// Whom the person reports to.
    manager_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: Option<String>,
}

/// A change of a user: what is left out stays, null clears.
#[derive(InputObject)]
pub struct UserUpdateInput {
    /// The full name, at most 200 characters.
    name: Option<String>,
    /// What the person does.
    job_title: MaybeUndefined<String>,
    /// Whom the person reports to.
    manager_id: MaybeUndefined<Id<User>>,
    /// The role; one that may do no more than the actor. Nobody changes his own.
    role_id: Option<Id<Role>>,
    /// The id in the integrator's own system.
    external_reference: MaybeUndefined<String>,
}

/// What a bulk upsert sets of a user: what is left out stays, null clears. A new user needs a name, an e-mail address and
/// a role.
#[derive(InputObject)]
pub struct UserUpsertValuesInput {
    /// The full name, at most 200 characters.
    name: Option<String>,
    /// The e-mail address to log in with, to which the invitation goes; unique in the tenant. A user who is there keeps
    /// it: another one is INVALID_STATE.
    email: Option<EmailAddress>,
    /// What the person does.
    job_title: MaybeUndefined<String>,
    /// Whom the person reports to.
    manager_id: MaybeUndefined<Id<User>>,
    /// The role; one that may do no more than the actor. Nobody changes his own.
    role_id: Option<Id<Role>>,
    /// The id in the integrator's own system.
    external_reference: MaybeUndefined<String>,
}

/// One input of a bulk upsert: the user is found by id or external reference and changed; without either, or when the
/// reference is new, a user is invited.
#[derive(InputObject)]
pub struct UserUpsertInput {
    /// The user to change.
    id: Option<Id<User>>,
    /// The external reference of the user to change or to invite.
    external_reference: Option<String>,
    /// What to set.
    input: UserUpsertValuesInput,
}

impl From<UserUpsertInput> for UserUpsert {
    fn from(UserUpsertInput { id, external_reference, input }: UserUpsertInput) -> Self {
        let values = UserValues {
            name: input.name,
            email: input.email.map(|email| email.0),
            job_title: patched(input.job_title),
            manager_id: patched(input.manager_id.map_value(|id| id.0)),
            role_id: input.role_id.map(|id| id.0),
            external_reference: patched(input.external_reference),
        };
        Self { id: id.map(|id| id.0), external_reference, values }
    }
}

/// The mutations of users.
#[derive(Default)]
pub struct UserMutation;

#[Object]
impl UserMutation {
    /// Makes a user, who gets a link by e-mail with which to choose a password. Needs `admin.manage_users` and everything
    /// that the role allows. Raises `user.created`.
    async fn user_invite(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who it is.")] input: UserInviteInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<UserPayload> {
        let UserInviteInput { name, email, role_id, job_title, manager_id, external_reference } = input;
        let new = NewUser {
            name,
            email: email.0,
            role_id: role_id.0,
            job_title,
            manager_id: manager_id.map(|id| id.0),
            external_reference,
            access: Access::Invitation { send: true },
        };
        let outcome = async { Ok(identity(ctx).user_invite(db(ctx)?, new).await?.0) };
        answer(ctx, outcome.await, client_mutation_id).await
    }

    /// Sends an invited user a new link, which replaces the earlier one. Needs `admin.manage_users` and everything that
    /// the user's role allows.
    async fn user_invite_again(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<User>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<UserPayload> {
        let outcome = async { Ok(identity(ctx).user_invite_again(db(ctx)?, id.0).await?.0) };
        answer(ctx, outcome.await, client_mutation_id).await
    }

    /// Changes a user; another role counts from the user's next request on. Needs `admin.manage_users`, and for another
    /// role everything that the old and the new one allow. Raises `user.updated`.
    async fn user_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<User>,
        #[graphql(desc = "What to change: what is left out stays, null clears.")] input: UserUpdateInput,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<UserPayload> {
        let UserUpdateInput { name, job_title, manager_id, role_id, external_reference } = input;
        let change = UserChange {
            name,
            job_title: patched(job_title),
            manager_id: patched(manager_id.map_value(|id| id.0)),
            role_id: role_id.map(|id| id.0),
            status: None,
            external_reference: patched(external_reference),
        };
        let outcome = async { identity(ctx).user_update(db(ctx)?, id.0, expected_version, change).await };
        answer(ctx, outcome.await, client_mutation_id).await
    }

    /// Lets a user in no more: from the next request on, sessions and API keys of the user are refused. Nobody disables
    /// himself, nor the last active user with the role Admin. Needs `admin.manage_users` and everything that the user's
    /// role allows. Raises `user.updated`.
    async fn user_disable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<User>,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<UserPayload> {
        let outcome = async { identity(ctx).user_disable(db(ctx)?, id.0, expected_version).await };
        answer(ctx, outcome.await, client_mutation_id).await
    }

    /// Lets a disabled user in again, with the old password. Needs `admin.manage_users` and everything that the user's
    /// role allows. Raises `user.updated`.
    async fn user_enable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<User>,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<UserPayload> {
        let outcome = async { identity(ctx).user_enable(db(ctx)?, id.0, expected_version).await };
        answer(ctx, outcome.await, client_mutation_id).await
    }

    /// Deletes a user with password, sessions and API keys; what the user owns stays, and the e-mail address is free again.
    /// Nobody deletes himself, nor the last active user with the role Admin. Needs
    /// `admin.manage_users` and everything that the user's role allows. Raises `user.deleted`.
    async fn user_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<User>,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<DeletePayload> {
        let outcome = async { identity(ctx).user_delete(db(ctx)?, id.0, expected_version).await };
        deleted::<User>(ctx, outcome.await, client_mutation_id)
    }

    /// Brings a deleted user back with the role of then, INVITED: password, sessions and API keys are gone, and a link
    /// goes out by e-mail with which to choose a password. One that is not deleted stays as it is. Needs
    /// `admin.manage_users` and everything that the role allows. Raises `user.restored`.
    async fn user_restore(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<User>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<UserPayload> {
        let outcome = async { Ok(identity(ctx).user_restore(db(ctx)?, id.0).await?.0) };
        answer(ctx, outcome.await, client_mutation_id).await
    }

    /// Invites and changes many users in one transaction, found by id or external reference; no two inputs mean the same
    /// user. Needs what `userInvite` and `userUpdate` need, and raises what they raise.
    async fn user_bulk_upsert(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 250.")] inputs: Vec<UserUpsertInput>,
        #[graphql(desc = "What becomes of the others when one is refused.")] error_policy: BulkErrorPolicy,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<UserBulkUpsertPayload> {
        let outcome = async {
            bounded(inputs.len())?;
            let inputs: Vec<UserUpsert> = inputs.into_iter().map(Into::into).collect();
            identity(ctx).users_upsert(db(ctx)?, &inputs, error_policy == BulkErrorPolicy::RejectAll).await
        };
        bulk_answer(ctx, outcome.await, client_mutation_id).await
    }
}

/// What a service is told of a value that an input may leave out, clear or set.
pub(super) fn patched<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}
