//! The roots of the schema: the one shared list. A record adds its queries and its mutations here.

use async_graphql::{MergedObject, MergedSubscription, SDLExportOptions, SchemaBuilder};

use super::{
    automation::{cron, email_template, job, notification, webhook, webhook_delivery},
    identity::{api_key, audit_log, role, session, tenant, user},
    insight::customer_360,
    live, node,
    sales::{
        activity, contact, customer, interaction, lead, opportunity, opportunity_line, opportunity_stage_change,
        pipeline, pipeline_stage, product,
    },
    support::{ticket, ticket_comment},
};

/// The queries.
#[derive(MergedObject, Default)]
pub struct Query(
    customer_360::Customer360Query,
    node::NodeQuery,
    session::SessionQuery,
    tenant::TenantQuery,
    user::UserQuery,
    role::RoleQuery,
    api_key::ApiKeyQuery,
    audit_log::AuditLogQuery,
    customer::CustomerQuery,
    contact::ContactQuery,
    lead::LeadQuery,
    opportunity::OpportunityQuery,
    opportunity_line::OpportunityLineQuery,
    opportunity_stage_change::OpportunityStageChangeQuery,
    pipeline::PipelineQuery,
    pipeline_stage::PipelineStageQuery,
    product::ProductQuery,
    activity::ActivityQuery,
    interaction::InteractionQuery,
    ticket::TicketQuery,
    ticket_comment::TicketCommentQuery,
    notification::NotificationQuery,
    email_template::EmailTemplateQuery,
    cron::CronQuery,
    job::JobQuery,
    webhook::WebhookQuery,
    webhook_delivery::WebhookDeliveryQuery,
);

/// The mutations. Those of one request run one after the other.
#[derive(MergedObject, Default)]
pub struct Mutation(
    session::SessionMutation,
    tenant::TenantMutation,
    user::UserMutation,
    role::RoleMutation,
    api_key::ApiKeyMutation,
    customer::CustomerMutation,
    contact::ContactMutation,
    lead::LeadMutation,
    opportunity::OpportunityMutation,
    opportunity_line::OpportunityLineMutation,
    pipeline::PipelineMutation,
    pipeline_stage::PipelineStageMutation,
    product::ProductMutation,
    activity::ActivityMutation,
    interaction::InteractionMutation,
    ticket::TicketMutation,
    ticket_comment::TicketCommentMutation,
    notification::NotificationMutation,
    email_template::EmailTemplateMutation,
    cron::CronMutation,
    job::JobMutation,
    webhook::WebhookMutation,
    webhook_delivery::WebhookDeliveryMutation,
);

/// The subscriptions.
#[derive(MergedSubscription, Default)]
pub struct Subscription(live::LiveSubscription, notification::NotificationSubscription, job::JobSubscription);

/// The schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// The schema, without what a request needs. It is a subgraph of Apollo Federation 2.
#[must_use]
pub fn build() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .enable_federation()
        .disable_suggestions()
}

/// The fields that a federation's router asks a subgraph for, as the SDL writes them, and their types. No client does, so
/// `schema.graphql` leaves them out.
const ROUTER_FIELDS: [&str; 2] = ["\t_service:", "\t_entities("];
const ROUTER_TYPES: [&str; 3] = ["scalar _Any", "union _Entity", "type _Service"];

/// The SDL that clients generate code from, `schema.graphql`: the API with its subscriptions, without what only a
/// federation's router asks for.
#[must_use]
pub fn client_sdl() -> String {
    let sdl = build().finish().sdl_with_options(SDLExportOptions::new().include_specified_by());
    let begins = |line: &str, starts: &[&str]| starts.iter().any(|start| line.starts_with(start));
    let for_clients = |definition: &&str| !definition.lines().any(|line| begins(line, &ROUTER_TYPES));
    let definitions: Vec<&str> = sdl.split("\n\n").filter(for_clients).collect();
    definitions.join("\n\n").split_inclusive('\n').filter(|line| !begins(line, &ROUTER_FIELDS)).collect()
}

/// The schema's SDL: the whole of it, or that of the subgraph with its federation directives and without subscriptions.
#[must_use]
pub fn sdl(federation: bool) -> String {
    let schema = build().finish();
    if federation {
        schema.sdl_with_options(SDLExportOptions::new().federation())
    } else {
        schema.sdl_with_options(SDLExportOptions::new())
    }
}
