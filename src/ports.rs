//! Whether this node can listen where it was told to, asked before anything is started.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use crate::settings::{Settings, SettingsError};

/// Tries every listener of this node.
///
/// # Errors
/// Names the first setting whose address can't be had.
pub fn check(settings: &Settings) -> Result<(), SettingsError> {
    let listen = &settings.listen;
    let mut wanted = vec![("listen.links".to_owned(), listen.links), ("listen.admin".to_owned(), listen.admin)];
    if settings.has_role("gateway") {
        wanted.insert(0, ("listen.gateway".to_owned(), listen.gateway));
    }
    for role in settings.roles() {
        if let Some(port) = settings.service_port(role) {
            wanted.push((format!("service_ports.{role}"), SocketAddr::new(settings.service_ports.host, port)));
        }
    }
    for (setting, address) in wanted {
        let Err(error) = TcpListener::bind(address) else { continue };
        let what = match error.kind() {
            ErrorKind::AddrInUse => "another process listens there".to_owned(),
            ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            _ => error.to_string(),
        };
        let hint = if setting == "listen.gateway" {
            "use --port or set listen.gateway".into()
        } else {
            format!("set {setting}")
        };
        return Err(SettingsError::Unfit(format!("{setting} is {address}, and {what}; stop it or {hint}")));
    }
    Ok(())
}
