//! TLS, passwords and what users may do.

use std::time::Duration;

use nakku_cluster::{Key, Timestamp};
use nakku_gateway::shared::{Away, Position, Shared};
use nakku_gateway::{Secret, SharedSettings};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::server::{Server, settings, settings_of_nakku};

const PASSWORD: &str = "correct horse";

/// Certificates of an authority and of a server on the loopback, in a folder.
fn certificates(folder: &std::path::Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    // Of its own, or the server's certificate would look as if it had signed itself.
    authority.distinguished_name.push(DnType::CommonName, "test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&server_key, &issuer).unwrap();
    for (name, text) in
        [("ca.pem", authority_certificate.pem()), ("cert.pem", server.pem()), ("key.pem", server_key.serialize_pem())]
    {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

async fn put(settings: &SharedSettings) -> Result<(), Away> {
    let shared = Shared::start(settings).await.unwrap();
    let here = Position::new(12.97, 77.64, Timestamp::now()).unwrap();
    shared.positions.put(&Key::new("s-1").unwrap(), &Key::new("r-1").unwrap(), here).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_lets_in_and_is_not_shown() {
    let server = Server::with(&["--requirepass", PASSWORD], &["-a", PASSWORD, "--no-auth-warning"]).await;
    let mut settings = settings(vec![server.url()]);
    assert_eq!(put(&settings).await, Err(Away), "without it nobody is let in");
    settings.redis.as_mut().unwrap().password = Some(Secret::new(PASSWORD));
    assert_eq!(put(&settings).await, Ok(()));
    let url = format!("redis://:{}@127.0.0.1:{}", "correct%20horse", server.port());
    settings.redis.as_mut().unwrap().urls = vec![Secret::new(url)];
    settings.redis.as_mut().unwrap().password = Some(Secret::new("another"));
    assert_eq!(put(&settings).await, Ok(()), "that of the address comes first");
    let shown = format!("{settings:?} {:?}", Shared::start(&settings).await.unwrap());
    assert!(!shown.contains("correct"), "{shown}");
}

/// That `nakku` may do all that it needs, every test of the contract shows.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_nakku_may_only_ask_whether_it_lives() {
    let server = Server::protected().await;
    let ask = |user: &[&str], command: &[&str]| {
        let mut ask = std::process::Command::new("redis-cli");
        ask.args(["-p", &server.port().to_string(), "--no-auth-warning"]).args(user).args(command);
        String::from_utf8_lossy(&ask.output().unwrap().stdout).trim().to_owned()
    };
    let nakku = ["--user", "nakku", "-a", crate::server::PASSWORD];
    assert_eq!(ask(&[], &["PING"]), "PONG");
    assert_eq!(ask(&nakku, &["SET", "test-1", "kept"]), "OK");
    for command in [&["GET", "test-1"][..], &["INFO"], &["KEYS", "*"], &["CONFIG", "GET", "*"], &["FLUSHALL"]] {
        assert!(ask(&[], command).starts_with("NOPERM"), "{command:?}");
    }
    let others = [&["GET", "other:1"][..], &["KEYS", "*"], &["FLUSHALL"], &["CONFIG", "GET", "*"], &["ACL", "LIST"]];
    for command in others {
        assert!(ask(&nakku, command).starts_with("NOPERM"), "{command:?}");
    }
    assert_eq!(put(&settings(vec![server.url()])).await, Err(Away), "an account that may only ping is no help");
    assert_eq!(put(&settings_of_nakku(vec![server.url()])).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_to_servers_that_the_authority_signed() {
    let folder = std::env::temp_dir().join(format!("nakku-redis-tls-{:016x}", rand::random::<u64>()));
    std::fs::create_dir_all(&folder).unwrap();
    certificates(&folder);
    let file = |name: &str| folder.join(name).display().to_string();
    let (ca, certificate, private) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let arguments = [
        ["--port", "0"],
        ["--tls-port", "PORT"],
        ["--tls-ca-cert-file", &ca],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &private],
        ["--tls-auth-clients", "no"],
        ["--requirepass", PASSWORD],
    ];
    let login = ["--tls", "--cacert", &ca, "-a", PASSWORD, "--no-auth-warning"];
    let server = Server::with(arguments.as_flattened(), &login).await;
    assert!(server.folder().exists());
    let mut settings = settings(vec![format!("rediss://127.0.0.1:{}", server.port())]);
    let redis = settings.redis.as_mut().unwrap();
    redis.password = Some(Secret::new(PASSWORD));
    redis.deadline = Duration::from_secs(5);
    redis.tls_ca = Some(folder.join("ca.pem"));
    assert_eq!(put(&settings).await, Ok(()));
    settings.redis.as_mut().unwrap().tls_ca = None;
    assert_eq!(put(&settings).await, Err(Away), "the machine does not know the authority");
    settings.redis.as_mut().unwrap().tls_ca = Some(folder.join("nowhere.pem"));
    assert!(Shared::start(&settings).await.unwrap_err().contains("nowhere.pem"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn malformed_addresses_are_settings_that_cannot_be_right() {
    for url in ["http://127.0.0.1:6379", "redis://", "nonsense:secret"] {
        let error = Shared::start(&settings(vec![url.to_owned()])).await.unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }
}
