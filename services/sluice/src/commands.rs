//! What each command does.

pub mod demo;
pub mod token;
pub mod up;
pub mod url_check;

use std::process::ExitCode;

use crate::cli::{Cli, Command, Url};

/// Runs one command. The exit code is 0 when it did what it is for, 1 when not; the reason stands on standard error.
#[allow(clippy::print_stderr, reason = "where a command says why it failed")]
pub async fn run(cli: Cli) -> ExitCode {
    let ended = match cli.command {
        Command::Up(arguments) => Box::pin(up::run(&arguments)).await,
        Command::Demo(arguments) => Box::pin(demo::run(&arguments)).await,
        Command::Token(arguments) => token::run(&arguments),
        Command::Url(Url::Check(arguments)) => url_check::run(&arguments),
        Command::DemoReceiver(arguments) => crate::demo::receiver::run(arguments.forget_one).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice: {error:#}");
            ExitCode::FAILURE
        }
    }
}
