//! The kinds of values: how each is read from a file or a text, checked and shown.

use std::net::{IpAddr, SocketAddr};

use toml::Value;

/// What a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text; empty means that it is not set.
    Text,
    /// A text that is never shown.
    Secret,
    /// A whole number within bounds.
    Number {
        /// The least.
        least: i64,
        /// The most.
        most: i64,
    },
    /// `true` or `false`.
    Switch,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Texts, each one of a few words; in the environment and in flags separated by commas.
    Choices(&'static [&'static str]),
    /// Texts; in the environment and in flags separated by commas.
    Texts,
    /// Database URLs, whose passwords are not shown; in the environment and in flags separated by commas.
    Databases,
    /// Addresses of Redis, whose passwords are not shown; in the environment and in flags separated by commas.
    Redis,
    /// Networks such as `10.0.0.0/8`, or single addresses; in the environment and in flags separated by commas.
    Networks,
    /// `IP:PORT` to listen on; port 0 takes any free one.
    Listen,
    /// An IP address to listen on.
    Ip,
}

impl Kind {
    /// Reads what a file holds.
    ///
    /// # Errors
    /// What is wrong with it, to follow "NAME ".
    pub fn check(self, value: Value) -> Result<Value, String> {
        match (self, value) {
            (Self::Choices(_) | Self::Texts | Self::Databases | Self::Redis | Self::Networks, Value::String(text)) => {
                self.parse(&text)
            }
            (Self::Choices(_) | Self::Texts | Self::Databases | Self::Redis | Self::Networks, Value::Array(values)) => {
                let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
                self.check_texts(texts.ok_or_else(|| self.expectation())?.into_iter())
            }
            (Self::Number { .. }, Value::Integer(number)) => self.check_number(number),
            (Self::Switch, Value::Boolean(on)) => Ok(Value::Boolean(on)),
            (Self::Text | Self::Secret | Self::Choice(_) | Self::Listen | Self::Ip, Value::String(text)) => {
                self.parse(&text)
            }
            _ => Err(self.expectation()),
        }
    }

    /// Reads a text of the environment or of a flag.
    ///
    /// # Errors
    /// What is wrong with it, to follow "NAME ".
    pub fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text | Self::Secret => Ok(Value::String(text.to_owned())),
            Self::Number { .. } => {
                let digits = text.trim().replace('_', "");
                self.check_number(digits.parse().map_err(|_| self.expectation())?)
            }
            Self::Switch => text.trim().parse().map(Value::Boolean).map_err(|_| self.expectation()),
            Self::Choice(words) if words.contains(&text) => Ok(Value::String(text.to_owned())),
            Self::Choice(words) => {
                Err(format!("is {text:?}, which is none of {}{}", words.join(", "), meant(text, words)))
            }
            Self::Listen if text.parse::<SocketAddr>().is_ok() => Ok(Value::String(text.to_owned())),
            Self::Ip if text.parse::<IpAddr>().is_ok() => Ok(Value::String(text.to_owned())),
            Self::Listen | Self::Ip => Err(self.expectation()),
            Self::Choices(_) | Self::Texts | Self::Databases | Self::Redis | Self::Networks => {
                self.check_texts(text.split(',').map(str::trim).filter(|text| !text.is_empty()))
            }
        }
    }

    /// Whether it is a secret or may hold one, so that it can be given by file and never by flag.
    pub fn holds_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Databases | Self::Redis)
    }

    /// Whether a text gives a secret away: one itself, or a URL with a password.
    pub fn shows_secret(self, text: &str) -> bool {
        match self {
            Self::Secret => !text.is_empty(),
            Self::Databases | Self::Redis => text.split(',').any(|url| password_of(url).is_some()),
            _ => false,
        }
    }

    /// How a value is shown: secrets and passwords are masked.
    pub fn show(self, value: &Value) -> String {
        match (self, value) {
            (Self::Secret, Value::String(secret)) => mask(secret),
            (Self::Databases | Self::Redis, Value::Array(urls)) => {
                urls.iter().filter_map(Value::as_str).map(mask_password).collect::<Vec<_>>().join(",")
            }
            (_, Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            (_, Value::String(text)) => text.clone(),
            (_, other) => other.to_string(),
        }
    }

    /// What it holds, in a word or two, for the page of settings.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Secret => "secret".into(),
            Self::Number { least, most: i64::MAX } => format!("number from {least}"),
            Self::Number { least, most } => format!("number {least} to {most}"),
            Self::Switch => "true or false".into(),
            Self::Choice(words) => words.join(" or "),
            Self::Choices(words) => format!("list of {}", words.join(", ")),
            Self::Texts => "list".into(),
            Self::Databases => "list of database URLs".into(),
            Self::Redis => "list of Redis URLs".into(),
            Self::Networks => "list of networks".into(),
            Self::Listen => "IP:PORT".into(),
            Self::Ip => "IP address".into(),
        }
    }

    fn expectation(self) -> String {
        match self {
            Self::Text | Self::Secret => "must be a text".into(),
            Self::Number { least, most: i64::MAX } => format!("must be a whole number of at least {least}"),
            Self::Number { least, most } => format!("must be a whole number from {least} to {most}"),
            Self::Switch => "must be true or false".into(),
            Self::Choice(words) => format!("must be one of {}", words.join(", ")),
            Self::Choices(words) => format!("must be a list of {}", words.join(", ")),
            Self::Texts => "must be a list of texts".into(),
            Self::Databases => {
                "must be a list of URLs like mysql://USER:PASSWORD@HOST:PORT or sqlite:FILE, without a database name"
                    .into()
            }
            Self::Redis => "must be a list of URLs like redis://USER:PASSWORD@HOST:PORT or rediss://HOST:PORT".into(),
            Self::Networks => "must be a list of networks like 10.0.0.0/8 or addresses like 10.1.2.3".into(),
            Self::Listen => "must be IP:PORT, such as 127.0.0.1:8080".into(),
            Self::Ip => "must be an IP address, such as 127.0.0.1".into(),
        }
    }

    fn check_number(self, number: i64) -> Result<Value, String> {
        match self {
            Self::Number { least, most } if (least..=most).contains(&number) => Ok(Value::Integer(number)),
            _ => Err(self.expectation()),
        }
    }

    fn check_texts<'a>(self, texts: impl Iterator<Item = &'a str>) -> Result<Value, String> {
        let mut checked = Vec::new();
        for text in texts {
            match self {
                Self::Choices(words) if !words.contains(&text) => {
                    return Err(format!("names {text:?}, which is none of {}{}", words.join(", "), meant(text, words)));
                }
                Self::Databases if !is_database(text) => return Err(self.expectation()),
                Self::Redis if !is_redis(text) => return Err(self.expectation()),
                Self::Networks if !is_network(text) => return Err(self.expectation()),
                _ => checked.push(Value::String(text.to_owned())),
            }
        }
        Ok(Value::Array(checked))
    }
}

/// "; did you mean X?" for the nearest of some names, or nothing when none is near.
pub fn meant<'a>(text: &str, names: impl IntoIterator<Item = &'a &'a str>) -> String {
    nearest(text, names.into_iter().copied()).map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// The nearest of some names, if one is near enough to have been meant.
pub fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::jaro_winkler(text, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

/// Two names that are less alike than this (Jaro-Winkler, 0 to 1) have nothing to do with each other.
const LIKENESS_MIN: f64 = 0.7;

/// What stands for a secret.
const MASK: &str = "********";

fn mask(secret: &str) -> String {
    if secret.is_empty() { String::new() } else { MASK.to_owned() }
}

/// `mysql://user:password@host` with the password masked.
fn mask_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((login, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    match login.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:{MASK}@{host}"),
        None => url.to_owned(),
    }
}

/// The password in `mysql://user:password@host`, as it stands there.
pub fn password_of(url: &str) -> Option<&str> {
    let (login, _) = url.split_once("://")?.1.rsplit_once('@')?;
    login.split_once(':').map(|(_, password)| password).filter(|password| !password.is_empty())
}

/// The URL with a password, if it names a user and no password of its own.
pub fn with_password(url: &str, password: &str) -> String {
    let named = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?)));
    let Some((scheme, (user, host))) = named.filter(|(_, (user, _))| !user.is_empty() && !user.contains(':')) else {
        return url.to_owned();
    };
    let mut encoded = String::new();
    for byte in password.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{scheme}://{user}:{encoded}@{host}")
}

fn is_database(url: &str) -> bool {
    let server = ["mysql://", "mariadb://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let file = url.strip_prefix("sqlite:").is_some_and(|file| !file.is_empty());
    let names_only_a_server = |rest: &str| {
        let server = rest.split('?').next().unwrap_or_default().trim_end_matches('/');
        !server.is_empty() && !server.contains('/')
    };
    file || server.is_some_and(names_only_a_server)
}

fn is_redis(url: &str) -> bool {
    let server = ["redis://", "rediss://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    server.is_some_and(|server| !server.trim_end_matches('/').is_empty())
}

fn is_network(text: &str) -> bool {
    nakku_gateway::client_address::network(text).is_some()
}
