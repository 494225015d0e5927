//! Reading the layers, and turning what is wrong with them into [`Problem`]s.
//!
//! The environment is read by the type that a setting has in `defaults.toml`, not by what its text looks like: a
//! secret of digits stays a text. Variables without a double underscore are left alone, since others use the
//! prefix as well (Kubernetes sets `RAPPORT_PORT` for a service of that name), unless one is a setting misspelt.

use std::path::{Path, PathBuf};

use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};

use super::{
    Config,
    problem::{ConfigError, Problem},
};

/// Every setting with its default and its documentation.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// The file that is read when none is named, if it exists.
pub const DEFAULT_FILE: &str = "rapport.toml";

const PREFIX: &str = "RAPPORT_";
const ENVIRONMENT: &str = "the environment";

/// Where settings are read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that must exist.
    pub file: Option<PathBuf>,
    /// A file that is read if it exists and no other is named.
    pub default_file: Option<PathBuf>,
    /// Environment variables; those of others do no harm.
    pub environment: Vec<(String, String)>,
}

impl Sources {
    /// The built-in defaults and nothing else.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What the process was started with: the named file, or `rapport.toml` here, and the environment.
    #[must_use]
    pub fn process(file: Option<&Path>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file: file.map(Path::to_owned), default_file: Some(DEFAULT_FILE.into()), environment }
    }
}

pub(super) fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let defaults = Figment::from(Toml::string(DEFAULTS));
    let known = defaults.data().map(|mut data| data.remove(&Profile::Default).unwrap_or_default());
    let known = known.map_err(|error| ConfigError { problems: explain(error) })?;

    let file = match (&sources.file, &sources.default_file) {
        (Some(file), _) if !file.is_file() => {
            let message = format!("there is no file {}", file.display());
            problems.push(Problem::new("", message, "Check --config (RAPPORT_CONFIG)."));
            None
        }
        (Some(file), _) => Some(file.clone()),
        (None, Some(file)) if file.is_file() => Some(file.clone()),
        _ => None,
    };
    let mut figment = defaults;
    if let Some(file) = &file {
        let layer = Figment::from(Toml::file_exact(file));
        refuse_secrets(&layer, file, &mut problems);
        figment = figment.merge(layer);
    }
    figment = figment.merge(environment(&sources.environment, &known, &mut problems));

    let mut config: Config = match figment.extract() {
        Ok(config) => config,
        Err(error) => {
            problems.extend(explain(error));
            return Err(ConfigError { problems });
        }
    };
    config.file = file;
    if let Err(problem) = config.auth.read_secret_files() {
        problems.push(problem);
    }
    if let Err(error) = config.check() {
        problems.extend(error.problems);
    }
    ConfigError::unless_empty(problems)?;
    Ok(config)
}

/// A file of settings is copied and committed, so it must not hold secrets.
fn refuse_secrets(layer: &Figment, file: &Path, problems: &mut Vec<Problem>) {
    let given = layer.extract_inner::<String>("auth.secret").is_ok_and(|secret| !secret.is_empty());
    if given {
        problems.push(Problem::new(
            "auth.secret",
            format!("stands in {}, a file that gets copied and shared", file.display()),
            "Give it in that variable, or in a file of its own named by auth.secret_file. Treat the present one as known.",
        ));
    }
    if layer.extract_inner::<Vec<String>>("auth.sealing_secrets").is_ok_and(|secrets| !secrets.is_empty()) {
        problems.push(Problem::new(
            "auth.sealing_secrets",
            format!("stand in {}, a file that gets copied and shared", file.display()),
            "Give them in that variable, or in a file of their own named by auth.sealing_secrets_file. Put a new one first.",
        ));
    }
    for setting in ["bus.token", "bus.password"] {
        if layer.extract_inner::<String>(setting).is_ok_and(|secret| !secret.is_empty()) {
            problems.push(Problem::new(
                setting,
                format!("stands in {}, a file that gets copied and shared", file.display()),
                "Give it in that variable, or name a file of credentials. Treat the present one as known.",
            ));
        }
    }
    let login = |url: &str| url::Url::parse(url.trim()).is_ok_and(|url| !url.username().is_empty());
    if layer.extract_inner::<String>("bus.url").is_ok_and(|urls| urls.split(',').any(login)) {
        problems.push(Problem::new(
            "bus.url",
            format!("stands with its login in {}, a file that gets copied and shared", file.display()),
            "Give it in that variable. Treat the present login as known.",
        ));
    }
    let password = |url: &String| url::Url::parse(url).is_ok_and(|url| url.password().is_some());
    if layer.extract_inner::<String>("mail.url").is_ok_and(|url| password(&url)) {
        problems.push(Problem::new(
            "mail.url",
            format!("stands with its password in {}, a file that gets copied and shared", file.display()),
            "Give it in that variable. Treat the present password as known.",
        ));
    }
}

/// The settings of environment variables, as a layer.
struct Environment(Dict);

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named(ENVIRONMENT)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.0.clone()))
    }
}

fn environment(variables: &[(String, String)], known: &Dict, problems: &mut Vec<Problem>) -> Environment {
    let mut layer = Dict::new();
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let rest = rest.to_lowercase();
        let Some((section, setting)) = rest.split_once("__") else {
            if let Some(meant) = misspelt(&rest, known) {
                let mend = format!("Two underscores stand between section and setting: {}.", Problem::variable(&meant));
                problems.push(Problem::new("", format!("{name} is not a setting"), mend));
            }
            continue;
        };
        let Some(default) = known.get(section).and_then(Value::as_dict).and_then(|section| section.get(setting)) else {
            let mend = match known.get(section).and_then(Value::as_dict) {
                Some(section_settings) => format!("The section {section} has: {}.", names(section_settings)),
                None => format!("The sections are: {}.", names(known)),
            };
            problems.push(Problem::new("", format!("{name} is not a setting"), mend));
            continue;
        };
        match read_as(default, text) {
            Ok(value) => {
                let entry = layer.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new()));
                if let Value::Dict(_, settings) = entry {
                    settings.insert(setting.to_owned(), value);
                }
            }
            Err(mend) => {
                // The text is not repeated: a secret may have ended in the wrong variable.
                problems.push(Problem::new(&format!("{section}.{setting}"), "has a value of the wrong kind", mend));
            }
        }
    }
    Environment(layer)
}

/// Reads a variable's text as the kind of value that the default is.
fn read_as(default: &Value, text: &str) -> Result<Value, String> {
    match default {
        Value::Bool(..) => text.parse::<bool>().map(Value::from).map_err(|_| "Write true or false.".to_owned()),
        Value::Num(..) => {
            text.parse::<i64>().map(Value::from).map_err(|_| "Write a whole number, in digits.".to_owned())
        }
        Value::Array(..) => {
            Ok(Value::from(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect::<Vec<_>>()))
        }
        _ => Ok(Value::from(text)),
    }
}

/// The setting that `server_port` means, if the words of a section and a setting follow each other in it.
fn misspelt(name: &str, known: &Dict) -> Option<String> {
    known.iter().find_map(|(section, settings)| {
        let setting = name.strip_prefix(section.as_str())?.strip_prefix('_')?;
        settings.as_dict()?.contains_key(setting).then(|| format!("{section}.{setting}"))
    })
}

fn names(dict: &Dict) -> String {
    dict.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What figment found, in our words.
fn explain(error: figment::Error) -> Vec<Problem> {
    error
        .into_iter()
        .map(|error| {
            let origin = error.metadata.as_ref().map(|metadata| match &metadata.source {
                Some(source) => source.to_string(),
                None => metadata.name.to_string(),
            });
            let mend = origin.map_or_else(String::new, |origin| format!("It is set in {origin}."));
            let mut path = error.path.clone();
            let (message, mend) = match &error.kind {
                Kind::UnknownField(field, expected) => {
                    if path.last() != Some(field) {
                        path.push(field.clone());
                    }
                    ("is not a setting".to_owned(), format!("{mend} There are: {}.", expected.join(", ")))
                }
                Kind::UnknownVariant(found, expected) => {
                    (format!("cannot be `{found}`"), format!("{mend} It can be: {}.", expected.join(", ")))
                }
                Kind::InvalidType(found, expected) => (format!("must be {expected}, but is {}", kind_of(found)), mend),
                Kind::InvalidValue(_, expected) if matches!(expected.as_str(), "u16" | "u32" | "u64" | "usize") => {
                    ("is too large, or below zero".to_owned(), mend)
                }
                Kind::InvalidValue(_, expected) => (format!("must be {expected}"), mend),
                Kind::MissingField(field) => {
                    path.push(field.to_string());
                    ("is missing".to_owned(), mend)
                }
                // A file that is not TOML: the parser's words tell line and column.
                Kind::Message(message) if path.is_empty() => (message.trim().replace('\n', "\n    "), mend),
                Kind::Message(message) => (message.clone(), mend),
                other => (other.to_string(), mend),
            };
            Problem::new(&path.join("."), message, mend.trim())
        })
        .collect()
}

/// The kind of a value without the value: it may be a secret in the wrong place.
fn kind_of(found: &figment::error::Actual) -> &'static str {
    use figment::error::Actual;
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Char(_) | Actual::Str(_) => "a text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "something else",
    }
}
