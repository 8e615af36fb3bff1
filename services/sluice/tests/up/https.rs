//! The client commands towards a server with TLS.

use sluice::data_directory::{DataDirectory, ISSUER};
use sluice_auth::Verifier;
use sluice_domain::Secret;
use sluice_rpc::{Identity, Server, ServerTls};
use sluice_runtime::Clock;
use sluice_testkit::Authority;
use tokio::net::TcpListener;

use crate::shell::Shell;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_believed_by_the_authority_that_is_named_and_by_no_other() {
    let (shell, authority) = (Shell::empty(), Authority::new());
    let key = DataDirectory::open(&shell.path("sluice-data")).unwrap().signing_key().unwrap().key;
    let verifier = Verifier::new(ISSUER, vec![key.verifying().unwrap()]).unwrap();
    let certified = authority.certify(&["127.0.0.1"]);
    let identity = Identity::from_pem(&certified.chain, &Secret::new(certified.key.as_str())).unwrap();
    let server = Server::builder("nothing").build(verifier, || Clock::system().now()).unwrap();
    let server = server.tls(ServerTls::new(identity).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(server.serve(listener, std::future::pending()));

    shell.write("ca.pem", &authority.pem());
    shell.write("other.pem", &Authority::new().pem());
    shell.write("none.pem", "canary-7713");
    let list = |ca: &str| {
        shell.run(&["webhook", "list", "--account", "acme", "--server", &address, "--ca-file", ca])
    };
    // It serves nothing, and says so: its certificate and our token were taken.
    let told = list("ca.pem");
    assert!(told.code == 1 && told.err.contains("METHOD_UNKNOWN"), "{told:?}");
    let told = list("other.pem");
    assert!(told.code == 1 && told.err.contains("can't reach") && told.err.contains("--ca-file"), "{told:?}");
    let told = list("none.pem");
    assert!(told.code == 2 && told.err.contains("none.pem") && !told.err.contains("canary"), "{told:?}");
}
