//! `[bus]`: what carries hints between the nodes of an installation.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::Url;

use super::{
    problem::Problem,
    value::{Secret, optional, optional_path, optional_secret},
};

/// What carries hints between the nodes of an installation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    /// The NATS servers as they were set, with their login; [`Bus::servers`] reads them.
    #[serde(deserialize_with = "optional_secret")]
    pub url: Option<Secret>,
    /// What the subjects of this installation begin with.
    pub prefix: String,
    /// The token to log in with.
    #[serde(deserialize_with = "optional_secret")]
    pub token: Option<Secret>,
    /// The user to log in as.
    #[serde(deserialize_with = "optional")]
    pub user: Option<String>,
    /// The user's password.
    #[serde(deserialize_with = "optional_secret")]
    pub password: Option<Secret>,
    /// A file of credentials (`.creds`).
    #[serde(deserialize_with = "optional_path")]
    pub credentials_file: Option<PathBuf>,
    /// A file of certificates (PEM) that are trusted instead of the system's.
    #[serde(deserialize_with = "optional_path")]
    pub ca_file: Option<PathBuf>,
}

/// How a node logs in to the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusLogin {
    /// Not at all.
    None,
    /// With a token.
    Token(Secret),
    /// With a user and a password.
    User(String, Secret),
    /// With a file of credentials.
    File(PathBuf),
}

impl Bus {
    /// The addresses of the servers, without a login.
    ///
    /// # Errors
    /// What is wrong with them, without the addresses themselves.
    pub fn servers(&self) -> Result<Vec<String>, &'static str> {
        Ok(self.addresses()?.iter().map(|url| format!("{}://{}", url.scheme(), authority(url))).collect())
    }

    /// How to log in.
    ///
    /// # Errors
    /// When the settings name several ways, or half of one.
    pub fn login(&self) -> Result<BusLogin, &'static str> {
        let mut ways = Vec::new();
        for url in self.addresses()? {
            let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from);
            let (Ok(user), Ok(password)) = (decoded(url.username()), url.password().map(decoded).transpose()) else {
                return Err("has a user or a password that is not UTF-8");
            };
            let way = match (user.is_empty(), password) {
                (true, None) => continue,
                (true, Some(_)) => return Err("has a password without a user"),
                (false, None) => BusLogin::Token(Secret::new(user)),
                (false, Some(password)) => BusLogin::User(user, Secret::new(password)),
            };
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways.extend(self.token.clone().map(BusLogin::Token));
        ways.extend(self.credentials_file.clone().map(BusLogin::File));
        match (&self.user, &self.password) {
            (Some(user), Some(password)) => ways.push(BusLogin::User(user.clone(), password.clone())),
            (None, None) => {}
            _ => return Err("has a user without a password, or a password without a user"),
        }
        match ways.len() {
            0 => Ok(BusLogin::None),
            1 => Ok(ways.swap_remove(0)),
            _ => Err("has more than one login: in the addresses, a token, a user, a file of credentials"),
        }
    }

    fn addresses(&self) -> Result<Vec<Url>, &'static str> {
        let text = self.url.as_ref().map_or("", Secret::expose);
        text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(address).collect()
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        const EXAMPLE: &str = "Write for example nats://nats.example.com:4222, tls://user:password@nats.example.com, or \
                               several of them with commas between.";
        if let Err(message) = self.servers() {
            problems.push(Problem::new("bus.url", message, EXAMPLE));
        } else if let Err(message) = self.login() {
            problems.push(Problem::new("bus.url", message, "Keep one way to log in, the same for all addresses."));
        }
        let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let whole = self.prefix.split('.').all(|part| !part.is_empty());
        if !whole || !self.prefix.chars().all(usable) {
            problems.push(Problem::new(
                "bus.prefix",
                format!("`{}` cannot begin a subject", self.prefix),
                "Write letters, digits, - and _, such as \"rapport\" or \"crm.staging\".",
            ));
        }
    }
}

fn address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not an address")?;
    if !matches!(url.scheme(), "nats" | "tls") {
        return Err("must begin with nats: or tls:");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no server");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("has something behind the server's name and port");
    }
    Ok(url)
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bus(url: &str) -> Bus {
        Bus {
            url: Some(Secret::new(url)),
            prefix: "rapport".to_owned(),
            token: None,
            user: None,
            password: None,
            credentials_file: None,
            ca_file: None,
        }
    }

    #[test]
    fn addresses_and_logins_are_read() {
        let several = bus("nats://crm:p%40ss@one.example:4222, tls://crm:p%40ss@two.example");
        assert_eq!(several.servers().unwrap(), ["nats://one.example:4222", "tls://two.example"]);
        assert_eq!(several.login().unwrap(), BusLogin::User("crm".to_owned(), Secret::new("p@ss")));
        assert_eq!(bus("nats://s3cr3t@one.example").login().unwrap(), BusLogin::Token(Secret::new("s3cr3t")));
        assert_eq!(bus("nats://one.example").login().unwrap(), BusLogin::None);
        let file = Bus { credentials_file: Some("node.creds".into()), ..bus("tls://one.example") };
        assert_eq!(file.login().unwrap(), BusLogin::File("node.creds".into()));
    }

    #[test]
    fn what_cannot_be_meant_is_told_without_the_login() {
        for (wrong, setting, message) in [
            (bus("one.example:4222"), "bus.url", "must begin with nats:"),
            (bus("http://user:secret@one.example"), "bus.url", "must begin with nats:"),
            (bus("nats://one.example/secret"), "bus.url", "behind"),
            (bus("nats://a:secret@one.example,nats://b:secret@two.example"), "bus.url", "more than one login"),
            (
                Bus { token: Some(Secret::new("secret")), ..bus("nats://a:secret@one.example") },
                "bus.url",
                "more than one",
            ),
            (Bus { user: Some("a".to_owned()), ..bus("nats://one.example") }, "bus.url", "without a password"),
            (Bus { prefix: "crm.*".to_owned(), ..bus("nats://one.example") }, "bus.prefix", "cannot begin"),
            (Bus { prefix: "crm.".to_owned(), ..bus("nats://one.example") }, "bus.prefix", "cannot begin"),
        ] {
            let mut problems = Vec::new();
            wrong.check(&mut problems);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].setting, setting);
            assert!(problems[0].message.contains(message), "{problems:?}");
            assert!(!format!("{problems:?}").contains("secret@"), "{problems:?}");
        }
    }
}
