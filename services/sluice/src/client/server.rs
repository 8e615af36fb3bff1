//! The address of a server, as it is given.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

use super::Usage;

/// Where to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    address: String,
    local: bool,
}

impl Server {
    /// Reads an address. Without a scheme it is http on this machine and https elsewhere.
    ///
    /// # Errors
    /// When it is none, or when the token would go to another machine in clear.
    pub fn parse(text: &str) -> Result<Self, Usage> {
        let text = text.trim().trim_end_matches('/');
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let refused = |rule: &str| {
            Usage(format!(
                "--server (or SLUICE_SERVER): {rule}, such as 127.0.0.1:7090 or https://sluice.example.com"
            ))
        };
        let uri: Uri = whole.parse().map_err(|_| refused("must be the address of a server"))?;
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| refused("must have a host"))?;
        if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") || whole.contains('@') {
            return Err(refused("must be a scheme, a host and a port, and nothing else"));
        }
        let local = is_local(host);
        match uri.scheme_str() {
            Some("http") if local => Ok(Self { address: whole, local }),
            Some("http") if !text.contains("://") => Ok(Self { address: format!("https://{text}"), local }),
            Some("http") => Err(refused("must be https: the token would go to another machine in clear")),
            Some("https") => Ok(Self { address: whole, local }),
            _ => Err(refused("must be http or https")),
        }
    }

    /// The address as a URL.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        self.local
    }
}

fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, bool) {
        let server = Server::parse(text).unwrap();
        (server.to_string(), server.is_local())
    }

    #[test]
    fn without_a_scheme_this_machine_is_http_and_others_https() {
        for (text, address, local) in [
            ("127.0.0.1:7090", "http://127.0.0.1:7090", true),
            ("localhost:7090/", "http://localhost:7090", true),
            ("http://[::1]:7090", "http://[::1]:7090", true),
            ("https://localhost:7443", "https://localhost:7443", true),
            ("sluice.example.com", "https://sluice.example.com", false),
            ("https://10.0.0.1:7090", "https://10.0.0.1:7090", false),
        ] {
            assert_eq!(read(text), (address.to_owned(), local), "{text}");
        }
    }

    #[test]
    fn what_is_no_server_or_in_clear_elsewhere_is_refused() {
        for (text, word) in [
            ("", "address"),
            ("http://10.0.0.1:7090", "in clear"),
            ("http://sluice.example.com", "in clear"),
            ("http://127.0.0.1.example.com", "in clear"),
            ("ftp://localhost", "http or https"),
            ("http://localhost:7090/v1", "nothing else"),
            ("http://user:canary@localhost:7090", "nothing else"),
        ] {
            let said = Server::parse(text).unwrap_err().to_string();
            assert!(said.contains(word) && !said.contains("canary"), "{text}: {said}");
        }
    }
}
