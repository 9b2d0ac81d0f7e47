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
    hex(&hasher.finalize()[..10])
}

/// Two lower-case digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_with_two_digits_each() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }

    #[test]
    fn the_border_between_parts_counts() {
        assert_ne!(short_digest(&[b"ab", b"c"]), short_digest(&[b"a", b"bc"]));
        assert_eq!(short_digest(&[b"ab", b"c"]).len(), 20);
    }
}
