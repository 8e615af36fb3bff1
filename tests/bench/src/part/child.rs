//! A process of the run: this program again, told what to do by a line on its standard input, answering by lines of JSON.

use std::process::Stdio;

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines, Stdin};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A running part; it ends when this is dropped, since its standard input closes.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    id: u32,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Part {
    /// Starts it and tells it what to do.
    pub(crate) async fn start(name: &'static str, order: &impl Serialize) -> anyhow::Result<Self> {
        Self::start_saying(name, order, Stdio::inherit()).await
    }

    /// The same, with what it says besides going there.
    pub(crate) async fn start_saying(
        name: &'static str,
        order: &impl Serialize,
        said: Stdio,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where this program is")?;
        let mut child = Command::new(program)
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} can't be started"))?;
        let id = child.id().context("a process that has just started has an id")?;
        let mut stdin = child.stdin.take().context("its standard input is a pipe")?;
        let stdout = child.stdout.take().context("its standard output is a pipe")?;
        stdin.write_all((serde_json::to_string(order)? + "\n").as_bytes()).await?;
        stdin.flush().await?;
        Ok(Self { name, id, child, stdin: Some(stdin), stdout: BufReader::new(stdout).lines() })
    }

    /// The operating system's id of it.
    pub(crate) const fn id(&self) -> u32 {
        self.id
    }

    /// Its next answer.
    pub(crate) async fn answer<A: DeserializeOwned>(&mut self) -> anyhow::Result<A> {
        let line = self.stdout.next_line().await?.with_context(|| format!("{} ended early", self.name))?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Closes its standard input and waits until it has ended.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        let ended = self.child.wait().await?;
        anyhow::ensure!(ended.success(), "{} failed: {ended}", self.name);
        Ok(())
    }
}

/// The part's side: what it was told, and the pipe that closes when it is to end.
pub(crate) async fn told<O: DeserializeOwned>() -> anyhow::Result<(O, BufReader<Stdin>)> {
    let mut stdin = BufReader::new(tokio::io::stdin());
    let mut line = String::new();
    stdin.read_line(&mut line).await?;
    Ok((serde_json::from_str(&line)?, stdin))
}

/// The part's side: returns when it is to end.
pub(crate) async fn closed(mut stdin: BufReader<Stdin>) {
    let mut rest = [0; 64];
    while let Ok(1..) = stdin.read(&mut rest).await {}
}

/// The part's side: answers.
#[expect(clippy::print_stdout, reason = "standard output is the way to the client")]
pub(crate) fn answer(answer: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}
