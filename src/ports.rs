//! Whether this node can listen where it was told to, asked before anything is started.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use crate::cli::outcome::Wrong;
use crate::settings::Settings;

/// Tries every listener of this node.
///
/// # Errors
/// Names the first setting whose address can't be had.
pub fn check(settings: &Settings) -> Result<(), Wrong> {
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
        return Err(Wrong::Failed(format!("{setting} is {address}, and {what}; stop it or {hint}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;

    #[test]
    fn a_taken_port_is_named_by_its_setting() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
        let address = taken.local_addr().expect("it is bound").to_string();
        let flags = [("node.roles", "gateway"), ("listen.links", "127.0.0.1:0"), ("listen.gateway", "127.0.0.1:0")];
        let flags = flags.into_iter().chain([("listen.admin", address.as_str())]);
        let flags = flags.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let settings = Sources { flags, ..Sources::default() }.load().expect("they are settings").settings;
        let told = format!("{:?}", check(&settings).expect_err("it is taken"));
        assert!(told.contains("listen.admin") && told.contains(&address), "{told}");
        drop(taken);
        check(&settings).expect("it is free again");
    }
}
