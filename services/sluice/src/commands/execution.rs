//! `sluice execution`: the history, and what can be done to an execution.

mod bulk;
mod filter;
mod story;
mod watch;

use proto::dispatcher::v1::{
    CancelExecutionRequest, Execution, GetExecutionRequest, ListExecutionsRequest, RetryExecutionRequest,
};

use crate::cli::{self, ExecutionList, Noun};
use crate::client::sheet::{self, id_of};
use crate::client::{Connection, Part};

const EXECUTION: &str = "sluice.dispatcher.v1.Execution";

/// Runs one command.
///
/// # Errors
/// Why it could not be done, and what to do next.
pub async fn run(Noun { client, verb }: Noun<cli::Execution>) -> anyhow::Result<()> {
    let named = match &verb {
        cli::Execution::Get { execution } => Some(execution.as_str()),
        cli::Execution::Cancel(choice) | cli::Execution::Retry(choice) => choice.execution.as_deref(),
        cli::Execution::List(_) | cli::Execution::Watch(_) => None,
    };
    let connection = Connection::open(&client, Part::Admin, named)?;
    let name = || connection.execution_name(named.unwrap_or_default());
    let execution = match &verb {
        cli::Execution::List(wish) => return list(&connection, wish).await,
        cli::Execution::Watch(wish) => return watch::run(&connection, wish).await,
        cli::Execution::Cancel(choice) if choice.all => return bulk::cancel(&connection, choice).await,
        cli::Execution::Retry(choice) if choice.all => return bulk::retry(&connection, choice).await,
        cli::Execution::Get { .. } => {
            let request = GetExecutionRequest { name: name()? };
            connection.answer(connection.executions().get_execution(request).await)?.execution
        }
        cli::Execution::Cancel(_) => {
            let request = CancelExecutionRequest { name: name()? };
            connection.answer(connection.executions().cancel_execution(request).await)?.execution
        }
        cli::Execution::Retry(_) => {
            let request = RetryExecutionRequest { name: name()? };
            connection.answer(connection.executions().retry_execution(request).await)?.execution
        }
    };
    connection.show(EXECUTION, &execution.unwrap_or_default(), story::text)
}

async fn list(connection: &Connection, wish: &ExecutionList) -> anyhow::Result<()> {
    let filter = filter::of(connection, &wish.filter).await?;
    let headings = ["ID", "STATE", "EVENT", "RECORD", "ATTEMPTS", "ACCEPTED"];
    let row = |execution: &Execution| {
        let event = execution.event.clone().unwrap_or_default();
        vec![
            id_of(&execution.name).to_owned(),
            story::standing(execution),
            event.id.clone(),
            format!("{} {} {}", event.object, event.record_id, sheet::action(event.action())),
            execution.attempt_count.to_string(),
            sheet::instant(execution.create_time.as_ref()),
        ]
    };
    let page = async |page_size, page_token| {
        let request = ListExecutionsRequest {
            parent: connection.account()?.to_string(),
            page_size,
            page_token,
            ..filter::listing(filter.clone())
        };
        let page = connection.answer(connection.executions().list_executions(request).await)?;
        Ok((page.executions, page.next_page_token))
    };
    connection.list(EXECUTION, wish.limit, &headings, row, page).await
}
