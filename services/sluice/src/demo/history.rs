//! The history of the demo's account as the API shows it.

use std::collections::BTreeSet;

use proto::dispatcher::v1::{
    Execution, ExecutionState, GetExecutionRequest, ListExecutionsRequest, ListExecutionsResponse,
};

use super::client::{Caller, Client, Refused};
use super::tally::{DeliveryRecord, ExecutionRecord};

/// The last part of a resource name: the id.
pub fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Lists all executions of `parent`, newest first, page by page.
///
/// # Errors
/// The first call that is refused.
pub async fn list_all(client: &Client, caller: &Caller, parent: &str) -> Result<Vec<Execution>, Refused> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListExecutionsRequest {
            parent: parent.to_owned(),
            page_size: 100,
            page_token,
            ..ListExecutionsRequest::default()
        };
        let ListExecutionsResponse { executions, next_page_token } =
            client.list_executions(caller, request).await?;
        all.extend(executions);
        if next_page_token.is_empty() {
            return Ok(all);
        }
        page_token = next_page_token;
    }
}

/// Reads one execution whole.
///
/// # Errors
/// When the call is refused, or answers without one.
pub async fn read(client: &Client, caller: &Caller, name: &str) -> Result<Execution, Refused> {
    let request = GetExecutionRequest { name: name.to_owned() };
    let answer = client.get_execution(caller, request).await?;
    Ok(answer.execution.unwrap_or_default())
}

/// What counting needs of an execution that was read whole.
pub fn record(execution: &Execution) -> ExecutionRecord {
    let deliveries = execution.deliveries.iter().map(|delivery| DeliveryRecord {
        id: delivery.id.clone(),
        attempts: attempts(delivery.attempts.iter().map(|attempt| attempt.number)),
    });
    ExecutionRecord { id: id_of(&execution.name).to_owned(), deliveries: deliveries.collect() }
}

fn attempts(numbers: impl Iterator<Item = i32>) -> BTreeSet<u32> {
    numbers.filter_map(|number| u32::try_from(number).ok()).collect()
}

/// The ids of those that are shown paused.
pub fn paused(executions: &[Execution]) -> impl Iterator<Item = String> {
    executions
        .iter()
        .filter(|execution| execution.state() == ExecutionState::Paused)
        .map(|execution| id_of(&execution.name).to_owned())
}

/// How many are in `state`.
pub fn count(executions: &[Execution], state: ExecutionState) -> usize {
    executions.iter().filter(|execution| execution.state() == state).count()
}

/// How many have not ended yet.
pub fn unfinished(executions: &[Execution]) -> usize {
    let open = [
        ExecutionState::Unspecified,
        ExecutionState::Queued,
        ExecutionState::Running,
        ExecutionState::Waiting,
        ExecutionState::Paused,
    ];
    executions.iter().filter(|execution| open.contains(&execution.state())).count()
}

#[cfg(test)]
mod tests {
    use proto::dispatcher::v1::{Attempt, Delivery};

    use super::*;

    fn execution(id: &str, state: ExecutionState) -> Execution {
        Execution {
            name: format!("accounts/demo/executions/{id}"),
            state: state.into(),
            ..Execution::default()
        }
    }

    #[test]
    fn executions_are_counted_by_what_the_api_says_of_them() {
        let all = [
            execution("ex_1", ExecutionState::Paused),
            execution("ex_2", ExecutionState::Succeeded),
            execution("ex_3", ExecutionState::Waiting),
        ];
        assert_eq!(paused(&all).collect::<Vec<_>>(), ["ex_1"]);
        assert_eq!(unfinished(&all), 2);
        assert_eq!(count(&all, ExecutionState::Succeeded), 1);
    }

    #[test]
    fn a_record_has_the_ids_and_attempt_numbers_of_the_history() {
        let mut whole = execution("ex_1", ExecutionState::Succeeded);
        let attempts = [1, 2].map(|number| Attempt { number, ..Attempt::default() });
        whole.deliveries.push(Delivery {
            id: "dl_1".to_owned(),
            attempts: attempts.into(),
            ..Delivery::default()
        });
        let record = record(&whole);
        assert_eq!(record.id, "ex_1");
        assert_eq!(record.deliveries[0].attempts, BTreeSet::from([1, 2]));
    }
}
