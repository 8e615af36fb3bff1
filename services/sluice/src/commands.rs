//! What each command does.

pub mod account;
pub mod automation;
pub mod demo;
pub mod event;
pub mod execution;
pub mod quota;
pub mod token;
pub mod up;
pub mod url_check;
pub mod webhook;

use std::io;
use std::process::ExitCode;

use crate::cli::{Cli, Command, Url};
use crate::client::Usage;

/// What a command line that can't be carried out ends with, as clap has it.
const USAGE: u8 = 2;

/// Runs one command. The exit code is 0 when it did what it is for, 1 when not, 2 when the command line is at fault; the reason
/// stands on standard error.
#[allow(clippy::print_stderr, reason = "where a command says why it failed")]
pub async fn run(cli: Cli) -> ExitCode {
    let ended = match cli.command {
        Command::Up(arguments) => Box::pin(up::run(&arguments)).await,
        Command::Demo(arguments) => Box::pin(demo::run(&arguments)).await,
        Command::Account(noun) => account::run(noun).await,
        Command::Webhook(noun) => webhook::run(noun).await,
        Command::Automation(noun) => automation::run(noun).await,
        Command::Event(noun) => event::run(noun).await,
        Command::Execution(noun) => execution::run(noun).await,
        Command::Quota(noun) => quota::run(noun).await,
        Command::Token(arguments) => token::run(&arguments),
        Command::Url(Url::Check(arguments)) => url_check::run(&arguments),
        Command::DemoReceiver(arguments) => crate::demo::receiver::run(arguments.forget_one).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read what is printed has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice: {error:#}");
            if error.is::<Usage>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
