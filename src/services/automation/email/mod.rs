//! The sending of what waits in a tenant's outgoing mail.
//!
//! A message is QUEUED until the mail server has taken it (SENT), has refused its recipient (BOUNCED), or it is given up
//! (FAILED). It is tried seven times: at once, and again after 1 minute, 5 minutes, 30 minutes, 2, 6 and 24 hours. An
//! attempt is counted and the next one set before the message is handed over, so that one that crashes the process is
//! given up in the end, and a node that is cut off does not send it over and over. What the message was filled with goes
//! when it is sent or given up.
//!
//! A message whose text cannot be made, or whose link has expired meanwhile, is given up at once with its cause and
//! holds up no other. A tenant may put texts of its own in the place of ours ([`custom`]). When the server is not available at all, the rest of the tenant's mail waits for half a minute
//! without spending an attempt.

pub mod custom;
mod template;

pub use template::Source;

use chrono::{DateTime, Duration, Utc};
use entity::{master::WorkKind, tenant::email_message};
use futures_util::{FutureExt, future::BoxFuture};

use self::template::Templates;
use crate::{
    data::{TenantDb, ids, mail::Sent},
    error::Result,
    failpoint,
    integrations::mail::{Mail, Mailer, Refusal},
    jobs::Work,
    metrics::Metrics,
};

/// How many messages of a tenant are sent before others have their turn.
const BATCH: u64 = 50;
/// The pauses after attempts that came to nothing.
const PAUSES: [Duration; 6] = [
    Duration::minutes(1),
    Duration::minutes(5),
    Duration::minutes(30),
    Duration::hours(2),
    Duration::hours(6),
    Duration::hours(24),
];
/// For how long a tenant's mail waits when the server is not available.
const UNAVAILABLE: Duration = Duration::seconds(30);

/// Sends what waits.
pub struct Sending {
    mailer: Mailer,
    metrics: Metrics,
    templates: Templates,
}

impl Sending {
    /// Through this way out.
    ///
    /// # Errors
    /// When a template of ours cannot be read, which a test rules out.
    pub fn new(mailer: Mailer, metrics: Metrics) -> Result<Self> {
        Ok(Self { mailer, metrics, templates: Templates::new()? })
    }

    async fn send_due(&self, db: &TenantDb) -> Result<Option<DateTime<Utc>>> {
        for message in db.mail_due(BATCH).await? {
            let now = db.clock().now();
            let begun = usize::try_from(message.attempts).unwrap_or(0);
            let pause = PAUSES.get(begun).or(PAUSES.last()).copied().unwrap_or(UNAVAILABLE);
            if !db.mail_begin(&message, now + pause).await? {
                continue;
            }
            failpoint::pass("mail.begun");
            let own = custom::own(db, &message.template).await?;
            let attempt = self.attempt(&message, own.as_ref(), begun, now).await;
            failpoint::pass("mail.taken");
            let unavailable = matches!(attempt, Err(Refusal::Unavailable(_)));
            let sent = outcome(attempt, begun);
            told(&message, &sent);
            self.metrics.email(word(&sent));
            db.mail_end(&message, &sent).await?;
            if unavailable {
                let pause = db.clock().now() + UNAVAILABLE;
                return Ok(db.mail_next().await?.map(|next| next.max(pause)));
            }
        }
        db.mail_next().await
    }

    async fn attempt(
        &self,
        message: &email_message::Model,
        own: Option<&Source>,
        begun: usize,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        if begun > PAUSES.len() {
            return Err(Refusal::Never("the last attempt was cut off".to_owned()));
        }
        if expired(message, now) {
            return Err(Refusal::Never("its link expired before it could be sent".to_owned()));
        }
        let mail =
            self.mail(message, own).map_err(|error| Refusal::Never(format!("its text could not be made: {error}")))?;
        self.mailer.send(&mail).await
    }

    fn mail(&self, message: &email_message::Model, own: Option<&Source>) -> Result<Mail, template::Unusable> {
        // A text of the tenant that cannot be filled after all keeps nobody waiting: ours is sent in its place.
        let own = own.and_then(|own| self.templates.render_own(own, &message.variables).ok());
        let rendered = match own {
            Some(rendered) => rendered,
            None => self.templates.render(&message.template, &message.variables)?,
        };
        let name = message.variables.get("name").and_then(|name| name.as_str());
        Ok(Mail {
            id: message.id,
            at: message.created_at,
            to: message.recipient.clone(),
            name: name.map(str::to_owned),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        })
    }
}

impl Work for Sending {
    fn kind(&self) -> WorkKind {
        WorkKind::Email
    }

    fn run<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        self.send_due(db).boxed()
    }

    fn next<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        db.mail_next().boxed()
    }
}

/// Whether what the message links to counts no more.
fn expired(message: &email_message::Model, now: DateTime<Utc>) -> bool {
    let until = message.variables.get("expiresAt").and_then(|until| until.as_str());
    until.and_then(|until| DateTime::parse_from_rfc3339(until).ok()).is_some_and(|until| until <= now)
}

/// What an attempt means for the message, of which so many were begun before.
fn outcome(attempt: Result<(), Refusal>, begun: usize) -> Sent {
    let Err(refusal) = attempt else { return Sent::Taken };
    let reason = refusal.to_string();
    match refusal {
        Refusal::Unavailable(_) | Refusal::Later(_) if begun < PAUSES.len() => Sent::Later { reason },
        Refusal::Unavailable(_) | Refusal::Later(_) | Refusal::Never(_) => Sent::Never { bounced: false, reason },
        Refusal::Recipient(_) => Sent::Never { bounced: true, reason },
    }
}

/// What became of an attempt, in a word.
const fn word(sent: &Sent) -> &'static str {
    match sent {
        Sent::Taken => "sent",
        Sent::Later { .. } => "later",
        Sent::Never { bounced: true, .. } => "bounced",
        Sent::Never { bounced: false, .. } => "failed",
    }
}

/// The log names no address, and says nothing that a mail server has said: it may name one.
fn told(message: &email_message::Model, sent: &Sent) {
    let message_id = ids::encode("email_message", message.id);
    let (template, attempt) = (message.template.as_str(), message.attempts + 1);
    match sent {
        Sent::Taken => tracing::info!(message_id, template, attempt, "a message was sent"),
        Sent::Later { .. } => {
            tracing::warn!(message_id, template, attempt, "a message was not taken; it is tried again")
        }
        Sent::Never { bounced, .. } => {
            tracing::warn!(message_id, template, attempt, bounced, "a message was given up; its row says why");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_seven_times_and_a_refusal_for_good_once() {
        let later = || Err(Refusal::Later("450 busy".to_owned()));
        assert!(matches!(outcome(later(), 0), Sent::Later { .. }));
        assert!(matches!(outcome(later(), 5), Sent::Later { .. }));
        assert!(matches!(outcome(later(), 6), Sent::Never { bounced: false, .. }));
        assert!(matches!(outcome(Err(Refusal::Recipient(String::new())), 0), Sent::Never { bounced: true, .. }));
        assert!(matches!(outcome(Err(Refusal::Never(String::new())), 0), Sent::Never { bounced: false, .. }));
        assert_eq!(outcome(Ok(()), 6), Sent::Taken);
    }
}
