//! `sluice execution retry --all` and `cancel --all`: answer after answer, until all are done.

use anyhow::bail;
use proto::dispatcher::v1::{
    CancelExecutionsRequest, CancelExecutionsResponse, ExecutionFilter, RetryExecutionsRequest,
    RetryExecutionsResponse, SkippedExecutions,
};

use super::filter;
use crate::cli::ExecutionChoice;
use crate::client::Connection;
use crate::client::printable::Printable;
use crate::client::sheet::word;

/// Opens all that the filters let through again.
///
/// # Errors
/// Why it ended early, with where to go on.
pub(super) async fn retry(connection: &Connection, choice: &ExecutionChoice) -> anyhow::Result<()> {
    run(connection, choice, async |parent, filter, page_token| {
        let request = RetryExecutionsRequest { parent, filter: Some(filter), page_token };
        let answer = connection.answer(connection.executions().retry_executions(request).await)?;
        connection.show("sluice.dispatcher.v1.RetryExecutionsResponse", &answer, retried)?;
        Ok(answer.next_page_token)
    })
    .await
}

/// Ends all that the filters let through.
///
/// # Errors
/// Why it ended early, with where to go on.
pub(super) async fn cancel(connection: &Connection, choice: &ExecutionChoice) -> anyhow::Result<()> {
    run(connection, choice, async |parent, filter, page_token| {
        let request = CancelExecutionsRequest { parent, filter: Some(filter), page_token };
        let answer = connection.answer(connection.executions().cancel_executions(request).await)?;
        connection.show("sluice.dispatcher.v1.CancelExecutionsResponse", &answer, cancelled)?;
        Ok(answer.next_page_token)
    })
    .await
}

async fn run(
    connection: &Connection,
    choice: &ExecutionChoice,
    call: impl AsyncFn(String, ExecutionFilter, String) -> anyhow::Result<String>,
) -> anyhow::Result<()> {
    let parent = connection.account()?.to_string();
    let filter = filter::of(connection, &choice.filter).await?;
    let mut token = choice.page_token.clone().unwrap_or_default();
    loop {
        match call(parent.clone(), filter.clone(), token.clone()).await {
            Ok(next) if next.is_empty() => return Ok(()),
            Ok(next) => token = next,
            Err(error) if token.is_empty() => return Err(error),
            Err(error) => {
                bail!(
                    "{error}\nto go on where it ended, with the same filters: --page-token {}",
                    Printable(&token)
                )
            }
        }
    }
}

fn retried(answer: &RetryExecutionsResponse) -> String {
    let RetryExecutionsResponse { matched_count, retried_count, skipped, .. } = answer;
    format!("{matched_count} found: {retried_count} opened again{}\n", left_alone(skipped))
}

fn cancelled(answer: &CancelExecutionsResponse) -> String {
    let CancelExecutionsResponse { matched_count, cancelled_count, running_count, skipped, .. } = answer;
    let running = match running_count {
        0 => String::new(),
        count => format!(", {count} when their requests end"),
    };
    format!("{matched_count} found: {cancelled_count} cancelled{running}{}\n", left_alone(skipped))
}

fn left_alone(skipped: &[SkippedExecutions]) -> String {
    let one = |skipped: &SkippedExecutions| {
        let why = word(skipped.reason().as_str_name(), "SKIP_REASON_");
        format!(", {} left alone: {why}", skipped.count)
    };
    skipped.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use proto::dispatcher::v1::SkipReason;

    use super::*;

    #[test]
    fn what_was_done_is_one_line() {
        let skipped = vec![SkippedExecutions { reason: SkipReason::NothingToSend.into(), count: 2 }];
        let answer =
            RetryExecutionsResponse { matched_count: 7, retried_count: 5, skipped, ..Default::default() };
        assert_eq!(retried(&answer), "7 found: 5 opened again, 2 left alone: NOTHING_TO_SEND\n");
        let answer = CancelExecutionsResponse {
            matched_count: 3,
            cancelled_count: 2,
            running_count: 1,
            ..Default::default()
        };
        assert_eq!(cancelled(&answer), "3 found: 2 cancelled, 1 when their requests end\n");
    }
}
