//! The audit of a list of URLs: the whole decision, without a look-up or a connection.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use url::Host;

use crate::name::without_root;
use crate::target::decide_all;
use crate::{Decision, Policy, Refusal, decide_url};

/// What an audit says about one URL. Displayed as `verdict`, a tab, `reason: text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// A stable, machine-readable reason.
    pub reason: &'static str,
    /// The same for people, on one line.
    pub text: String,
}

/// The three verdicts of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// May be called.
    Allow,
    /// May not be called.
    Refuse,
    /// May be called if its addresses may, and those were not given.
    NeedsDns,
}

impl Verdict {
    /// `allow`, `refuse` or `needs-dns`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Refuse => "refuse",
            Self::NeedsDns => "needs-dns",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}: {}", self.verdict.as_str(), self.reason, self.text)
    }
}

/// Judges one line of a list as `sluice url check` does: the whole decision, with names resolved only as
/// `given`. A line end (`\n` or `\r\n`) is not part of the URL. It connects nowhere and looks nothing up.
pub fn check_line(line: &str, policy: &Policy, given: &Resolutions) -> Finding {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match decide_url(text, policy) {
        Decision::Allow { addresses, .. } => allowed(&addresses),
        Decision::Refuse(refusal) => refused(&refusal),
        Decision::NeedsDns { host, .. } => match given.addresses.get(&host) {
            None => Finding {
                verdict: Verdict::NeedsDns,
                reason: "name-not-resolved",
                text: format!("in order as far as its text goes; the addresses of {host} decide"),
            },
            Some(addresses) => match decide_all(addresses.clone(), policy) {
                Ok(addresses) => allowed(&addresses),
                Err(refusal) => refused(&refusal),
            },
        },
    }
}

fn allowed(addresses: &[IpAddr]) -> Finding {
    let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    Finding {
        verdict: Verdict::Allow,
        reason: "allowed-address",
        text: format!("every address may be dialled ({})", list.join(", ")),
    }
}

fn refused(refusal: &Refusal) -> Finding {
    Finding { verdict: Verdict::Refuse, reason: refusal.reason(), text: refusal.to_string() }
}

/// Which addresses names are taken to have in an audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolutions {
    addresses: HashMap<String, Vec<IpAddr>>,
}

impl Resolutions {
    /// Reads one `HOST=IP[,IP…]` and adds its addresses to those the name has. The name may be in any spelling;
    /// IPv6 addresses may be in brackets.
    ///
    /// # Errors
    /// Says which part cannot be read; nothing is added then.
    pub fn add(&mut self, text: &str) -> Result<(), ResolutionError> {
        let (name, list) = text.split_once('=').ok_or(ResolutionError::Form)?;
        let host = match Host::parse(name) {
            Ok(Host::Domain(host)) => without_root(&host).to_owned(),
            _ => return Err(ResolutionError::Host { host: name.to_owned() }),
        };
        let addresses = list.split(',').map(read_address).collect::<Result<Vec<_>, _>>()?;
        self.addresses.entry(host).or_default().extend(addresses);
        Ok(())
    }
}

fn read_address(text: &str) -> Result<IpAddr, ResolutionError> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| ResolutionError::Address { address: text.to_owned() })
}

/// Why a given resolution cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolutionError {
    /// There is no `=`.
    #[error("a resolution must be HOST=IP[,IP…]")]
    Form,
    /// What is before `=` is no host name.
    #[error("{host:?} must be a host name, not an address or anything else")]
    Host {
        /// What was written.
        host: String,
    },
    /// One of the addresses is none.
    #[error("{address:?} must be an IP address")]
    Address {
        /// What was written.
        address: String,
    },
}

#[cfg(test)]
mod tests {
    use super::{ResolutionError, Resolutions, Verdict, check_line};
    use crate::Policy;

    fn given(entries: &[&str]) -> Resolutions {
        let mut resolutions = Resolutions::default();
        for entry in entries {
            resolutions.add(entry).unwrap();
        }
        resolutions
    }

    fn verdict(line: &str, resolutions: &Resolutions) -> Verdict {
        check_line(line, &Policy::default(), resolutions).verdict
    }

    #[test]
    fn a_name_is_judged_by_all_addresses_given_for_it() {
        let public = given(&["example.com=93.184.215.14,2606:2800:21f:cb07:6820:80da:af6b:8b2c"]);
        assert_eq!(verdict("https://example.com/hook", &public), Verdict::Allow);
        assert_eq!(verdict("https://other.example.com/hook", &public), Verdict::NeedsDns);
        let mixed = given(&["example.com=93.184.215.14", "example.com=[::1]"]);
        assert_eq!(verdict("https://example.com/hook", &mixed), Verdict::Refuse);
        let private = given(&["10.0.0.1.nip.io=10.0.0.1"]);
        assert_eq!(verdict("https://10.0.0.1.nip.io/", &private), Verdict::Refuse);
    }

    #[test]
    fn spellings_of_a_name_are_one_name() {
        let resolutions = given(&["BÜCHER.example.com.=93.184.215.14"]);
        for url in [
            "https://bücher.example.com/",
            "https://xn--bcher-kva.example.com./",
            "https://bücher。example．com",
        ] {
            assert_eq!(verdict(url, &resolutions), Verdict::Allow, "{url}");
        }
    }

    #[test]
    fn a_given_address_does_not_open_a_local_name() {
        let resolutions = given(&["printer.local=93.184.215.14", "metadata.goog=93.184.215.14"]);
        assert_eq!(verdict("https://printer.local/", &resolutions), Verdict::Refuse);
        assert_eq!(verdict("https://metadata.goog/", &resolutions), Verdict::Refuse);
    }

    #[test]
    fn a_line_end_is_not_part_of_the_url_but_other_space_is() {
        let none = Resolutions::default();
        assert_eq!(verdict("https://8.8.8.8/\r\n", &none), Verdict::Allow);
        assert_eq!(verdict("https://8.8.8.8/ \n", &none), Verdict::Refuse);
        assert_eq!(verdict("\n", &none), Verdict::Refuse);
    }

    #[test]
    fn a_finding_is_one_line_with_one_tab() {
        let finding = check_line(
            "http://169.254.169.254/",
            &Policy { allow_http: true, ..Policy::default() },
            &given(&[]),
        );
        assert_eq!(
            finding.to_string(),
            "refuse\tforbidden-address: the address 169.254.169.254 is not public: link-local, cloud metadata (RFC 3927) (169.254.0.0/16)"
        );
    }

    #[test]
    fn unreadable_resolutions_are_refused_whole() {
        let mut resolutions = Resolutions::default();
        assert_eq!(resolutions.add("example.com"), Err(ResolutionError::Form));
        for text in ["=8.8.8.8", "8.8.8.8=8.8.8.8", "[::1]=8.8.8.8", "a b=8.8.8.8"] {
            assert!(matches!(resolutions.add(text), Err(ResolutionError::Host { .. })), "{text}");
        }
        for text in ["a.dev=", "a.dev=8.8.8.8,", "a.dev=8.8.8", "a.dev=b.dev"] {
            assert!(matches!(resolutions.add(text), Err(ResolutionError::Address { .. })), "{text}");
        }
        assert_eq!(resolutions, Resolutions::default());
    }
}
