//! A suite with nothing to do, and accounts whose work waits.

use std::time::Duration;

use proto::dispatcher::v1::ExecutionState;
use proto::registry::v1::WebhookState;
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation, automation_webhook, event_webhook, noted, post, won};
use sluice_tests::{Backend, House, Service, figures, on_each_backend, until, within};

use super::told::{Told, on_processor};

on_each_backend!(no_statement_runs_more_often_than_once_a_second_however_many_accounts_wait);

/// Accounts with an execution that waits: in CI, and with `SLUICE_TEST_SIZE=full`.
const ACCOUNTS: (usize, usize) = (30, 1_000);
/// How long is counted.
const SECONDS: (u64, u64) = (10, 20);

async fn no_statement_runs_more_often_than_once_a_second_however_many_accounts_wait(backend: Backend) {
    let full = sluice_testkit::full_size();
    let pick = |(ci, all)| if full { all } else { ci };
    let (accounts, seconds) = (if full { ACCOUNTS.1 } else { ACCOUNTS.0 }, pick(SECONDS));
    let setup = House::setup(backend).outside().on_plan("tiny").with("telemetry.json=true");
    let mut house = setup.with("telemetry.filter=warn,sluice_storage=trace").open().await;
    let receiver = Receiver::start().await;
    let (webhook, _) = house.webhook(automation_webhook("Shop", &receiver.url("/in"))).await;
    house.automation(automation("Tell the shop", [post(&webhook, "{}")])).await;
    for number in 0..3 {
        house.fires(won(&format!("e-{number}"))).await;
    }
    receiver.wait_for(2).await;
    assert_eq!(house.count(ExecutionState::Paused).await, 1, "one waits for the quota");
    for number in 0..accounts {
        paused_account(&house, &format!("waits-{number}"), &receiver).await;
    }

    let log = house.folder().join("sluice.log");
    let pid = house.process(Service::Dispatcher).id();
    within(Duration::from_secs(120), "everything is at rest", async || {
        let mut told = Told::from_now(&log);
        tokio::time::sleep(Duration::from_secs(2)).await;
        told.statements().values().all(|times| *times <= 3).then_some(())
    })
    .await;
    let (mut told, before) = (Told::from_now(&log), on_processor(pid));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (statements, spent) = (told.statements(), on_processor(pid) - before);
    let share = spent.as_secs_f64() / seconds as f64 * 100.0;
    let all: u64 = statements.values().sum();
    let lines: Vec<String> = statements.iter().map(|(sql, times)| format!("{times:>5} x {sql}")).collect();
    figures(format_args!(
        "{backend:?}, idle for {seconds} s with {accounts} accounts of which something waits: {all} statements, {share:.2} % of \
         a core\n{}",
        lines.join("\n")
    ));
    assert!(statements.values().any(|times| *times * 2 >= seconds), "statements are told: {statements:?}");
    let often: Vec<_> = statements.iter().filter(|(_, times)| **times > seconds + 1).collect();
    assert!(often.is_empty(), "more often than once a second: {often:?}");
    // Of a build for use; what the others spend says nothing.
    assert!(cfg!(debug_assertions) || !full || share < 0.5, "{share} % of a core");
}

/// An account with an execution that waits until its webhook is enabled again.
async fn paused_account(house: &House, account: &str, receiver: &Receiver) {
    let people = house.people();
    people.billing().put_entitlements(account, "essential", 1).await.unwrap();
    let (admin, parent) = (people.admin(account), format!("accounts/{account}"));
    let mut request = event_webhook("Notes", &receiver.url("/never"), "note");
    request.parent.clone_from(&parent);
    let webhook = admin.create_webhook(request).await.unwrap().webhook.unwrap();
    let producer = people.producer(account);
    admin.set_state(&webhook.name, WebhookState::Disabled).await.unwrap();
    let sent =
        async || producer.ingest(&parent, noted("n-1")).await.ok().filter(|it| !it.executions.is_empty());
    until("the evaluator has heard of the account and its webhook", sent).await;
}
