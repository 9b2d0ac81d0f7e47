//! Mutual TLS between nodes: each side shows a certificate that the cluster's authority has signed.
//!
//! Names in certificates are not compared with addresses: nodes move, and the authority signs for nothing
//! but this cluster.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{self, CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::error::LinkError;
use super::settings::TlsFiles;

/// Both sides of TLS, loaded.
#[derive(Clone)]
pub struct Tls {
    /// For whom we accept.
    pub acceptor: TlsAcceptor,
    /// For whom we dial.
    pub connector: TlsConnector,
}

impl Tls {
    /// Reads certificate, key and authority.
    ///
    /// # Errors
    /// Which file can't be used and why.
    pub fn load(files: &TlsFiles) -> Result<Self, LinkError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificates = read_certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| unusable(&files.key, error))?;

        let mut authority = RootCertStore::empty();
        for certificate in read_certificates(&files.authority)? {
            authority.add(certificate).map_err(|error| unusable(&files.authority, error))?;
        }
        let authority = Arc::new(authority);

        let clients = WebPkiClientVerifier::builder_with_provider(authority.clone(), provider.clone())
            .build()
            .map_err(|error| unusable(&files.authority, error))?;
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&files.certificate, error))?
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates.clone(), key.clone_key())
            .map_err(|error| unusable(&files.certificate, error))?;
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&files.certificate, error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(OfTheCluster { authority, provider }))
            .with_client_auth_cert(certificates, key)
            .map_err(|error| unusable(&files.certificate, error))?;
        Ok(Self { acceptor: Arc::new(server).into(), connector: Arc::new(client).into() })
    }
}

/// The name that goes with a handshake; nobody looks at it.
pub fn server_name() -> ServerName<'static> {
    ServerName::try_from("nakku").expect("a host name")
}

/// Accepts exactly the certificates that the cluster's authority signed, whatever name they bear.
#[derive(Debug)]
struct OfTheCluster {
    authority: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OfTheCluster {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.authority, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, error))?;
    if certificates.is_empty() { Err(unusable(path, "it holds no certificate")) } else { Ok(certificates) }
}

fn read(path: &Path) -> Result<Vec<u8>, LinkError> {
    fs::read(path).map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> LinkError {
    LinkError::Tls { path: path.to_owned(), reason: reason.to_string() }
}
