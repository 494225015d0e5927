//! Coming in: registration, login, refresh, logout, passwords; and who one is.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use super::{identity, mended, role::Role, tenant::Tenant, user::User};
use crate::{
    auth::DataScope,
    error::Result,
    graphql::{
        kit::{
            error::nullable,
            id::Id,
            payload::UserError,
            relation,
            scalars::{CurrencyCode, EmailAddress},
        },
        request::Caller,
    },
    services::identity::{FirstAdmin, Login, Me as Known, NewTenant, Tokens},
};

/// The caller: who it is and what it may do.
pub struct Me(Known);

/// The caller: who it is and what it may do.
#[Object]
impl Me {
    /// The id of the caller's user; for an API key of the user who made it.
    async fn id(&self) -> Id<User> {
        Id::new(self.0.user_id)
    }

    /// The e-mail address to log in with.
    async fn email(&self) -> EmailAddress {
        EmailAddress(self.0.email.clone())
    }

    /// The id of the role.
    async fn role_id(&self) -> Id<Role> {
        Id::new(self.0.role_id)
    }

    /// The role's name.
    async fn role_name(&self) -> &str {
        &self.0.role_name
    }

    /// What the caller may do, such as `customers.write`; for an API key this may be less than the role allows.
    async fn permissions(&self) -> Vec<String> {
        self.0.permissions.names()
    }

    /// Which records the caller reaches.
    async fn data_scope(&self) -> DataScope {
        self.0.scope
    }

    /// The tenant that the caller acts in.
    async fn tenant(&self) -> Tenant {
        Tenant(self.0.tenant.clone())
    }

    /// The caller's user, as others see it. Needs `users.read`.
    async fn user(&self, ctx: &Context<'_>) -> Option<User> {
        relation::get(ctx, Id::new(self.0.user_id)).await
    }
}

/// A session that began or goes on.
#[derive(SimpleObject)]
pub struct SessionPayload {
    /// Goes with every request as `Authorization: Bearer …`; null when nobody came in.
    access_token: Option<String>,
    /// Prolongs the session, once: give it to `tokenRefresh` and keep the one that comes back.
    refresh_token: Option<String>,
    /// In how many seconds the access token expires.
    expires_in: Option<i32>,
    /// What a user can mend; empty when all went well.
    user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    client_mutation_id: Option<String>,
}

impl SessionPayload {
    fn of(result: Result<Tokens>, client_mutation_id: Option<String>) -> Result<Self> {
        let (tokens, user_errors) = mended(result)?;
        let expires_in = tokens.as_ref().and_then(|tokens| i32::try_from(tokens.access.expires_in).ok());
        let (access_token, refresh_token) =
            tokens.map(|tokens| (tokens.access.token, tokens.refresh.expose().to_owned())).unzip();
        Ok(Self { access_token, refresh_token, expires_in, user_errors, client_mutation_id })
    }
}

/// One or all sessions that ended.
#[derive(SimpleObject)]
pub struct LogoutPayload {
    /// What a user can mend; empty when all went well.
    user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    client_mutation_id: Option<String>,
}

/// A password that was changed.
#[derive(SimpleObject)]
pub struct PasswordChangePayload {
    /// The access token with which this session goes on; the refresh token stays the same.
    access_token: Option<String>,
    /// In how many seconds the access token expires.
    expires_in: Option<i32>,
    /// What a user can mend; empty when all went well.
    user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    client_mutation_id: Option<String>,
}

/// A reset of a password that was asked for or done.
#[derive(SimpleObject)]
pub struct PasswordResetPayload {
    /// What a user can mend; empty when all went well. It never tells whether an address has an account.
    user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    client_mutation_id: Option<String>,
}

/// A company that signs up, with its first administrator.
#[derive(InputObject)]
pub struct RegisterInput {
    /// The tenant's name in URLs: 2 to 40 lower-case letters, digits and single hyphens.
    slug: String,
    /// The company's name, at most 200 characters.
    name: String,
    /// The administrator's full name, at most 200 characters.
    admin_name: String,
    /// The administrator's e-mail address, to log in with.
    email: EmailAddress,
    /// The administrator's password, 10 to 128 characters.
    password: String,
    /// The currency in which totals are given; as the platform is set up when left out.
    base_currency: Option<CurrencyCode>,
    /// The time zone in which days begin, by its IANA name such as `Europe/Vienna`; as the platform is set up when left
    /// out.
    time_zone: Option<String>,
    /// The language in which the platform writes to people, BCP 47, such as `de-AT`; as the platform is set up when left
    /// out.
    locale: Option<String>,
}

/// What a user logs in with.
#[derive(InputObject)]
pub struct LoginInput {
    /// The e-mail address.
    email: EmailAddress,
    /// The password.
    password: String,
    /// The tenant's slug; needed where the address has accounts in several tenants with this password.
    tenant: Option<String>,
}

/// What a platform administrator logs in with.
#[derive(InputObject)]
pub struct PlatformLoginInput {
    /// The e-mail address.
    email: EmailAddress,
    /// The password.
    password: String,
}

/// A refresh token.
#[derive(InputObject)]
pub struct TokenRefreshInput {
    /// The last refresh token that the client received.
    refresh_token: String,
}

/// A change of the caller's own password.
#[derive(InputObject)]
pub struct PasswordChangeInput {
    /// The password of now.
    current_password: String,
    /// The new one, 10 to 128 characters.
    new_password: String,
}

/// Whose password is to be reset.
#[derive(InputObject)]
pub struct PasswordResetRequestInput {
    /// The e-mail address.
    email: EmailAddress,
    /// The tenant's slug; when left out, every account of this address gets a link of its own.
    tenant: Option<String>,
}

/// A new password, with the link that was sent for it.
#[derive(InputObject)]
pub struct PasswordResetInput {
    /// The token in the link.
    token: String,
    /// The new password, 10 to 128 characters.
    password: String,
}

/// A first password, with the link of an invitation.
#[derive(InputObject)]
pub struct InvitationAcceptInput {
    /// The token in the link.
    token: String,
    /// The password, 10 to 128 characters.
    password: String,
}

/// The queries of sessions.
#[derive(Default)]
pub struct SessionQuery;

#[Object]
impl SessionQuery {
    /// The caller, with role, permissions and tenant. Needs a session or an API key, and no permission.
    async fn me(&self, ctx: &Context<'_>) -> Option<Me> {
        let known = async {
            let member = Caller::of(ctx).principal()?.member()?;
            identity(ctx).me(member).await.map(Me)
        };
        nullable(ctx, known.await)
    }
}

/// The mutations of sessions.
#[derive(Default)]
pub struct SessionMutation;

#[Object]
impl SessionMutation {
    /// Signs a company up: makes a tenant with its first administrator and logs that one in. The platform may have turned
    /// this off. Called again with the same slug, address and password after a lost answer, it completes what is there.
    async fn register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The company and its first administrator.")] input: RegisterInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<SessionPayload> {
        let RegisterInput { slug, name, admin_name, email, password, base_currency, time_zone, locale } = input;
        let new = NewTenant {
            slug,
            name,
            base_currency: base_currency.map(|code| code.0),
            time_zone,
            locale,
            database_url: None,
            admin: FirstAdmin { name: admin_name, email: email.0, password: Some(password) },
        };
        let tokens = identity(ctx).register(new, &Caller::of(ctx).client).await;
        nullable(ctx, SessionPayload::of(tokens, client_mutation_id))
    }

    /// Logs a user in. What is wrong is never told: an unknown address, a wrong password and a disabled account get one
    /// answer. Too many failures are THROTTLED; the right password of a suspended tenant is TENANT_SUSPENDED.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Address and password.")] input: LoginInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<SessionPayload> {
        let LoginInput { email, password, tenant } = input;
        let tokens = identity(ctx).login(Login { email: email.0, password, tenant }, &Caller::of(ctx).client).await;
        nullable(ctx, SessionPayload::of(tokens, client_mutation_id))
    }

    /// Logs a platform administrator in, who makes and removes tenants and sees no tenant's data.
    async fn platform_login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Address and password.")] input: PlatformLoginInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<SessionPayload> {
        let tokens = identity(ctx).platform_login(&input.email.0, &input.password, &Caller::of(ctx).client).await;
        nullable(ctx, SessionPayload::of(tokens, client_mutation_id))
    }

    /// Prolongs a session. A refresh token counts once; after a lost answer it may be used again as long as its successor
    /// was not. One that comes back later ends the session, for whoever holds it. UNAUTHENTICATED means: log in again.
    async fn token_refresh(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The last refresh token.")] input: TokenRefreshInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<SessionPayload> {
        let tokens = identity(ctx).refresh(&input.refresh_token).await;
        nullable(ctx, SessionPayload::of(tokens, client_mutation_id))
    }

    /// Ends the session that the caller came in with: its access and refresh tokens are refused from now on.
    async fn logout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<LogoutPayload> {
        let done = async { identity(ctx).logout(Caller::of(ctx).principal()?).await };
        nullable(ctx, done.await.map(|()| LogoutPayload { user_errors: Vec::new(), client_mutation_id }))
    }

    /// Ends every session of the caller, this one too.
    async fn logout_all(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<LogoutPayload> {
        let done = async { identity(ctx).logout_all(Caller::of(ctx).principal()?).await };
        nullable(ctx, done.await.map(|()| LogoutPayload { user_errors: Vec::new(), client_mutation_id }))
    }

    /// Changes the caller's password. Every other session ends; this one goes on with the access token in the answer.
    async fn password_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The password of now and the new one.")] input: PasswordChangeInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<PasswordChangePayload> {
        let PasswordChangeInput { current_password, new_password } = input;
        let changed = async {
            let caller = Caller::of(ctx);
            let member = caller.principal()?.member()?;
            let changed = identity(ctx).password_change(member, &current_password, &new_password, &caller.client).await;
            let (access, user_errors) = mended(changed)?;
            let expires_in = access.as_ref().and_then(|access| i32::try_from(access.expires_in).ok());
            let access_token = access.map(|access| access.token);
            Ok(PasswordChangePayload { access_token, expires_in, user_errors, client_mutation_id })
        };
        nullable(ctx, changed.await)
    }

    /// Sends a link to reset the password to the address, if it has an account. The answer is the same in either case.
    async fn password_reset_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose password.")] input: PasswordResetRequestInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<PasswordResetPayload> {
        let client = &Caller::of(ctx).client;
        let asked = identity(ctx).password_reset_request(&input.email.0, input.tenant.as_deref(), client);
        nullable(ctx, asked.map(|()| PasswordResetPayload { user_errors: Vec::new(), client_mutation_id }))
    }

    /// Sets a new password with a link that was sent for it. Every session of the account ends.
    async fn password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link's token and the new password.")] input: PasswordResetInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<PasswordResetPayload> {
        let reset = mended(identity(ctx).password_reset(&input.token, &input.password).await);
        nullable(ctx, reset.map(|(_, user_errors)| PasswordResetPayload { user_errors, client_mutation_id }))
    }

    /// Chooses the first password with the link of an invitation, and logs in. Raises `user.updated`.
    async fn invitation_accept(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link's token and the password.")] input: InvitationAcceptInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<SessionPayload> {
        let client = &Caller::of(ctx).client;
        let tokens = identity(ctx).invitation_accept(&input.token, &input.password, client).await;
        nullable(ctx, SessionPayload::of(tokens, client_mutation_id))
    }
}
