//! Whom a request comes from. A proxy's word counts only if the proxy is trusted: anybody can write the header.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Once;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Where proxies write whom they speak for, each adding its own peer at the end.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// How many entries are looked at: a chain of more trusted proxies is a mistake.
const ENTRIES_MAX: usize = 16;

/// The client's address: the nearest one that is not a trusted proxy.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = peer.to_canonical();
    if !is_trusted(&address) {
        if headers.contains_key(FORWARDED_FOR) {
            warn_once(address);
        }
        return address;
    }
    let lines = headers.get_all(FORWARDED_FOR).into_iter().filter_map(|line| line.to_str().ok());
    let entries: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
    for entry in entries.into_iter().rev().take(ENTRIES_MAX) {
        let Some(next) = parse(entry.trim()) else { break };
        address = next;
        if !is_trusted(&address) {
            break;
        }
    }
    address
}

/// A network such as `10.0.0.0/8`, or a single address.
pub fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// What counts as one client: an address, or for IPv6 the network that a customer of a provider is given.
pub fn client_network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [first, second, third, fourth, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(first, second, third, fourth, 0, 0, 0, 0))
        }
    }
}

/// An address, also with a port behind it, as some proxies write it.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(text);
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    bare.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

fn warn_once(peer: IpAddr) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            %peer,
            setting = "http.trusted_proxies",
            "requests carry X-Forwarded-For from a peer that is no trusted proxy; if it is a proxy, its clients share \
             one limit until the setting names it"
        );
    });
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn address(peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(address("192.0.2.1", &["203.0.113.7"]), "192.0.2.1");
        assert_eq!(address("10.1.1.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(address("::ffff:10.1.1.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(address("10.1.1.1", &[]), "10.1.1.1");
    }

    #[test]
    fn what_a_client_wrote_before_the_proxies_does_not_count() {
        assert_eq!(address("10.1.1.1", &["1.1.1.1, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(address("10.1.1.1", &["1.1.1.1", "203.0.113.7, 10.2.2.2"]), "203.0.113.7");
        assert_eq!(address("10.1.1.1", &["1.1.1.1, nonsense"]), "10.1.1.1");
        assert_eq!(address("10.1.1.1", &["nonsense, 10.3.3.3"]), "10.3.3.3");
    }

    #[test]
    fn addresses_are_read_with_ports_and_ipv6_by_network() {
        assert_eq!(address("fd00::1", &["[2001:db8:1:2:3::4]:8443"]), "2001:db8:1:2:3::4");
        assert_eq!(address("10.1.1.1", &["203.0.113.7:1234"]), "203.0.113.7");
        assert_eq!(client_network("2001:db8:1:2:3::4".parse().unwrap()), "2001:db8:1:2::/64");
        assert_eq!(client_network("203.0.113.7".parse().unwrap()), "203.0.113.7");
    }
}
