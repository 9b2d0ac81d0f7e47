//! Links behind mutual TLS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::child::Start;
use crate::node::{Node, PATIENCE, start, wait_for};

/// An authority and a folder for what it signs.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let folder = std::env::temp_dir().join(format!("nakku-link-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("authority.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// The settings of a node with a certificate of this authority that trusts the given one.
    fn node(&self, name: &str, trusted: &Authority) -> Start {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec![format!("{name}.nakku")]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let files = [format!("{name}.pem"), format!("{name}.key")].map(|file| self.folder.join(file));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut node = start(name, 1);
        node.tls = Some([text(&files[0]), text(&files[1]), text(&trusted.folder.join("authority.pem"))]);
        node
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn nodes_of_one_authority_talk_whatever_their_names() {
    let authority = Authority::new("one");
    let (a, b) = Node::pair(authority.node("a", &authority), authority.node("b", &authority)).await;
    let (ended, _) = a.burst(&b, "echo", (500, 20_000), PATIENCE).await;
    assert_eq!(ended["answered"], 500, "{ended:?}");
    assert_eq!(b.request(&a, "echo", "", "back", PATIENCE).await.text, "back");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_by_either_side() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    // The stranger trusts everybody; our node refuses it, as the one dialed and as the one that dials.
    for (name, peer) in [("a", "m"), ("z", "n")] {
        let stranger = Node::spawn(theirs.node(name, &ours)).await;
        let node = Node::spawn(ours.node(peer, &ours)).await;
        stranger.list(&[&node]).await;
        node.list(&[&stranger]).await;
        let refused = ["a connection was no link", "no link yet"];
        wait_for("our node to refuse", async || refused.iter().any(|text| node.has_logged(text))).await;
        assert_eq!(node.request(&stranger, "echo", "", "x", PATIENCE).await.how, "NotConnected");
        assert_eq!(stranger.request(&node, "echo", "", "x", PATIENCE).await.how, "NotConnected");
        assert!(!node.has_logged("a link is ready"));
    }
}

#[tokio::test]
async fn a_plain_client_gets_nothing_and_stalled_handshakes_delay_nobody() {
    let authority = Authority::new("stalled");
    let mut b = authority.node("b", &authority);
    b.connect_timeout_ms = 5_000;
    let b = Node::spawn(b).await;

    let mut stalled = Vec::new();
    for _ in 0..100 {
        stalled.push(TcpStream::connect(&b.address).await.unwrap());
    }
    let mut plain = TcpStream::connect(&b.address).await.unwrap();
    plain.write_all(b"\x00\x00\x00\x10{\"cluster_id\":1}").await.unwrap();
    let mut answer = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(4), plain.read_to_end(&mut answer)).await;
    end.expect("it is closed at once").ok();
    assert_ne!(answer.first(), Some(&0), "not a word of ours: {answer:?}");

    let a = Node::spawn(authority.node("a", &authority)).await;
    let begun = std::time::Instant::now();
    a.list(&[&b]).await;
    b.list(&[&a]).await;
    a.wait_linked(&b.id, true).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(a.request(&b, "echo", "", "through", PATIENCE).await.text, "through");

    let mut first = stalled.swap_remove(0);
    let end = tokio::time::timeout(PATIENCE, first.read(&mut [0; 8])).await;
    assert_eq!(end.expect("it is closed in the end").unwrap_or(0), 0);
}
