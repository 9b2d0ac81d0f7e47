//! What a dev keeps in its folder: one holder, private files, secrets that stay.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::folder;
use super::local::{Local, LocalNode};
use super::secrets::Secrets;

/// A folder that is removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("nakku-dev-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder for temporary files takes one");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn one_dev_holds_a_folder() {
    let folder = Folder::new("held");
    let held = folder::hold(&folder.0).expect("nobody holds it");
    let told = format!("{:?}", folder::hold(&folder.0).expect_err("it is held"));
    assert!(told.contains("another nakku dev") && told.contains(&std::process::id().to_string()), "{told}");
    drop(held);
    folder::hold(&folder.0).expect("nobody holds it any more");
}

#[test]
fn what_the_clients_need_is_private_and_goes() {
    let folder = Folder::new("local");
    let node = LocalNode {
        name: "node-1".into(),
        pid: 1,
        api: "http://127.0.0.1:8080".into(),
        admin: "http://127.0.0.1:7947".into(),
        links: "127.0.0.1:7946".into(),
    };
    let local = Local { admin_token: "token".into(), nodes: vec![node] };
    local.write(&folder.0).expect("the folder takes it");
    local.write(&folder.0).expect("it can be written again");
    assert_eq!(mode(&folder.0.join("dev.json")), 0o600);
    let read = Local::read(&folder.0).expect("it is there");
    assert_eq!((read.admin_token.as_str(), read.nodes[0].api.as_str()), ("token", "http://127.0.0.1:8080"));
    Local::remove(&folder.0);
    assert!(Local::read(&folder.0).is_none());
}

#[test]
fn secrets_are_random_private_and_stay() {
    let (one, other) = (Folder::new("secrets-1"), Folder::new("secrets-2"));
    let first = Secrets::of(&one.0).expect("the folder takes them");
    let again = Secrets::of(&one.0).expect("they are there");
    let elsewhere = Secrets::of(&other.0).expect("the folder takes them");
    assert_eq!(first.jwt_secret, again.jwt_secret);
    assert_ne!(first.jwt_secret, elsewhere.jwt_secret);
    assert_eq!(first.cookie.len(), 64);
    assert_eq!(mode(&one.0.join("secrets.json")), 0o600);
}
