//! `AccountService`: accounts and what billing says they may do.

use proto::registry::v1 as wire;
use proto::registry::v1::account_service_server::AccountService;
use sluice_domain::Timestamp;
use sluice_rpc::convert::from_timestamp;
use sluice_rpc::{AccountName, principal};
use tonic::{Request, Response, Status};

use super::convert;
use super::reading::Reading;
use crate::entitlements::Put;
use crate::store::Store;

/// Handlers of `AccountService`.
#[derive(Debug, Clone)]
pub struct Accounts {
    store: Store,
}

impl Accounts {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }
}

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn put_entitlements(
        &self,
        request: Request<wire::PutEntitlementsRequest>,
    ) -> Result<Response<wire::PutEntitlementsResponse>, Status> {
        let principal = principal(&request)?.clone();
        let asked = request.into_inner();
        let mut reading = Reading::default();
        let name: Option<AccountName> = reading.violations.keep("name", asked.name.parse());
        if let Some(name) = &name {
            name.open_to(&principal)?;
        }
        let plan = reading.plan(asked.plan, self.store.catalogue());
        if asked.version < 1 {
            reading.violations.add("version", "must be at least 1");
        }
        let anchor = match &asked.period_anchor {
            Some(anchor) => reading.violations.keep("period_anchor", from_timestamp(anchor)),
            None => Some(Timestamp::EPOCH),
        };
        let ((name, plan), anchor) = reading.finish(name.zip(plan).zip(anchor))?;

        let put = Put { plan, version: asked.version, anchor };
        let account = self.store.put_entitlements(&name.0, &put).await?;
        let account = convert::account(&account, self.store.catalogue());
        Ok(Response::new(wire::PutEntitlementsResponse { account: Some(account) }))
    }

    async fn get_account(
        &self,
        request: Request<wire::GetAccountRequest>,
    ) -> Result<Response<wire::GetAccountResponse>, Status> {
        let principal = principal(&request)?;
        let name = AccountName::in_field("name", &request.get_ref().name)?;
        name.open_to(principal)?;
        let account = self.store.account(&name.0).await?;
        let account = convert::account(&account, self.store.catalogue());
        Ok(Response::new(wire::GetAccountResponse { account: Some(account) }))
    }
}
