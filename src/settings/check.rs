//! What must hold before a node starts, beyond what each setting says by itself.

use std::path::Path;

use super::load::SettingsError;
use super::table::ROLES;
use super::tree::{Settings, Tls};
use super::value::password_of;

/// The shortest secret, in bytes: as long as the hash that uses it (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// A renewal may be lost, and the next, before a node counts as silent.
const RENEWALS_PER_LEASE_MIN: u64 = 4;
/// Words that only secrets in examples and documents hold.
const DEMO_WORDS: &[&str] = &["demo", "example", "change-me", "changeme", "change_me", "replace", "password"];

/// What holds for every node, `nakku dev` included.
///
/// # Errors
/// What is wrong and what to do, in one line.
pub fn check(settings: &Settings) -> Result<(), SettingsError> {
    let name = settings.node_name();
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.len() > 64 || !name.bytes().all(clean) {
        return unfit(format!("{name:?} is no name for a node; set node.name to letters, digits, '-', '_' and '.'"));
    }
    if settings.node.roles.is_empty() {
        return unfit("this node would run nothing; name its roles in node.roles".into());
    }
    let (lease, renew) = (settings.cluster.lease_ms, settings.cluster.renew_ms);
    if renew * RENEWALS_PER_LEASE_MIN > lease {
        return unfit(format!(
            "cluster.renew_ms is {renew} and cluster.lease_ms {lease}; a lease must outlast {RENEWALS_PER_LEASE_MIN} renewals"
        ));
    }
    let databases = &settings.databases;
    check_replicas("databases.default", "databases.replicas", &databases.default, &databases.replicas)?;
    for service in ROLES {
        let (setting, replicas) = (format!("databases.{service}"), settings.own_replicas(service));
        check_replicas(&setting, &format!("{setting}_replicas"), settings.own_databases(service), replicas)?;
    }
    Ok(())
}

fn check_replicas(
    setting: &str,
    replicas_setting: &str,
    primaries: &[String],
    replicas: &[String],
) -> Result<(), SettingsError> {
    if !replicas.is_empty() && replicas.len() != primaries.len() {
        return unfit(format!(
            "{replicas_setting} names {} servers and {setting} {}; name one replica for each of them, or none",
            replicas.len(),
            primaries.len()
        ));
    }
    if replicas.iter().chain(primaries.iter().filter(|_| !replicas.is_empty())).any(|url| url.starts_with("sqlite")) {
        return unfit(format!("{replicas_setting} is for MySQL and MariaDB; a SQLite file has no replica"));
    }
    Ok(())
}

/// What also holds outside `nakku dev`: real secrets, protected links.
///
/// # Errors
/// What is wrong and what to do, in one line.
pub fn check_node(settings: &Settings) -> Result<(), SettingsError> {
    check(settings)?;
    check_secret("cluster.cookie", &settings.cluster.cookie)?;
    check_secret("auth.jwt_secret", &settings.auth.jwt_secret)?;
    check_secret("auth.admin_token", &settings.auth.admin_token)?;
    check_passwords(settings)?;
    let admin = settings.listen.admin;
    if !admin.ip().is_loopback() && !settings.admin.behind_tls {
        return unfit(format!(
            "listen.admin is {admin}, which others reach, and passwords would cross the network in the clear; listen on \
             127.0.0.1, or end TLS in a proxy and set admin.behind_tls"
        ));
    }
    if settings.links.tls == Tls::Off {
        return Ok(());
    }
    let files = [
        ("links.tls_cert", &settings.links.tls_cert),
        ("links.tls_key", &settings.links.tls_key),
        ("links.tls_ca", &settings.links.tls_ca),
    ];
    for (name, file) in files {
        if file.is_empty() {
            return unfit(format!(
                "{name} names no file; set links.tls_cert, links.tls_key and links.tls_ca, or links.tls = \"off\" in a \
                 network that nobody else reaches"
            ));
        }
        if !Path::new(file).is_file() {
            return unfit(format!("{name} names {file}, and there is no such file"));
        }
    }
    Ok(())
}

fn check_secret(name: &str, secret: &str) -> Result<(), SettingsError> {
    let make = "make one by: openssl rand -hex 32";
    if secret.is_empty() {
        return unfit(format!("{name} is not set; {make}"));
    }
    if secret.len() < SECRET_BYTES_MIN {
        return unfit(format!("{name} is shorter than {SECRET_BYTES_MIN} bytes; {make}"));
    }
    if is_demo(secret) {
        return unfit(format!("{name} is a demo secret, which anybody can guess; {make}"));
    }
    Ok(())
}

/// Passwords of other servers may be as long as those want; they are no examples either.
fn check_passwords(settings: &Settings) -> Result<(), SettingsError> {
    let mut databases = settings.databases.clone();
    let common = [
        ("databases.password", &settings.databases.password),
        ("redis.password", &settings.redis.password),
        ("kafka.password", &settings.kafka.password),
    ];
    let lists = databases.lists().into_iter().map(|(name, urls)| (name, urls.as_slice()));
    let lists = lists.chain([
        ("redis.url", settings.redis.url.as_slice()),
        ("notification.smtp_url", std::slice::from_ref(&settings.notification.smtp_url)),
    ]);
    let in_urls = lists.flat_map(|(name, urls)| urls.iter().filter_map(move |url| Some((name, password_of(url)?))));
    let mut all = common.iter().map(|(name, password)| (*name, password.as_str())).chain(in_urls);
    match all.find(|(_, password)| !password.is_empty() && is_demo(password)) {
        Some((name, _)) => unfit(format!(
            "the password in {name} is a demo secret, which anybody can guess; change it at that server and here"
        )),
        None => Ok(()),
    }
}

fn is_demo(secret: &str) -> bool {
    let lower = secret.to_lowercase();
    let first = secret.bytes().next();
    DEMO_WORDS.iter().any(|word| lower.contains(word)) || secret.bytes().all(|byte| Some(byte) == first)
}

fn unfit(message: String) -> Result<(), SettingsError> {
    Err(SettingsError::Unfit(message))
}
