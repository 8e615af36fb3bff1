//! The rescuer: looks for claims whose owner did not report before the lease ended.

use std::time::Duration;

use sluice_runtime::{Shutdown, failpoint};

use super::Alarm;
use crate::attempt::Verdict;
use crate::claim::CutOff;
use crate::delivery::Trace;
use crate::store::Store;

/// How often it looks: the most that something stays stuck beyond its lease.
const POLL: Duration = Duration::from_secs(2);

/// Runs until shutdown.
pub async fn rescuing(store: Store, alarm: Alarm, shutdown: Shutdown) {
    loop {
        match store.rescue().await {
            Ok(cut_off) if cut_off.is_empty() => {}
            Ok(cut_off) => {
                failpoint::reach("rescue", "telling");
                cut_off.iter().for_each(tell);
                alarm.ring();
                continue;
            }
            Err(error) => {
                tracing::warn!(error = %error, cause = ?error, "rescue rests: the database does not answer")
            }
        }
        if shutdown.or(tokio::time::sleep(POLL)).await.is_none() {
            return;
        }
    }
}

/// The line and the span of an attempt whose owner did not live to tell of it.
fn tell(cut_off: &CutOff) {
    let trace = Trace::of_cut_off(cut_off);
    trace.interrupted(cut_off);
    trace.attempt.within(|| {
        tracing::info!(
            account.id = %cut_off.account,
            execution.id = %cut_off.execution,
            delivery.step = cut_off.step,
            attempt.number = cut_off.attempt,
            attempt.outcome = Verdict::Interrupted.as_str(),
            "delivery.attempted"
        );
    });
}
