//! Tenants in the API, for platform administrators; everybody else sees the own one in `me`.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use data_encoding::BASE64URL_NOPAD;
use entity::master::{TenantStatus, tenant};

use super::{identity, mended};
use crate::{
    error::{Error, Result, UserErrorCode},
    graphql::{
        kit::{
            connection::PageInfo,
            error::nullable,
            id::{Id, Identified},
            payload::UserError,
            scalars::{CurrencyCode, EmailAddress},
            select::{DEFAULT_PAGE, LARGEST_PAGE},
        },
        request::Caller,
    },
    services::identity::{FirstAdmin, Identity, NewTenant, TenantPage},
};

/// A company that uses the platform, with a database of its own.
pub struct Tenant(pub(super) tenant::Model);

impl Identified for Tenant {
    const PREFIX: &'static str = "tenant";
}

/// A company that uses the platform, with a database of its own.
#[Object]
impl Tenant {
    /// Its id.
    async fn id(&self) -> Id<Self> {
        Id::new(self.0.id)
    }

    /// Its name in URLs.
    async fn slug(&self) -> &str {
        &self.0.slug
    }

    /// The company's name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is being made, in use, suspended or gone.
    async fn status(&self) -> TenantStatus {
        self.0.status
    }

    /// The currency in which totals are given.
    async fn base_currency(&self) -> CurrencyCode {
        CurrencyCode(self.0.base_currency.clone())
    }

    /// The time zone in which days begin, by its IANA name.
    async fn time_zone(&self) -> &str {
        &self.0.time_zone
    }

    /// The language in which the platform writes to people, BCP 47.
    async fn locale(&self) -> &str {
        &self.0.locale
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it could first be used.
    async fn provisioned_at(&self) -> Option<DateTime<Utc>> {
        self.0.provisioned_at
    }

    /// Since when it is suspended.
    async fn suspended_at(&self) -> Option<DateTime<Utc>> {
        self.0.suspended_at
    }
}

/// A tenant and where it stands in the list.
#[derive(SimpleObject)]
pub struct TenantEdge {
    /// Where it stands: give it to `after`.
    cursor: String,
    /// The tenant.
    node: Arc<Tenant>,
}

/// A page of the tenants.
#[derive(SimpleObject)]
pub struct TenantConnection {
    /// The tenants with their cursors.
    edges: Vec<TenantEdge>,
    /// The tenants.
    nodes: Vec<Arc<Tenant>>,
    /// Where the page stands in the list.
    page_info: PageInfo,
}

/// A tenant that was written.
#[derive(SimpleObject)]
pub struct TenantPayload {
    /// The tenant as it is now; null when it was not written.
    tenant: Option<Tenant>,
    /// What a user can mend; empty when all went well.
    user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    client_mutation_id: Option<String>,
}

/// A new tenant with its first administrator, who is invited.
#[derive(InputObject)]
pub struct TenantCreateInput {
    /// The tenant's name in URLs: 2 to 40 lower-case letters, digits and single hyphens.
    slug: String,
    /// The company's name, at most 200 characters.
    name: String,
    /// The administrator's full name, at most 200 characters.
    admin_name: String,
    /// The administrator's e-mail address, to which the invitation goes.
    email: EmailAddress,
    /// The currency in which totals are given; as the platform is set up when left out.
    base_currency: Option<CurrencyCode>,
    /// The time zone in which days begin, by its IANA name such as `Europe/Vienna`; as the platform is set up when left
    /// out.
    time_zone: Option<String>,
    /// The language in which the platform writes to people, BCP 47, such as `de-AT`; as the platform is set up when left
    /// out.
    locale: Option<String>,
}

/// The queries of tenants.
#[derive(Default)]
pub struct TenantQuery;

#[Object]
impl TenantQuery {
    /// A tenant. Null when there is none. For platform administrators (`admin.manage_tenants`).
    async fn tenant(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: Id<Tenant>) -> Option<Tenant> {
        let found = async {
            match administrator(ctx)?.tenant(id.0).await {
                Ok(tenant) => Ok(Some(Tenant(tenant))),
                Err(Error::NotFound) => Ok(None),
                Err(error) => Err(error),
            }
        };
        nullable(ctx, found.await).flatten()
    }

    /// The tenants, by their slugs; removed ones only where their status is asked for. For platform administrators
    /// (`admin.manage_tenants`).
    async fn tenants(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many: 0 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those of this status.")] status: Option<TenantStatus>,
    ) -> Option<TenantConnection> {
        nullable(ctx, page(ctx, first, after, status).await)
    }
}

async fn page(
    ctx: &Context<'_>,
    first: Option<i32>,
    after: Option<String>,
    status: Option<TenantStatus>,
) -> Result<TenantConnection> {
    let identity = administrator(ctx)?;
    let first = first.map_or(Ok(DEFAULT_PAGE), u32::try_from).ok().filter(|first| *first <= LARGEST_PAGE);
    let first = first.ok_or_else(|| Error::BadInput(format!("first is a number from 0 to {LARGEST_PAGE}")))?;
    let continued = after.is_some();
    let after = after.as_deref().map(read_cursor).transpose()?;
    let wanted = TenantPage { after, status, limit: u64::from(first) + 1 };
    let mut tenants = identity.tenant_list(&wanted).await?;
    let more = tenants.len() > first as usize;
    tenants.truncate(first as usize);
    let edges: Vec<TenantEdge> = tenants
        .into_iter()
        .map(|tenant| TenantEdge {
            cursor: BASE64URL_NOPAD.encode(tenant.slug.as_bytes()),
            node: Arc::new(Tenant(tenant)),
        })
        .collect();
    let page_info = PageInfo {
        has_next_page: more,
        has_previous_page: continued,
        start_cursor: edges.first().map(|edge| edge.cursor.clone()),
        end_cursor: edges.last().map(|edge| edge.cursor.clone()),
    };
    let nodes = edges.iter().map(|edge| edge.node.clone()).collect();
    Ok(TenantConnection { edges, nodes, page_info })
}

fn read_cursor(cursor: &str) -> Result<String> {
    let refused = || Error::BadInput("this is no cursor of this list".to_owned());
    let slug = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| refused())?;
    String::from_utf8(slug).map_err(|_| refused())
}

/// The mutations of tenants.
#[derive(Default)]
pub struct TenantMutation;

#[Object]
impl TenantMutation {
    /// Makes a tenant: its database, the built-in roles, the default pipeline, and its first administrator, who gets an
    /// invitation by e-mail. Called again for the same slug and administrator it completes what is there, and sends a new
    /// invitation to an administrator who has not accepted the first. For platform administrators
    /// (`admin.manage_tenants`).
    async fn tenant_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it shall be.")] input: TenantCreateInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<TenantPayload> {
        let TenantCreateInput { slug, name, admin_name, email, base_currency, time_zone, locale } = input;
        let new = NewTenant {
            slug,
            name,
            base_currency: base_currency.map(|code| code.0),
            time_zone,
            locale,
            database_url: None,
            admin: FirstAdmin { name: admin_name, email: email.0, password: None },
        };
        let created = async { Ok(administrator(ctx)?.tenant_create(new).await?.tenant) };
        answer(ctx, created.await, client_mutation_id)
    }

    /// Serves a tenant no more, from its next request on: TENANT_SUSPENDED. Nothing is lost. For platform administrators
    /// (`admin.manage_tenants`).
    async fn tenant_suspend(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Tenant>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<TenantPayload> {
        let suspended = async { administrator(ctx)?.tenant_suspend(id.0).await };
        answer(ctx, suspended.await, client_mutation_id)
    }

    /// Serves a suspended tenant again. For platform administrators (`admin.manage_tenants`).
    async fn tenant_resume(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Tenant>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<TenantPayload> {
        let resumed = async { administrator(ctx)?.tenant_resume(id.0).await };
        answer(ctx, resumed.await, client_mutation_id)
    }

    /// Removes a tenant for good, with its database and its accounts. It cannot be undone; the slug is not given again.
    /// For platform administrators (`admin.manage_tenants`).
    async fn tenant_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Tenant>,
        #[graphql(desc = "Its slug, once more, so that no other one is removed by mistake.")] slug: String,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<TenantPayload> {
        let deleted = async {
            let identity = administrator(ctx)?;
            if identity.tenant(id.0).await?.slug != slug {
                return Err(Error::user(UserErrorCode::Invalid, &["slug"], "this is not the slug of that tenant"));
            }
            identity.tenant_delete(id.0).await
        };
        answer(ctx, deleted.await, client_mutation_id)
    }
}

fn answer(
    ctx: &Context<'_>,
    result: Result<tenant::Model>,
    client_mutation_id: Option<String>,
) -> Option<TenantPayload> {
    let answer = mended(result).map(|(tenant, user_errors)| TenantPayload {
        tenant: tenant.map(Tenant),
        user_errors,
        client_mutation_id,
    });
    nullable(ctx, answer)
}

/// The rules of identity, for platform administrators alone.
fn administrator<'a>(ctx: &Context<'a>) -> Result<&'a Identity> {
    Caller::of(ctx).principal()?.platform_admin()?;
    Ok(identity(ctx))
}
