//! `[mail]`: how e-mail leaves.

use std::path::PathBuf;

use lettre::message::Mailbox;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::{Host, Url};

use super::{
    problem::Problem,
    value::{Secret, optional, optional_path, optional_secret},
};

/// How e-mail leaves: by a mail server, or into a folder. Where neither is set, it waits.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// The mail server as it was set, with its password; [`Mail::server`] reads it.
    #[serde(deserialize_with = "optional_secret")]
    pub url: Option<Secret>,
    /// Who messages come from, such as `Rapport <crm@example.com>`.
    #[serde(deserialize_with = "optional")]
    pub from: Option<String>,
    /// The folder that messages are written into instead of being sent.
    #[serde(deserialize_with = "optional_path")]
    pub folder: Option<PathBuf>,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// User and password, where it asks for them.
    pub login: Option<(String, Secret)>,
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte (`smtps://`).
    Always,
    /// With STARTTLS, without which nothing is sent (`smtp://`).
    StartTls,
    /// Not at all (`smtp://…?tls=none`): for a server on this machine.
    None,
}

impl Mail {
    /// Whether messages can leave.
    #[must_use]
    pub fn leaves(&self) -> bool {
        self.url.is_some() || self.folder.is_some()
    }

    /// The mail server, where one is set.
    ///
    /// # Errors
    /// What is wrong with its address, without the address itself.
    pub fn server(&self) -> Result<Option<MailServer>, &'static str> {
        self.url.as_ref().map(|url| parse(url.expose())).transpose()
    }

    /// Who messages come from, where that is set.
    ///
    /// # Errors
    /// When it is no address.
    pub fn sender(&self) -> Result<Option<Mailbox>, String> {
        self.from.as_ref().map(|from| from.parse::<Mailbox>().map_err(|error| error.to_string())).transpose()
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if let Err(message) = self.server() {
            problems.push(Problem::new(
                "mail.url",
                message,
                "Write for example smtp://user:password@mail.example.com:587, smtps://user:password@mail.example.com, or \
                 smtp://127.0.0.1:25?tls=none. Characters of user and password that have a meaning in an address are \
                 escaped: @ is %40.",
            ));
        }
        if self.url.is_some() && self.folder.is_some() {
            problems.push(Problem::new(
                "mail.folder",
                "is set, and mail.url as well, so that nobody knows where e-mail goes",
                "Set mail.url to send it, or mail.folder to look at it, and leave the other one empty.",
            ));
        }
        match self.sender() {
            Err(error) => problems.push(Problem::new(
                "mail.from",
                format!("is not an address: {error}"),
                "Write for example \"Rapport <crm@example.com>\".",
            )),
            Ok(None) if self.leaves() => problems.push(Problem::new(
                "mail.from",
                "is not set, but messages must come from somebody",
                "Write an address that the mail server lets you send from, such as \"Rapport <crm@example.com>\".",
            )),
            Ok(_) => {}
        }
    }
}

/// What is said of an address is said without it: it may hold a password.
fn parse(text: &str) -> Result<MailServer, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not an address")?;
    let (mut encryption, port) = match url.scheme() {
        "smtp" => (Encryption::StartTls, 587),
        "smtps" => (Encryption::Always, 465),
        _ => return Err("must begin with smtp: or smtps:"),
    };
    for (name, value) in url.query_pairs() {
        match (&*name, &*value, url.scheme()) {
            ("tls", "required", _) => {}
            ("tls", "none", "smtp") => encryption = Encryption::None,
            ("tls", ..) => return Err("has a tls that is neither required nor, with smtp:, none"),
            _ => return Err("says more than ?tls=required or ?tls=none"),
        }
    }
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err("has something behind the server's name and port");
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no server")?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from);
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        (user, Some(password)) if !user.is_empty() => {
            let (Ok(user), Ok(password)) = (decoded(user), decoded(password)) else {
                return Err("has a user or a password that is not UTF-8");
            };
            Some((user, Secret::new(password)))
        }
        _ => return Err("has a user without a password, or a password without a user"),
    };
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // Schemes that the standard does not know keep an address as a name.
        _ => host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
    };
    if encryption == Encryption::None && login.is_some() && !here {
        return Err("would send its password unencrypted to another machine");
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(MailServer { host, port: url.port().unwrap_or(port), encryption, login })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_mail_servers_are_read() {
        let server = parse("smtp://crm%40example.com:p%2Fw@mail.example.com?tls=required").unwrap();
        let login = Some(("crm@example.com".to_owned(), Secret::new("p/w")));
        assert_eq!(server.login, login);
        assert_eq!(
            (server.host.as_str(), server.port, server.encryption),
            ("mail.example.com", 587, Encryption::StartTls)
        );
        let server = parse("smtps://mail.example.com").unwrap();
        assert_eq!((server.port, server.encryption, server.login), (465, Encryption::Always, None));
        let server = parse("smtp://u:p@[::1]:2525?tls=none").unwrap();
        assert_eq!((server.host.as_str(), server.port, server.encryption), ("::1", 2525, Encryption::None));
    }

    #[test]
    fn what_cannot_be_meant_or_tells_the_password_is_refused() {
        for (url, message) in [
            ("mail.example.com", "is not an address"),
            ("http://mail.example.com", "must begin with smtp:"),
            ("smtp://u:secret@mail.example.com?tls=none", "unencrypted"),
            ("smtps://mail.example.com?tls=none", "neither"),
            ("smtp://mail.example.com?tls=maybe", "neither"),
            ("smtp://mail.example.com?timeout=1", "says more"),
            ("smtp://mail.example.com/inbox", "behind"),
            ("smtp://user@mail.example.com", "without a password"),
        ] {
            let said = parse(url).unwrap_err();
            assert!(said.contains(message) && !said.contains("secret"), "{url}: {said}");
        }
    }

    #[test]
    fn a_folder_and_a_server_and_a_missing_sender_are_problems() {
        let mut problems = Vec::new();
        let url = Some(Secret::new("smtp://mail.example.com"));
        let mail = Mail { url, from: None, folder: Some("mail".into()) };
        mail.check(&mut problems);
        let settings: Vec<_> = problems.iter().map(|problem| problem.setting.as_str()).collect();
        assert_eq!(settings, ["mail.folder", "mail.from"]);
        problems.clear();
        Mail { url: None, from: Some("Rapport <crm@".to_owned()), folder: None }.check(&mut problems);
        assert_eq!(problems[0].setting, "mail.from");
        problems.clear();
        Mail { url: None, from: None, folder: None }.check(&mut problems);
        assert_eq!(problems, []);
    }
}
