//! Which events are meant by a type, and which addresses may be given.

use std::sync::LazyLock;

use nakku_cluster::events::intake::DEAD_LETTERED;
use url::{Host, Url};

use super::command::{Rejection, TYPES_MAX, URL_BYTES_MAX};

/// The names of all public events that can be subscribed to: those of the services.
static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let all = crate::public::events();
    all.iter().map(|event| event.event_type).filter(|name| *name != DEAD_LETTERED).collect()
});

/// Whether a type, such as `order.confirmed` or `order.*`, means an event.
pub fn means(wanted: &str, event_type: &str) -> bool {
    match wanted.strip_suffix(".*") {
        Some(family) => event_type.strip_prefix(family).is_some_and(|rest| rest.starts_with('.')),
        None => wanted == event_type,
    }
}

/// Sorted and without repeats.
///
/// # Errors
/// When there are none or too many, or one of them means no public event.
pub fn check_types(mut types: Vec<String>) -> Result<Vec<String>, Rejection> {
    let invalid = |problem: String| Err(Rejection::Invalid { field: "types".into(), problem });
    types.sort_unstable();
    types.dedup();
    if types.is_empty() || types.len() > TYPES_MAX {
        return invalid(format!("has 1 to {TYPES_MAX} entries"));
    }
    match types.iter().find(|wanted| !NAMES.iter().any(|name| means(wanted, name))) {
        Some(unknown) => {
            let unknown: String = unknown.chars().take(80).collect();
            invalid(format!("{unknown:?} is no public event; write a name such as order.confirmed, or order.*"))
        }
        None => Ok(types),
    }
}

/// The address of an endpoint in its normal form. Whether it may be connected to is decided when it is.
///
/// # Errors
/// When it is too long, no URL, has another scheme, names no host, or holds a user, a password or a fragment.
pub fn check_url(text: &str, plain_http_allowed: bool) -> Result<String, Rejection> {
    let invalid = |problem: &str| Rejection::Invalid { field: "url".into(), problem: problem.to_owned() };
    if text.len() > URL_BYTES_MAX {
        return Err(invalid(&format!("has at most {URL_BYTES_MAX} bytes")));
    }
    if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err(invalid("holds no spaces or control characters"));
    }
    let url = Url::parse(text).map_err(|error| invalid(&format!("is no URL: {error}")))?;
    match url.scheme() {
        "https" => {}
        "http" if plain_http_allowed => {}
        _ => return Err(invalid("begins with https://")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("holds no user and no password"));
    }
    if url.fragment().is_some() {
        return Err(invalid("holds no fragment"));
    }
    match url.host() {
        None => return Err(invalid("names a host")),
        Some(Host::Domain("")) => return Err(invalid("names a host")),
        Some(_) => {}
    }
    let normal = url.to_string();
    if normal.len() > URL_BYTES_MAX {
        return Err(invalid(&format!("has at most {URL_BYTES_MAX} bytes")));
    }
    Ok(normal)
}
