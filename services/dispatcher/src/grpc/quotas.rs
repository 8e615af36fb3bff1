//! What accounts may start, as billing and operators ask for it.

use proto::dispatcher::v1 as wire;
use proto::dispatcher::v1::quota_service_server::QuotaService;
use sluice_auth::Principal;
use sluice_domain::{AccountId, Timestamp, Violations};
use sluice_rpc::convert::{to_duration, to_timestamp};
use sluice_rpc::{AccountName, Fault, QuotaName, ResourceName, principal};
use tonic::{Request, Response, Status};

use super::show;
use crate::allowance::AllowanceLedger;
use crate::error::Error;
use crate::grant::{Grant, GrantError, Units};
use crate::note::Note;
use crate::pause::{Before, Pause};
use crate::rate::RateLimit;
use crate::store::{Granted, QuotaSnapshot, Store};
use crate::turn::Turn;
use crate::worker::Alarm;

type Answer<T> = Result<Response<T>, Status>;

/// The public service.
#[derive(Clone)]
pub struct Quotas {
    store: Store,
    alarm: Alarm,
}

impl Quotas {
    /// Quotas of this store; what may start after a call is claimed soon.
    pub const fn new(store: Store, alarm: Alarm) -> Self {
        Self { store, alarm }
    }

    async fn get(&self, account: &AccountId) -> Result<wire::Quota, Error> {
        let found = self.store.quota(account).await?;
        found.map(quota).ok_or_else(|| Error::AccountUnknown(account.clone()))
    }

    async fn grant(&self, account: &AccountId, grant: &Grant) -> Result<wire::Quota, Error> {
        match self.store.grant(account, grant).await? {
            Granted::Done => self.alarm.ring(),
            Granted::RequestIdReused => return Err(Error::RequestIdReused),
            Granted::Refused(GrantError::Unknown) => return Err(Error::AccountUnknown(account.clone())),
            Granted::Refused(rule @ GrantError::TooMuch { .. }) => {
                let mut broken = Violations::new();
                broken.add("units", rule);
                return Err(Error::Invalid(broken));
            }
        }
        self.get(account).await
    }

    async fn pause(&self, account: &AccountId, note: &Note) -> Result<wire::Quota, Error> {
        if !self.store.pause(account, note).await? {
            return Err(Error::AccountUnknown(account.clone()));
        }
        self.get(account).await
    }

    async fn resume(&self, account: &AccountId) -> Result<wire::Quota, Error> {
        if !self.store.resume(account).await? {
            return Err(Error::AccountUnknown(account.clone()));
        }
        self.alarm.ring();
        self.get(account).await
    }
}

#[tonic::async_trait]
impl QuotaService for Quotas {
    async fn get_quota(&self, request: Request<wire::GetQuotaRequest>) -> Answer<wire::GetQuotaResponse> {
        let mut broken = Violations::new();
        let name = quota_name(&mut broken, &request.get_ref().name, principal(&request)?)?;
        let name = name.ok_or_else(|| Fault::from(Error::Invalid(broken)))?;
        let quota = self.get(&name.0).await.map_err(Fault::from)?;
        Ok(Response::new(wire::GetQuotaResponse { quota: Some(quota) }))
    }

    async fn grant_executions(
        &self,
        request: Request<wire::GrantExecutionsRequest>,
    ) -> Answer<wire::GrantExecutionsResponse> {
        let (account, grant) = grant_of(request.get_ref(), principal(&request)?)?;
        let quota = self.grant(&account, &grant).await.map_err(Fault::from)?;
        Ok(Response::new(wire::GrantExecutionsResponse { quota: Some(quota) }))
    }

    async fn pause_account(
        &self,
        request: Request<wire::PauseAccountRequest>,
    ) -> Answer<wire::PauseAccountResponse> {
        let (account, note) = pause_of(request.get_ref(), principal(&request)?)?;
        let quota = self.pause(&account, &note).await.map_err(Fault::from)?;
        Ok(Response::new(wire::PauseAccountResponse { quota: Some(quota) }))
    }

    async fn resume_account(
        &self,
        request: Request<wire::ResumeAccountRequest>,
    ) -> Answer<wire::ResumeAccountResponse> {
        let name = AccountName::in_field("name", &request.get_ref().name)?;
        name.open_to(principal(&request)?)?;
        let quota = self.resume(&name.0).await.map_err(Fault::from)?;
        Ok(Response::new(wire::ResumeAccountResponse { quota: Some(quota) }))
    }
}

/// The quota that is named, if the caller may ask for it; a text that is no name is told with the request's other faults.
fn quota_name(broken: &mut Violations, text: &str, caller: &Principal) -> Result<Option<QuotaName>, Fault> {
    let name = broken.keep("name", text.parse::<QuotaName>());
    if let Some(name) = &name {
        name.account().open_to(caller)?;
    }
    Ok(name)
}

fn grant_of(request: &wire::GrantExecutionsRequest, caller: &Principal) -> Result<(AccountId, Grant), Fault> {
    let mut broken = Violations::new();
    let name = quota_name(&mut broken, &request.name, caller)?;
    let units = broken.keep("units", Units::try_from(request.units));
    let id = broken.keep("request_id", request.request_id.parse());
    match (name, units, id) {
        (Some(name), Some(units), Some(request)) => Ok((name.0, Grant { units, request })),
        _ => Err(Error::Invalid(broken).into()),
    }
}

fn pause_of(request: &wire::PauseAccountRequest, caller: &Principal) -> Result<(AccountId, Note), Fault> {
    let mut broken = Violations::new();
    let name = broken.keep("name", request.name.parse::<AccountName>());
    if let Some(name) = &name {
        name.open_to(caller)?;
    }
    let note = broken.keep("note", request.note.parse());
    match (name, note) {
        (Some(name), Some(note)) => Ok((name.0, note)),
        _ => Err(Error::Invalid(broken).into()),
    }
}

fn quota(shown: QuotaSnapshot) -> wire::Quota {
    let QuotaSnapshot { now, quota, pauses, note } = shown;
    let limits = quota.limits.as_ref();
    let gates = pauses.iter().map(|(before, pause)| {
        let since = quota.paused_at.filter(|_| before == Before::Account);
        gate(&quota.account, before, pause, since)
    });
    wire::Quota {
        name: QuotaName(quota.account.clone()).to_string(),
        entitlements_version: limits.map_or(0, |limits| limits.version),
        automations: limits.is_some_and(|limits| limits.automations),
        executions: limits.map(|limits| rate(&limits.executions, now)),
        allowance: limits.map(|limits| allowance(limits.allowance, now)),
        notifications: limits.map(|limits| rate(&limits.notifications, now)),
        waiting: quota.waiting,
        max_waiting: quota.max_waiting(),
        startable_executions: count(quota.startable(Turn::Execution, now)),
        startable_notifications: count(quota.startable(Turn::Notification, now)),
        closed_gates: gates.collect(),
        pause_note: note.unwrap_or_default(),
    }
}

fn rate(limit: &RateLimit, now: Timestamp) -> wire::RateQuota {
    let promised = limit.rate();
    wire::RateQuota {
        units: promised.units,
        per: Some(to_duration(promised.per)),
        burst: promised.burst,
        free: count(limit.free(now)),
        next_free_time: limit.free_at(now, 0).map(to_timestamp),
    }
}

fn allowance(mut ledger: AllowanceLedger, now: Timestamp) -> wire::AllowanceQuota {
    ledger.roll(now);
    let limited = !ledger.is_unlimited();
    wire::AllowanceQuota {
        amount: limited.then_some(ledger.promised.amount),
        granted: ledger.granted,
        used: ledger.used,
        left: limited.then(|| ledger.left()),
        start_time: Some(to_timestamp(ledger.start)),
        end_time: Some(to_timestamp(ledger.end)),
    }
}

fn gate(account: &AccountId, before: Before, pause: Pause, since: Option<Timestamp>) -> wire::ClosedGate {
    use wire::closed_gate::Before as Shown;
    let before = match before {
        Before::Account => Shown::Account(true),
        Before::Automations => Shown::Automations(true),
        Before::Notifications => Shown::Notifications(true),
        Before::Webhook(id) => Shown::Webhook(ResourceName { account: account.clone(), id }.to_string()),
    };
    let (pause, start_time) = (Some(show::pause(pause)), since.map(to_timestamp));
    wire::ClosedGate { before: Some(before), pause, start_time }
}

fn count(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
