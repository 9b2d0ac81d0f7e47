//! Which addresses a webhook may be sent to: those of the public Internet.
//!
//! An integrator chooses the address, so without this a webhook could be made to talk to whatever this machine
//! reaches: its own loopback, the databases, a cloud's metadata. What is refused are the blocks that the registries of
//! special-purpose addresses (RFC 6890 and <https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>) call not globally reachable, and multicast. An IPv6
//! address that carries an IPv4 address is judged by both.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The address may not be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub IpAddr);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no public address; webhooks.allow_private_addresses would allow it", self.0)
    }
}

impl std::error::Error for Refused {}

/// IPv4 blocks that are not for the public: first address and length of the prefix.
const V4_BLOCKS: [(Ipv4Addr, u32); 16] = [
    // "This network", of which 0.0.0.0 reaches the machine itself.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Carrier-grade NAT, and what clouds use it for.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, with the metadata of clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    // Protocol assignments.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // 6to4 relays, withdrawn.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Benchmarks.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Documentation.
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved, with the broadcast address.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    // The metadata of Azure, which lies among public addresses.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

/// The part of IPv6 that is given out to the public.
const V6_GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// What is not for the public within it.
const V6_BLOCKS: [(Ipv6Addr, u32); 3] = [
    // Protocol assignments, with Teredo, benchmarks and ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address is one of the public Internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let in_block = |(first, length): &(Ipv4Addr, u32)| (address.to_bits() ^ first.to_bits()) >> (32 - length) == 0;
    !V4_BLOCKS.iter().any(in_block)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let carried = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match segments {
        // NAT64 with the well-known prefix: a gateway sends it on to the IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return is_public_v4(carried(high, low)),
        // 6to4, likewise.
        [0x2002, high, low, ..] if !is_public_v4(carried(high, low)) => return false,
        _ => {}
    }
    // Mapped and compatible IPv4 addresses, loopback, link-local, unique-local and multicast lie outside of it.
    let in_block = |(first, length): &(Ipv6Addr, u32)| (address.to_bits() ^ first.to_bits()) >> (128 - length) == 0;
    in_block(&V6_GLOBAL) && !V6_BLOCKS.iter().any(in_block)
}

/// Resolves names to public addresses only. What it returns is what is connected to: nobody resolves a second time.
#[derive(Clone, Copy, Debug)]
pub struct PublicOnly {
    /// Whether all addresses are taken.
    pub allow_private: bool,
}

impl PublicOnly {
    /// Keeps the public ones.
    ///
    /// # Errors
    /// The first of the others, when there is no public one.
    pub fn check(self, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let first = found.first().copied();
        let kept: Vec<_> = found.into_iter().filter(|one| self.allow_private || is_public(one.ip())).collect();
        match first {
            Some(first) if kept.is_empty() => Err(Refused(first.ip())),
            _ => Ok(kept),
        }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = *self;
        Box::pin(async move {
            // The port is that of the URL.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let kept = rule.check(found)?;
            let addresses: Addrs = Box::new(kept.into_iter());
            Ok(addresses)
        })
    }
}
