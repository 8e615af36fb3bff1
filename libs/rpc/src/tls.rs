//! TLS of servers and transports: what they show, and whom they trust. rustls with aws-lc-rs, TLS 1.2 and newer.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt as _;
use sluice_domain::Secret;
use thiserror::Error;

/// How HTTP/2 and HTTP/1.1 are called in a handshake (ALPN).
pub(crate) const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// Why a certificate, a key or an authority can't be used. No text repeats any of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TlsError {
    /// The certificate of our own.
    #[error("must be a certificate in PEM, followed by those between it and the authority: {0}")]
    Certificate(String),
    /// The private key.
    #[error("must be an unencrypted private key in PEM, of a kind that TLS knows")]
    Key,
    /// The private key is another certificate's.
    #[error("is not the private key of the certificate")]
    KeyMismatch,
    /// The authorities.
    #[error("must be certificates of authorities in PEM: {0}")]
    Authorities(String),
    /// What TLS needs can't be set up.
    #[error("TLS can't be set up: {0}")]
    Setup(String),
}

/// Who we are towards the other side: a certificate, with those between it and its authority, and the private key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// The authorities whose certificates are believed.
pub struct Authorities(Arc<RootCertStore>);

/// What a server shows in a handshake, and whom it takes.
#[derive(Clone)]
pub struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) mutual: bool,
}

/// What a transport shows in a handshake, and whom it believes. The server's name is always verified.
#[derive(Clone)]
pub struct ClientTls(pub(crate) Arc<ClientConfig>);

impl Identity {
    /// A certificate chain, our own first, and its private key.
    ///
    /// # Errors
    /// When either can't be read.
    pub fn from_pem(chain: &str, key: &Secret) -> Result<Self, TlsError> {
        let chain = certificates(chain).map_err(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| TlsError::Key)?;
        Ok(Self { chain, key })
    }
}

impl Authorities {
    /// One or more certificates of authorities.
    ///
    /// # Errors
    /// When there is none, or one can't be read.
    pub fn from_pem(pem: &str) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem).map_err(TlsError::Authorities)? {
            roots.add(certificate).map_err(|error| TlsError::Authorities(error.to_string()))?;
        }
        Ok(Self(Arc::new(roots)))
    }
}

impl ServerTls {
    /// For everybody: the server shows its certificate and asks for none.
    ///
    /// # Errors
    /// When the key is not the certificate's.
    pub fn new(identity: Identity) -> Result<Self, TlsError> {
        let mut config = server()?
            .with_no_client_auth()
            .with_single_cert(identity.chain, identity.key)
            .map_err(own_certificate)?;
        config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
        Ok(Self { config: Arc::new(config), mutual: false })
    }

    /// For those only who show a certificate of one of these authorities.
    ///
    /// # Errors
    /// When the key is not the certificate's.
    pub fn mutual(identity: Identity, clients: &Authorities) -> Result<Self, TlsError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&clients.0), provider())
            .build()
            .map_err(|error| TlsError::Setup(error.to_string()))?;
        let mut config = server()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(identity.chain, identity.key)
            .map_err(own_certificate)?;
        config.alpn_protocols = vec![H2.to_vec()];
        // A session that is resumed would spare the other side to show its certificate, which may have expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), mutual: true })
    }
}

impl ClientTls {
    /// Believes the authorities that the system believes, and shows nothing.
    ///
    /// # Errors
    /// When the system has no authorities.
    pub fn system() -> Result<Self, TlsError> {
        let verifying = client()?.with_platform_verifier().map_err(setup)?;
        Ok(Self::of(verifying.with_no_client_auth()))
    }

    /// Believes these authorities and no others, and shows nothing.
    ///
    /// # Errors
    /// Never, with what is linked; a test does it.
    pub fn trusting(servers: &Authorities) -> Result<Self, TlsError> {
        let verifying = client()?.with_root_certificates(Arc::clone(&servers.0));
        Ok(Self::of(verifying.with_no_client_auth()))
    }

    /// Believes these authorities and no others, and shows who we are.
    ///
    /// # Errors
    /// When the key is not the certificate's.
    pub fn mutual(servers: &Authorities, identity: Identity) -> Result<Self, TlsError> {
        let config = client()?
            .with_root_certificates(Arc::clone(&servers.0))
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(own_certificate)?;
        Ok(Self::of(config))
    }

    fn of(mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![H2.to_vec()];
        Self(Arc::new(config))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.mutual { "ServerTls(mutual)" } else { "ServerTls" })
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

/// Named rather than taken from the process, which other crates could set up otherwise.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

fn server() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, TlsError> {
    ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(setup)
}

fn client() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(setup)
}

fn setup(error: rustls::Error) -> TlsError {
    TlsError::Setup(error.to_string())
}

/// What is wrong with the certificate that we show, or with its key.
fn own_certificate(error: rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch,
        rustls::Error::InvalidCertificate(error) => TlsError::Certificate(error.to_string()),
        _ => TlsError::Key,
    }
}

/// The certificates of a PEM, at least one.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| {
        // The errors' own words repeat lines of what may be the wrong file, with a secret in it.
        let what = match error {
            PemError::MissingSectionEnd { .. } => "a section has no end",
            PemError::Base64Decode(_) => "a section is not base64",
            _ => "a section does not begin as one",
        };
        what.to_owned()
    })?;
    if all.is_empty() { Err("there is none".to_owned()) } else { Ok(all) }
}

#[cfg(test)]
mod tests;
