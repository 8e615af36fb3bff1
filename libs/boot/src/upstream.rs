//! Another of Sluice's services, asked over its internal listener.

use std::path::PathBuf;

use serde::Deserialize;
use sluice_domain::Secret;
use sluice_rpc::{Authorities, BearerToken, ClientTls, Credentials, Transport};
use sluice_runtime::{Renewal, RenewalError};
use url::{Host, Url};

use crate::BootError;
use crate::renewals::Renewals;
use crate::tls::{at_fault, identity, named};

/// `registry.…` or `dispatcher.…`: where the service is, and who we are there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its address: `https://registry:7171`, where its certificate must have that name; or, on loopback, `http://127.0.0.1:7171`.
    pub address: String,
    /// A file with our own token, scope `internal`. It goes with every call.
    pub token_file: PathBuf,
    /// With https: the authorities, in PEM, that its certificate must be of.
    pub ca_file: Option<PathBuf>,
    /// With https: our certificate in PEM, followed by those between it and its authority.
    pub cert_file: Option<PathBuf>,
    /// With https: its private key in PEM.
    pub key_file: Option<PathBuf>,
}

/// The files that TLS needs: authorities, certificate, key.
type Files<'a> = [(&'static str, &'a PathBuf); 3];

impl Upstream {
    /// Checks what the types can't. The section is where these settings stand, `registry`.
    ///
    /// # Errors
    /// The rule that is broken, with its key.
    pub fn check(&self, section: &str) -> Result<(), BootError> {
        self.files(section).map(drop)
    }

    /// The way to it.
    ///
    /// # Errors
    /// When a rule is broken, or a file can't be read or used.
    pub(crate) fn transport(&self, section: &str, renewals: &Renewals) -> Result<Transport, BootError> {
        let tls = self.files(section)?.map(|files| client(section, files)).transpose()?;
        let token = token(section, &self.token_file)?;
        let credentials =
            Credentials { token: Some(renewals.keep(token)), tls: tls.map(|tls| renewals.keep(tls)) };
        Transport::connect_with(&self.address, credentials)
            .map_err(|cause| BootError::Transport { setting: format!("{section}.address"), cause })
    }

    /// What TLS needs; nothing for http on this machine.
    fn files(&self, section: &str) -> Result<Option<Files<'_>>, BootError> {
        let rule = |key: &str, text: &str| BootError::Rule(format!("{section}.{key}: {text}"));
        let files =
            [("ca_file", &self.ca_file), ("cert_file", &self.cert_file), ("key_file", &self.key_file)];
        let url = Url::parse(&self.address).ok().filter(Url::has_host);
        match url.as_ref().map(|url| (url.scheme(), url.host())) {
            Some(("http", Some(host))) if is_here(&host) => {
                match files.iter().find(|(_, file)| file.is_some()) {
                    Some((key, _)) => Err(rule(key, "is of use only with an https address")),
                    None => Ok(None),
                }
            }
            Some(("https", Some(_))) => {
                let given = |(key, file): (&'static str, &'_ Option<PathBuf>)| match file {
                    Some(_) => Ok(()),
                    None => Err(rule(key, "is needed with an https address")),
                };
                files.into_iter().try_for_each(given)?;
                let [(ca, Some(ca_file)), (cert, Some(cert_file)), (key, Some(key_file))] = files else {
                    return Ok(None);
                };
                Ok(Some([(ca, ca_file), (cert, cert_file), (key, key_file)]))
            }
            _ => Err(rule(
                "address",
                "must be https, or http on a loopback address or localhost: our token passes through it",
            )),
        }
    }
}

/// Whether what is said to the host stays on this machine.
fn is_here(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn token(section: &str, file: &PathBuf) -> Result<Renewal<BearerToken>, RenewalError> {
    let setting = format!("{section}.token_file");
    Renewal::open(named(section, [("token_file", file)]), move |contents| {
        let text = contents.first().map(|content| content.expose().trim()).unwrap_or_default();
        if text.is_empty() {
            return Err(format!("{setting}: is empty"));
        }
        BearerToken::new(&Secret::new(text)).map_err(|error| format!("{setting}: {error}"))
    })
}

fn client(section: &str, files: Files<'_>) -> Result<Renewal<ClientTls>, RenewalError> {
    let own = section.to_owned();
    Renewal::open(named(section, files), move |contents| {
        let [servers, chain, key] = contents else { return Err(format!("{own}: needs three files")) };
        let client = || ClientTls::mutual(&Authorities::from_pem(servers.expose())?, identity(chain, key)?);
        client().map_err(|error| at_fault(&own, "ca_file", &error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(address: &str, files: &[&str]) -> Result<(), String> {
        let file = |key: &str| files.contains(&key).then(|| PathBuf::from(key));
        let upstream = Upstream {
            address: address.to_owned(),
            token_file: "token".into(),
            ca_file: file("ca"),
            cert_file: file("cert"),
            key_file: file("key"),
        };
        upstream.check("registry").map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_never_leaves_the_machine_in_clear() {
        for near in ["http://127.0.0.1:7171", "http://[::1]:7171", "http://localhost:7171"] {
            assert!(said(near, &[]).is_ok(), "{near}");
        }
        for far in [
            "http://registry:7171",
            "http://10.0.0.1:7171",
            "http://[::ffff:10.0.0.1]:1",
            "http://localhost.example:1",
            "registry",
            "localhost:7171",
            "ftp://localhost:1",
            "https://",
        ] {
            assert!(said(far, &[]).unwrap_err().starts_with("registry.address: must be"), "{far}");
            assert!(
                said(far, &["ca", "cert", "key"]).unwrap_err().starts_with("registry.address: must be"),
                "{far}"
            );
        }
    }

    #[test]
    fn https_needs_an_authority_and_a_certificate_of_our_own_and_http_has_no_use_for_them() {
        let all = ["ca", "cert", "key"];
        for address in ["https://registry:7171", "https://127.0.0.1:7171", "https://[::1]:7171"] {
            assert!(said(address, &all).is_ok(), "{address}");
            for missing in all {
                let given: Vec<&str> = all.into_iter().filter(|key| *key != missing).collect();
                let expected = format!("registry.{missing}_file: is needed with an https address");
                assert_eq!(said(address, &given).unwrap_err(), expected);
            }
        }
        for key in all {
            let expected = format!("registry.{key}_file: is of use only with an https address");
            assert_eq!(said("http://localhost:7171", &[key]).unwrap_err(), expected);
        }
    }
}
