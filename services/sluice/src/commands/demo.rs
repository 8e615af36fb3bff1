//! `sluice demo`: sets the stage, plays the script, counts, and fails when a promise was broken.

use std::path::Path;

use anyhow::{Context, bail};
use sluice_auth::{Signer, generate_ed25519};
use sluice_domain::Span;
use sluice_runtime::{Clock, Shutdown};

use super::up::prepare;
use crate::cli;
use crate::data_directory::{DataDirectory, ISSUER};
use crate::demo::cast::Cast;
use crate::demo::client::Client;
use crate::demo::receiver_process::ReceiverProcess;
use crate::demo::script::Script;
use crate::demo::story::Story;
use crate::demo::tally::{Counts, Evidence};
use crate::settings::Settings;
use crate::suite::RunningSuite;

/// Plays the demo with a receiver that is this very program.
///
/// # Errors
/// When something does not go on, or a promise was broken; each is named.
pub async fn run(arguments: &cli::Demo) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("this program's own file")?;
    let folder =
        tempfile::Builder::new().prefix("sluice-demo-").tempdir().context("a temporary directory")?;
    let settings = stage(folder.path());
    let _telemetry = sluice_telemetry::init(&settings.telemetry()).context("telemetry")?;
    let mut story = Story::new(!arguments.json);
    let evidence = perform(&program, arguments.plant_loss, &settings, &mut story).await?;
    conclude(&evidence, arguments.json, &story)
}

/// Starts a suite with these settings (which must allow loopback and http), plays the script against it with a receiver out
/// of `program`, stops the suite, and returns what was seen. The suite must not know the account `demo` yet.
///
/// # Errors
/// When something does not go on. What went on wrongly is in the evidence.
pub async fn perform(
    program: &Path,
    plant_loss: bool,
    settings: &Settings,
    story: &mut Story,
) -> anyhow::Result<Evidence> {
    let suite = prepare(settings).await?.start(Shutdown::on_signal()?).await?;
    let played = play(program, plant_loss, settings, &suite, story).await;
    let stopped = suite.stop().await;
    let evidence = played?;
    stopped.context("the suite did not end in order")?;
    Ok(evidence)
}

/// The demo's settings: everything as shipped, but loopback and http allowed, and retries that do not last for days.
pub fn stage(data: &Path) -> Settings {
    let mut settings = Settings { data: data.to_owned(), dev: true, ..Settings::default() };
    settings.listen.set_port(0);
    settings.dispatcher.retry.first = Span::from_secs(1);
    settings.dispatcher.retry.factor = 1.5;
    settings.dispatcher.retry.longest = Span::from_secs(3);
    settings.telemetry.filter = "error".to_owned();
    settings
}

async fn play(
    program: &Path,
    plant_loss: bool,
    settings: &Settings,
    suite: &RunningSuite,
    story: &mut Story,
) -> anyhow::Result<Evidence> {
    let receiver = ReceiverProcess::start(program, plant_loss).await?;
    let client = Client::connect(suite.address()).await?;
    let key = DataDirectory::open(&settings.data)?.signing_key()?.key;
    let (stolen, _) = generate_ed25519()?;
    let wrong = Signer::from_ed25519_pkcs8_pem(ISSUER, key.kid(), &stolen)?;
    let cast = Cast::new(&key.signer(ISSUER)?, &wrong, Clock::system().now())?;

    story.say(format_args!(
        "Sluice listens on {}, its data is in {}.",
        suite.address(),
        settings.data.display()
    ));
    let process = receiver.process_id().map_or_else(String::new, |id| format!(" (process {id})"));
    story.say(format_args!("The receiver is a process of its own{process}: {}", receiver.base()));
    story.say("For the demo, loopback and http receivers are allowed, and retries come within seconds.");
    if plant_loss {
        story.say("A loss is planted: the receiver forgets one request. The demo must notice and fail.");
    }
    let mut script =
        Script { client: &client, receiver: &receiver, cast: &cast, story, evidence: Evidence::default() };
    let played = tokio::select! {
        played = script.play() => played,
        () = suite.stopping() => bail!("the suite stopped before the demo was over"),
    };
    played?;
    Ok(script.evidence)
}

/// Prints the counts; an error when a promise was broken.
#[allow(clippy::print_stdout, reason = "the object of counts is what `--json` is for")]
fn conclude(evidence: &Evidence, json: bool, story: &Story) -> anyhow::Result<()> {
    let counts = evidence.counts();
    if json {
        println!("{}", serde_json::to_string(&counts)?);
    }
    story.say("\nCounted from the receiver's ledger and the API's answers");
    for (what, number) in told(&counts) {
        story.result(what, number);
    }
    let problems = evidence.problems();
    if problems.is_empty() {
        story.say("\nNothing lost, nothing twice, everything that paused went on.");
        return Ok(());
    }
    bail!("the demo shows that a promise was broken: {}", problems.join("; "))
}

fn told(counts: &Counts) -> [(&'static str, usize); 8] {
    [
        ("matched: executions in the history", counts.matched),
        ("delivered: webhook ids answered 2xx", counts.delivered),
        ("paused: executions shown PAUSED", counts.paused),
        ("resumed: those of them delivered since", counts.resumed),
        ("retried: executions with several attempts", counts.retried),
        ("refused: calls refused as they should be", counts.refused),
        ("duplicates: hits beyond the attempts on record", counts.duplicates),
        ("lost: matched and not delivered", counts.lost),
    ]
}
