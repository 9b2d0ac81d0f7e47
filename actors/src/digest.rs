//! Short names that follow from their content.

use sha2::{Digest, Sha256};

/// SHA-256 over the parts, each preceded by its length (8 bytes, big endian) so that no two lists of parts
/// share an input; the first 20 characters in hexadecimal (80 bits).
pub(crate) fn short_digest(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_between_parts_counts() {
        assert_ne!(short_digest(&[b"ab", b"c"]), short_digest(&[b"a", b"bc"]));
        assert_eq!(short_digest(&[b"ab", b"c"]).len(), 20);
    }
}
