//! E-mail that leaves: by SMTP, or into a folder for development.
//!
//! One message goes to one recipient. It is handed over on a connection of its own, within 15 seconds from the look-up of
//! the server's name to its last word: a connection that a deadline has cut off in the midst of a conversation must not
//! be used again, and a server that hangs must not hold up anything else.
//!
//! What went wrong is told by what follows from it ([`Refusal`]).

use std::{path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        self,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        extension::ClientId,
    },
};
use uuid::Uuid;

use crate::{
    config::{Encryption, Mail as Settings, MailServer},
    error::{Error, Result},
};

/// How long the handing over of one message may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long is waited for the end of a conversation that has done its work.
const FAREWELL: Duration = Duration::from_secs(5);
/// How much is kept of what a server says.
const REASON: usize = 500;

/// A message to one recipient.
#[derive(Clone, Debug)]
pub struct Mail {
    /// What tells it from others; its Message-ID is made of it.
    pub id: Uuid,
    /// Its date.
    pub at: DateTime<Utc>,
    /// The address it goes to.
    pub to: String,
    /// The recipient's name, where it is known.
    pub name: Option<String>,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same, as HTML.
    pub html: String,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The server cannot be reached or does not let us in: no message would be taken now.
    #[error("the mail server is not available: {0}")]
    Unavailable(String),
    /// The server does not take this message now.
    #[error("not now: {0}")]
    Later(String),
    /// The server does not take anything for this recipient.
    #[error("the recipient was refused: {0}")]
    Recipient(String),
    /// The message cannot be sent, now or later.
    #[error("refused: {0}")]
    Never(String),
}

/// Where messages leave.
pub struct Mailer {
    from: Mailbox,
    way: Way,
}

enum Way {
    Server { server: MailServer, tls: Option<TlsParameters> },
    Folder(PathBuf),
}

impl Mailer {
    /// The way that the settings name, where they name one.
    ///
    /// # Errors
    /// [`Error::BadInput`] when they cannot be used, which their check rules out.
    pub fn new(settings: &Settings) -> Result<Option<Self>> {
        let way = match (settings.server().map_err(|error| unusable("url", error))?, &settings.folder) {
            (Some(server), _) => {
                let tls = match server.encryption {
                    Encryption::None => None,
                    Encryption::Always | Encryption::StartTls => {
                        Some(TlsParameters::new(server.host.clone()).map_err(|error| unusable("url", error))?)
                    }
                };
                Way::Server { server, tls }
            }
            (None, Some(folder)) => Way::Folder(folder.clone()),
            (None, None) => return Ok(None),
        };
        let from = settings.sender().map_err(|error| unusable("from", error))?;
        let from = from.ok_or_else(|| unusable("from", "is not set"))?;
        Ok(Some(Self { from, way }))
    }

    /// Hands a message over.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn send(&self, mail: &Mail) -> Result<(), Refusal> {
        let message = self.message(mail).map_err(|reason| Refusal::Never(shortened(&reason)))?;
        match &self.way {
            Way::Folder(folder) => write(folder, mail.id, &message.formatted())
                .await
                .map_err(|error| Refusal::Unavailable(format!("{}: {error}", folder.display()))),
            Way::Server { server, tls } => {
                let handed_over = tokio::time::timeout(DEADLINE, hand_over(server, tls.as_ref(), &message)).await;
                handed_over.unwrap_or_else(|_| {
                    Err(Refusal::Unavailable(format!("it took longer than {} s", DEADLINE.as_secs())))
                })
            }
        }
    }

    fn message(&self, mail: &Mail) -> Result<Message, String> {
        let address: Address = mail.to.parse().map_err(|error| format!("the address cannot be used: {error}"))?;
        let name = mail.name.as_deref().map(one_line).filter(|name| !name.is_empty());
        let domain = self.from.email.domain();
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(name, address))
            .subject(one_line(&mail.subject))
            .message_id(Some(format!("<{}@{domain}>", mail.id.simple())))
            .date(mail.at.into())
            // Nobody's absence is to answer this (RFC 3834).
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|error| error.to_string())
    }
}

fn unusable(setting: &str, error: impl std::fmt::Display) -> Error {
    Error::BadInput(format!("mail.{setting}: {error}"))
}

/// A text that stays where it is put in a header: without ends of lines and other control characters.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

fn shortened(reason: &str) -> String {
    reason.chars().take(REASON).collect()
}

/// Writes a message into the folder: it is there as a whole, or not at all.
async fn write(folder: &std::path::Path, id: Uuid, message: &[u8]) -> std::io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let unfinished = folder.join(format!(".{id}.unfinished"));
    tokio::fs::write(&unfinished, message).await?;
    tokio::fs::rename(&unfinished, folder.join(format!("{id}.eml"))).await
}

async fn hand_over(server: &MailServer, tls: Option<&TlsParameters>, message: &Message) -> Result<(), Refusal> {
    let mut connection = connect(server, tls).await.map_err(|error| Refusal::Unavailable(said(&error)))?;
    let taken = connection.send(message.envelope(), &message.formatted()).await;
    // What the server thinks of our leave changes nothing.
    tokio::spawn(async move { tokio::time::timeout(FAREWELL, connection.abort()).await });
    taken.map(|_| ()).map_err(|error| refusal(&error))
}

/// Connects, encrypts and logs in.
async fn connect(server: &MailServer, tls: Option<&TlsParameters>) -> Result<AsyncSmtpConnection, smtp::Error> {
    let hello = ClientId::default();
    let at_once = tls.filter(|_| server.encryption == Encryption::Always).cloned();
    let address = (server.host.as_str(), server.port);
    let mut connection = AsyncSmtpConnection::connect_tokio1(address, Some(DEADLINE), &hello, at_once, None).await?;
    if let (Encryption::StartTls, Some(tls)) = (server.encryption, tls) {
        connection.starttls(tls.clone(), &hello).await?;
    }
    if let Some((user, password)) = &server.login {
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
    }
    Ok(connection)
}

/// What an error during the handing over means for the message.
fn refusal(error: &smtp::Error) -> Refusal {
    let reason = said(error);
    match error.status().map(u16::from) {
        // The server closes, or wants another login than it got.
        Some(421 | 530..=539) => Refusal::Unavailable(reason),
        Some(550..=553) => Refusal::Recipient(reason),
        Some(500..) => Refusal::Never(reason),
        Some(_) => Refusal::Later(reason),
        None => Refusal::Unavailable(reason),
    }
}

fn said(error: &smtp::Error) -> String {
    shortened(&one_line(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer() -> Mailer {
        let settings =
            Settings { url: None, from: Some("Rapport <crm@rapport.example>".to_owned()), folder: Some("mail".into()) };
        Mailer::new(&settings).unwrap().unwrap()
    }

    fn mail(name: &str, subject: &str) -> Mail {
        Mail {
            id: Uuid::from_u128(7),
            at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            to: "bob@acme.example".to_owned(),
            name: Some(name.to_owned()),
            subject: subject.to_owned(),
            text: "A text".to_owned(),
            html: "<p>A text</p>".to_owned(),
        }
    }

    /// The headers, long ones put together again.
    fn headers(mail: &Mail) -> Vec<String> {
        let message = String::from_utf8(mailer().message(mail).unwrap().formatted()).unwrap();
        let (headers, _) = message.split_once("\r\n\r\n").unwrap();
        headers.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_message_says_who_it_is_from_and_that_a_program_wrote_it() {
        let headers = headers(&mail("Bob Builder", "Hello"));
        for expected in [
            "From: Rapport <crm@rapport.example>",
            "To: \"Bob Builder\" <bob@acme.example>",
            "Subject: Hello",
            "Message-ID: <00000000000000000000000000000007@rapport.example>",
            "Date: Fri, 15 Jan 2027 08:00:00 +0000",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(headers.iter().any(|header| header == expected), "{expected} is not in {headers:#?}");
        }
        assert!(headers.iter().any(|header| header.starts_with("Content-Type: multipart/alternative")));
    }

    #[test]
    fn nothing_in_a_name_or_a_subject_adds_a_header_or_a_recipient() {
        let names: Vec<_> =
            headers(&mail("Bob", "Hello")).iter().map(|header| header.split(':').next().unwrap().to_owned()).collect();
        for hostile in [
            "Bob\r\nBcc: eve@evil.example",
            "Bob\nBcc: eve@evil.example\n\nA body",
            "Bob\rX-Evil: 1",
            "Bob\" <eve@evil.example>, \"",
            "Bob <eve@evil.example>, Eve",
            "Bob\\\" <eve@evil.example>",
            "Zoë 東京 \u{202e}\u{0}",
            "=?utf-8?q?=0D=0ABcc:_eve@evil.example?=",
            "\r\n\r\n",
            &"very long ".repeat(100),
        ] {
            let mail = mail(hostile, hostile);
            let headers = headers(&mail);
            let now: Vec<_> = headers.iter().map(|header| header.split(':').next().unwrap().to_owned()).collect();
            assert_eq!(now, names, "{hostile:?}: {headers:#?}");
            let message = mailer().message(&mail).unwrap();
            assert_eq!(message.envelope().to().len(), 1);
            assert_eq!(message.envelope().to()[0].to_string(), "bob@acme.example");
            let to = headers.iter().find(|header| header.starts_with("To:")).unwrap();
            let outside: String = to.split('"').step_by(2).collect();
            assert!(!outside.contains("evil.example"), "{to}");
            assert!(to.ends_with("bob@acme.example>") || to.ends_with("bob@acme.example"), "{to}");
            assert!(message.formatted().is_ascii());
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_for_good() {
        for to in ["", "bob", "bob@", "bob@acme.example\r\nRCPT TO:<eve@evil.example>", "a@b, c@d"] {
            let mail = Mail { to: to.to_owned(), ..mail("Bob", "Hello") };
            assert!(mailer().message(&mail).is_err(), "{to:?}");
        }
    }
}
