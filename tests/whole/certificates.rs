//! The authority that signs the certificates of a cluster's nodes.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Keeps what it signs in a folder that is somebody else's to remove.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// The files that a node needs.
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub authority: PathBuf,
}

impl Authority {
    pub fn new(folder: &Path) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names are valid names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("a certificate");
        let authority = Self { issuer, folder: folder.to_owned() };
        write(&authority.certificate(), &authority.issuer.pem());
        authority
    }

    /// Signs a certificate; a node that comes back gets a new one.
    pub fn sign(&self, node: &str) -> Files {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(vec![format!("{node}.nakku")]).expect("a host name");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |extension: &str| self.folder.join(format!("{node}.{extension}"));
        let files = Files { certificate: file("pem"), key: file("key"), authority: self.certificate() };
        write(&files.certificate, &certificate.pem());
        write(&files.key, &key.serialize_pem());
        files
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }
}

fn write(file: &Path, pem: &str) {
    std::fs::write(file, pem).expect("the folder takes it");
}
