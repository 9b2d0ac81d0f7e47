//! How a delivery is signed: as Standard Webhooks have it, so that their libraries verify it.
//!
//! See <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>: HMAC-SHA256 under
//! the secret's bytes over `ID.TIMESTAMP.BODY`, in Base64 behind the version `v1,`. Several signatures are separated by
//! spaces, while a secret is being replaced.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of `webhook-signature` under each of the keys.
pub fn header(keys: &[Vec<u8>], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let signatures: Vec<String> = keys.iter().map(|key| signature(key, id, timestamp_s, body)).collect();
    signatures.join(" ")
}

fn signature(key: &[u8], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(timestamp_s.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn it_is_as_others_compute_it() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let told = header(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(told, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_keys_make_two_signatures() {
        let told = header(&[vec![1; 32], vec![2; 32]], "1-order-3-4", 1, b"{}");
        let both: Vec<&str> = told.split(' ').collect();
        assert!(both.len() == 2 && both[0] != both[1] && both.iter().all(|one| one.starts_with("v1,")), "{told}");
    }
}
