//! Ports for what a test starts.
//!
//! Needs rand beside the standard library, so that tests of other crates can take it in by `#[path]`.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below those that systems hand out by themselves, to listeners on port 0 and to outgoing connections: one of these
/// would be gone again as soon as anything else in the meantime asks for any.
const RANGE: Range<u16> = 10_000..30_000;
/// So many are tried.
const TRIES: usize = 1000;

/// A port of the loopback that was free a moment ago.
pub fn free_port() -> u16 {
    let candidates = std::iter::repeat_with(|| rand::random_range(RANGE)).take(TRIES);
    let mut free = candidates.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    free.next().expect("a free port")
}
