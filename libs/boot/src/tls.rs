//! TLS of the listeners: the certificates they show, and whom the internal one believes.

use std::path::PathBuf;

use serde::Deserialize;
use sluice_domain::Secret;
use sluice_rpc::{Authorities, Identity, ServerTls, TlsError};
use sluice_runtime::{Renewal, RenewalError, SettingFile};

/// `process.tls.…`: TLS on the public listener. Whoever comes shows a token, and no certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicTls {
    /// `tls.cert_file`: our certificate in PEM, followed by those between it and its authority.
    pub cert_file: PathBuf,
    /// `tls.key_file`: its private key in PEM.
    pub key_file: PathBuf,
}

/// `process.internal_tls.…`: mutual TLS on the internal listener. Whoever comes shows a certificate, and a token with scope `internal`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InternalTls {
    /// `internal_tls.cert_file`: our certificate in PEM, followed by those between it and its authority.
    pub cert_file: PathBuf,
    /// `internal_tls.key_file`: its private key in PEM.
    pub key_file: PathBuf,
    /// `internal_tls.client_ca_file`: the authorities, in PEM, that callers' certificates must be of.
    pub client_ca_file: PathBuf,
}

impl PublicTls {
    /// What the listener shows.
    ///
    /// # Errors
    /// When a file can't be read or used.
    pub(crate) fn server(&self) -> Result<Renewal<ServerTls>, RenewalError> {
        let files = [("cert_file", &self.cert_file), ("key_file", &self.key_file)];
        Renewal::open(named("process.tls", files), |contents| {
            let [chain, key] = contents else { return Err("process.tls: needs two files".to_owned()) };
            identity(chain, key).and_then(ServerTls::new).map_err(|error| at_fault("process.tls", "", &error))
        })
    }
}

impl InternalTls {
    /// What the listener shows, and whom it believes.
    ///
    /// # Errors
    /// When a file can't be read or used.
    pub(crate) fn server(&self) -> Result<Renewal<ServerTls>, RenewalError> {
        const SECTION: &str = "process.internal_tls";
        let files = [
            ("cert_file", &self.cert_file),
            ("key_file", &self.key_file),
            ("client_ca_file", &self.client_ca_file),
        ];
        Renewal::open(named(SECTION, files), |contents| {
            let [chain, key, clients] = contents else { return Err(format!("{SECTION}: needs three files")) };
            let server =
                || ServerTls::mutual(identity(chain, key)?, &Authorities::from_pem(clients.expose())?);
            server().map_err(|error| at_fault(SECTION, "client_ca_file", &error))
        })
    }
}

/// The files with the dotted keys of their settings.
pub(crate) fn named<'a>(
    section: &str,
    files: impl IntoIterator<Item = (&'static str, &'a PathBuf)>,
) -> Vec<SettingFile> {
    let named = |(key, path): (&str, &PathBuf)| SettingFile {
        setting: format!("{section}.{key}"),
        path: path.clone(),
    };
    files.into_iter().map(named).collect()
}

/// A certificate with its key.
pub(crate) fn identity(chain: &Secret, key: &Secret) -> Result<Identity, TlsError> {
    Identity::from_pem(chain.expose(), key)
}

/// The error behind the setting that it is about; `authorities` is the one that names them.
pub(crate) fn at_fault(section: &str, authorities: &str, error: &TlsError) -> String {
    match error {
        TlsError::Certificate(_) => format!("{section}.cert_file: {error}"),
        TlsError::Key | TlsError::KeyMismatch => format!("{section}.key_file: {error}"),
        TlsError::Authorities(_) => format!("{section}.{authorities}: {error}"),
        TlsError::Setup(_) => format!("{section}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use sluice_testkit::{Authority, Certified};
    use tempfile::TempDir;

    use super::*;

    /// A folder with a certificate, its key and authorities.
    fn folder(certified: &Certified, authorities: &str) -> (TempDir, InternalTls) {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = InternalTls {
            cert_file: write("tls.crt", &certified.chain),
            key_file: write("tls.key", &certified.key),
            client_ca_file: write("ca.crt", authorities),
        };
        (folder, files)
    }

    #[test]
    fn a_file_that_cant_be_used_is_named_by_its_setting_and_never_repeated() {
        let authority = Authority::new();
        let (good, other) = (authority.certify(&["registry"]), authority.certify(&["registry"]));
        let said = |chain: &str, key: &str, authorities: &str| {
            let certified = Certified { chain: chain.to_owned(), key: key.to_owned() };
            let (_folder, files) = folder(&certified, authorities);
            files.server().map(drop).map_err(|error| error.to_string())
        };
        let (chain, key, pem) = (good.chain.as_str(), good.key.as_str(), authority.pem());
        assert_eq!(said(chain, key, &pem), Ok(()));
        for (refused, setting) in [
            (said("s3cret", key, &pem), "process.internal_tls.cert_file: must be"),
            (said(chain, "s3cret", &pem), "process.internal_tls.key_file: must be"),
            (said(chain, &other.key, &pem), "process.internal_tls.key_file: is not the private key"),
            (said(chain, key, "s3cret"), "process.internal_tls.client_ca_file: must be"),
        ] {
            let error = refused.unwrap_err();
            assert!(error.starts_with(setting) && !error.contains("s3cret"), "{error}");
        }
        let (_folder, mut files) = folder(&good, &pem);
        files.key_file = "/nowhere/tls.key".into();
        let error = files.server().unwrap_err().to_string();
        assert!(error.starts_with("process.internal_tls.key_file: /nowhere/tls.key: "), "{error}");
        let public = PublicTls { cert_file: files.cert_file, key_file: "/nowhere".into() };
        assert!(public.server().unwrap_err().to_string().starts_with("process.tls.key_file: "));
    }
}
