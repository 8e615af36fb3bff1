//! The suite of a run with its databases and accounts.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use sluice_auth::{Principal, Signer, generate_ed25519};
use sluice_domain::{Secret, Span};
use sluice_rpc::Transport;
use sluice_runtime::Clock;
use tempfile::TempDir;

use super::accounts;
use super::receiving::Receiving;
use super::store::Stores;
use crate::cli::Backend;
use crate::part::child::Part;
use crate::part::suite::{Order, Ready};

const ISSUER: &str = "bench";
const KID: &str = "bench";
/// Longer than any run.
const LIFETIME: Span = Span::from_secs(24 * 3_600);

/// Where the suite is called, and who signs the callers' tokens.
#[derive(Debug)]
pub(crate) struct Door {
    address: SocketAddr,
    signer: Signer,
}

impl Door {
    /// A connection of its own for this caller.
    pub(crate) fn transport(&self, who: &Principal) -> anyhow::Result<Transport> {
        let token = Secret::new(self.signer.mint(who, Clock::system().now(), LIFETIME)?);
        Ok(Transport::connect(&format!("http://{}", self.address), Some(&token))?)
    }
}

/// A running suite.
#[derive(Debug)]
pub(crate) struct House {
    part: Part,
    door: Arc<Door>,
    accounts: usize,
    durability: String,
    stores: Stores,
    _folder: TempDir,
}

impl House {
    /// Starts it on fresh databases, with so many accounts.
    pub(crate) async fn open(
        backend: Backend,
        accounts: usize,
        receiving: &Receiving,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let stores = Stores::new(backend, folder.path(), accounts)?;
        let plans = folder.path().join("plans.toml");
        std::fs::write(&plans, accounts::PLANS)?;
        let (private_key, public_key) = generate_ed25519()?;
        let tokens = [ISSUER.to_owned(), KID.to_owned(), public_key];
        let order = Order { databases: stores.urls(), tokens, plans };
        // Its lines cost what they cost in production; they are written to a file as they would be there.
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut part = Part::start_saying("suite", &order, Stdio::from(log)).await?;
        let Ready { address, durability } = part.answer().await?;
        let signer = Signer::from_ed25519_pkcs8_pem(ISSUER, KID, &private_key)?;
        let door = Arc::new(Door { address, signer });
        let secrets = accounts::prepare(&door, accounts, receiving).await?;
        receiving.learn(&secrets).await?;
        let stores = stores.connected().await?;
        Ok(Self { part, door, accounts, durability, stores, _folder: folder })
    }

    /// The operating system's id of the suite.
    pub(crate) const fn process(&self) -> u32 {
        self.part.id()
    }

    /// Where it is called.
    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    /// How many accounts there are.
    pub(crate) const fn accounts(&self) -> usize {
        self.accounts
    }

    /// How a commit is kept, read from the live connection.
    pub(crate) fn durability(&self) -> &str {
        &self.durability
    }

    /// Its databases.
    pub(crate) const fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Ends it.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.part.end().await
    }
}
