//! Connections over TLS, made with the credentials as they stand when they are made.

use std::io;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sluice_runtime::Current;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower::{BoxError, Service, service_fn};

use crate::tls::{ClientTls, H2};

/// A connection, as hyper takes it.
type Connection = TokioIo<TlsStream<TcpStream>>;
type Connecting = BoxFuture<'static, Result<Connection, BoxError>>;

/// The port of `https` without one.
const HTTPS: u16 = 443;

/// The name that the server's certificate must have: a DNS name or an address, as it stands in a URL.
pub(super) fn name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).ok()
}

/// Where TCP goes for `https://host:port`.
pub(super) fn address(host: &str, port: Option<u16>) -> String {
    format!("http://{host}:{}", port.unwrap_or(HTTPS))
}

/// What connects to the address that it is given, and believes whoever is there if it proves this name.
pub(super) fn connector(
    name: ServerName<'static>,
    tls: Current<ClientTls>,
) -> impl Service<Uri, Response = Connection, Error = BoxError, Future = Connecting> + Send + 'static {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    service_fn(move |address: Uri| -> Connecting {
        let (connecting, name, tls) = (tcp.call(address), name.clone(), tls.get());
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            let told = name.to_str().into_owned();
            let refused = |error: io::Error| BoxError::from(format!("no TLS with {told}: {error}"));
            let stream = TlsConnector::from(tls.0.clone()).connect(name, stream).await.map_err(refused)?;
            if stream.get_ref().1.alpn_protocol() != Some(H2) {
                return Err(refused(io::Error::other("it does not speak HTTP/2")));
            }
            Ok(TokioIo::new(stream))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_taken_as_they_stand_in_a_url() {
        assert_eq!(name("registry").unwrap().to_str(), "registry");
        assert_eq!(name("[::1]").unwrap().to_str(), "::1");
        assert_eq!(name("127.0.0.1").unwrap().to_str(), "127.0.0.1");
        assert!(name("a b").is_none() && name("-").is_none());
        assert_eq!(address("[::1]", Some(7171)), "http://[::1]:7171");
        assert_eq!(address("sluice.example.com", None), "http://sluice.example.com:443");
    }
}
