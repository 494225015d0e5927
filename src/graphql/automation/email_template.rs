//! The texts of e-mails in the API. Module `email_templates`; events `email_template.created`, `.updated`, `.deleted`.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::email_template::EmailTemplateName;

use crate::{
    data::{Unit, idempotency::Outcome, unit::refused},
    error::Result,
    graphql::kit::{db, error::nullable, payload::UserError},
    services::automation::email::{
        Source,
        custom::{self, Texts},
    },
};

/// The texts of one kind of e-mail, in the template language of Jinja. Needs `email_templates.read`.
#[derive(Clone, Debug, SimpleObject)]
pub struct EmailTemplate {
    /// Which e-mail.
    pub name: EmailTemplateName,
    /// The subject.
    pub subject: String,
    /// The text, for readers without HTML.
    pub text: String,
    /// The same as HTML. Whatever is filled in is escaped.
    pub html: String,
    /// Whether the tenant has put these texts in the place of ours.
    pub is_custom: bool,
    /// When it did; null for ours.
    pub updated_at: Option<DateTime<Utc>>,
    /// What the texts can be filled with.
    pub variables: Vec<EmailTemplateVariable>,
}

/// Something that can stand in the texts of an e-mail, as `{{ name }}`.
#[derive(Clone, Debug, SimpleObject)]
pub struct EmailTemplateVariable {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
}

impl From<Texts> for EmailTemplate {
    fn from(Texts { name, source, own, variables }: Texts) -> Self {
        let Source { subject, text, html } = source;
        let variables = variables
            .iter()
            .map(|(name, about)| EmailTemplateVariable { name: (*name).to_owned(), description: (*about).to_owned() })
            .collect();
        let (is_custom, updated_at) = (own.is_some(), own.map(|own| own.updated_at));
        Self { name, subject, text, html, is_custom, updated_at, variables }
    }
}

/// The texts of an e-mail.
#[derive(InputObject)]
pub struct EmailTemplateInput {
    /// The subject, at most 300 characters; it becomes one line.
    subject: String,
    /// The text, for readers without HTML, at most 20,000 characters.
    text: String,
    /// The same as HTML, at most 50,000 characters. Whatever is filled in is escaped.
    html: String,
}

impl From<EmailTemplateInput> for Source {
    fn from(EmailTemplateInput { subject, text, html }: EmailTemplateInput) -> Self {
        Self { subject, text, html }
    }
}

/// What mutations of the texts of e-mails answer.
#[derive(Debug, SimpleObject)]
pub struct EmailTemplatePayload {
    /// The texts as they are now; null when nothing was written, or when the actor may not read them.
    pub email_template: Option<EmailTemplate>,
    /// What a user can mend; empty when all went well.
    pub user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    pub client_mutation_id: Option<String>,
}

/// An e-mail as its readers would see it, with made-up values.
#[derive(Debug, SimpleObject)]
pub struct EmailTemplatePreviewPayload {
    /// The subject; null when the texts cannot be filled.
    pub subject: Option<String>,
    /// The text.
    pub text: Option<String>,
    /// The HTML. It is the tenant's own: show it in a sandbox.
    pub html: Option<String>,
    /// What is wrong with the texts; empty when they can be saved.
    pub user_errors: Vec<UserError>,
}

/// The queries of the texts of e-mails.
#[derive(Default)]
pub struct EmailTemplateQuery;

#[Object]
impl EmailTemplateQuery {
    /// The texts of every kind of e-mail that leaves, as they are sent: those of the tenant, and ours where it has none.
    /// Needs `email_templates.read`.
    async fn email_templates(&self, ctx: &Context<'_>) -> Option<Vec<EmailTemplate>> {
        nullable(ctx, async { all(ctx).await }.await)
    }

    /// Texts filled with made-up values, before they are saved. Needs `email_templates.read`.
    async fn email_template_preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which e-mail.")] name: EmailTemplateName,
        #[graphql(desc = "The texts.")] input: EmailTemplateInput,
    ) -> Option<EmailTemplatePreviewPayload> {
        let filled = async {
            Ok(match custom::preview(db(ctx)?, name, &input.into()) {
                Ok(Source { subject, text, html }) => EmailTemplatePreviewPayload {
                    subject: Some(subject),
                    text: Some(text),
                    html: Some(html),
                    user_errors: Vec::new(),
                },
                Err(error) => EmailTemplatePreviewPayload {
                    subject: None,
                    text: None,
                    html: None,
                    user_errors: refused(error)?.single().errors.into_iter().map(Into::into).collect(),
                },
            })
        };
        nullable(ctx, filled.await)
    }
}

async fn all(ctx: &Context<'_>) -> Result<Vec<EmailTemplate>> {
    Ok(custom::all(db(ctx)?).await?.into_iter().map(EmailTemplate::from).collect())
}

/// The mutations of the texts of e-mails.
#[derive(Default)]
pub struct EmailTemplateMutation;

#[Object]
impl EmailTemplateMutation {
    /// Puts texts of the tenant's own in the place of those that there are; messages that wait are sent with them, too. A
    /// text that cannot be filled is refused with the reason. Needs `email_templates.write`. Raises
    /// `email_template.created` or `.updated`.
    async fn email_template_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which e-mail.")] name: EmailTemplateName,
        #[graphql(desc = "The texts.")] input: EmailTemplateInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<EmailTemplatePayload> {
        let outcome = async {
            let put = async |unit: &mut Unit| custom::put(unit, name, input.into()).await.map(Outcome::written);
            db(ctx)?.mutate(put).await
        };
        answer(ctx, outcome.await, name, client_mutation_id).await
    }

    /// Goes back to our texts. Needs `email_templates.write`. Raises `email_template.deleted`.
    async fn email_template_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which e-mail.")] name: EmailTemplateName,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<EmailTemplatePayload> {
        let outcome = async {
            let reset = async |unit: &mut Unit| custom::reset(unit, name).await.map(Outcome::all);
            db(ctx)?.mutate(reset).await
        };
        answer(ctx, outcome.await, name, client_mutation_id).await
    }
}

async fn answer(
    ctx: &Context<'_>,
    outcome: Result<Outcome>,
    name: EmailTemplateName,
    client_mutation_id: Option<String>,
) -> Option<EmailTemplatePayload> {
    let payload = async {
        let user_errors: Vec<UserError> = outcome?.single().errors.into_iter().map(Into::into).collect();
        let email_template = match all(ctx).await {
            Ok(all) if user_errors.is_empty() => all.into_iter().find(|template| template.name == name),
            // Who may write and not read is told that it was written.
            _ => None,
        };
        Ok(EmailTemplatePayload { email_template, user_errors, client_mutation_id })
    };
    nullable(ctx, payload.await)
}
