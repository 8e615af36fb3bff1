//! Synced before answered: the system calls of `sluice up` on SQLite, as strace saw them, and the settings of a PostgreSQL session.
//!
//! strace has to be there and has to be allowed to trace (ptrace); in a container that is `--cap-add SYS_PTRACE`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use proto::dispatcher::v1::ExecutionState;
use proto::evaluator::v1::batch_ingest_events_result::Answer;
use proto::registry::v1::WebhookState;
use sluice_runtime::Clock;
use sluice_storage::{Database, DatabaseUrl, Options};
use sluice_testkit::Receiver;
use sluice_tests::requests::{automation_webhook, deal, post, titled};
use sluice_tests::{Backend, Deployment, House, PARENT, figures, until};

/// Calls of one event, then of a batch.
const CALLS: usize = 25;
/// Events of a batch.
const BATCH: usize = 16;
/// What strace is asked to write down: syncs, and whatever may be an answer.
const TRACED: &[&str] = &[
    "-f",
    "-qq",
    "-y",
    "-s",
    "1024",
    "-e",
    "trace=fsync,fdatasync,write,writev,sendto,sendmsg",
    "-e",
    "signal=none",
    "-o",
];
/// Where [`the_control`] has its file, when it is to run, and whether it is to sync.
const CONTROL: &str = "SYNCED_CONTROL";

/// How the answers lie among the syncs of a log.
#[derive(Debug, Default, PartialEq, Eq)]
struct Order {
    /// Answers that were found.
    answers: usize,
    /// Syncs up to the last of them.
    syncs: usize,
    /// Answers before which no sync had come since the one before.
    unsynced: Vec<String>,
}

/// Reads a trace. Each of `answers` is a text that only one answer holds, in the order in which they were given.
fn order(trace: &str, log: &str, answers: &[String]) -> Order {
    let (mut order, mut syncing, mut since) = (Order::default(), BTreeSet::new(), 0);
    for line in trace.lines() {
        let process = line.split(' ').next().unwrap_or_default();
        let is_sync = line.contains("fsync(") || line.contains("fdatasync(");
        let ended = if is_sync && line.contains(log) {
            if line.contains("<unfinished") {
                syncing.insert(process);
                false
            } else {
                line.ends_with("= 0")
            }
        } else {
            line.contains("sync resumed") && syncing.remove(process) && line.ends_with("= 0")
        };
        since += usize::from(ended);
        order.syncs += usize::from(ended);
        let Some(next) = answers.get(order.answers) else { break };
        if (line.contains("<socket:[") || line.contains("<pipe:[")) && line.contains(next.as_str()) {
            order.answers += 1;
            // One too few before any of them, and one that comes late has come for the answer before.
            if since == 0 || order.syncs < order.answers {
                order.unsynced.push(next.clone());
            }
            since = 0;
        }
    }
    order
}

fn strace(file: &Path) -> Vec<String> {
    let traces = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).output();
    let said =
        traces.map(|output| (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()));
    assert!(
        matches!(said, Ok((true, _))),
        "syncs are counted by strace, and it can't be used here: {said:?}. Install it (apt-get install strace), and allow ptrace"
    );
    let words = TRACED.iter().map(|word| (*word).to_owned());
    ["strace".to_owned()].into_iter().chain(words).chain([file.display().to_string()]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_no_answer_leaves_before_its_sync_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut through = strace(&trace);
    // The process stays our child; strace watches it from the side.
    through.insert(1, "-D".to_owned());
    let setup = House::setup(Deployment::one_process(Backend::Sqlite)).outside().through(through);
    let mut house = setup.open().await;
    let receiver = Receiver::start().await;
    // What is paused is accepted and no more, so that no other sync comes between.
    let (hook, _) = house.webhook(automation_webhook("Off", &receiver.url("/off"))).await;
    house.admin().set_state(&hook, WebhookState::Disabled).await.unwrap();
    house.automation(titled("off", [post(&hook, "1")])).await;
    for probe in 0.. {
        let name = house.fires(deal(&format!("probe-{probe}"), "off")).await;
        let settled = until("the probe is paused, or sent since nobody had heard yet", async || {
            let state = house.execution(&name).await.state();
            matches!(state, ExecutionState::Paused | ExecutionState::Succeeded).then_some(state)
        });
        if settled.await == ExecutionState::Paused {
            break;
        }
    }
    let begun = std::fs::metadata(&trace).unwrap().len();
    let producer = house.producer();
    let mut answers = Vec::new();
    for call in 0..CALLS {
        let answer = house.ingest(deal(&format!("one-{call}"), "off")).await;
        answers.push(answer.executions[0].clone());
    }
    for call in 0..CALLS {
        let events = (0..BATCH).map(|number| deal(&format!("batch-{call}-{number}"), "off")).collect();
        let results = producer.ingest_batch(PARENT, events).await.unwrap();
        let Some(Answer::Response(first)) = &results[0].answer else { panic!("{results:?}") };
        answers.push(first.executions[0].clone());
    }
    house.kill_all();
    let lines = std::fs::read(&trace).unwrap();
    let lines = String::from_utf8_lossy(&lines[usize::try_from(begun).unwrap()..]).into_owned();
    let order = order(&lines, "dispatcher.db-wal", &answers);
    figures(format_args!(
        "synced before answered, SQLite: {} answers, {} syncs of the log, {} answers without one",
        order.answers,
        order.syncs,
        order.unsynced.len()
    ));
    assert_eq!(
        (order.answers, &order.unsynced[..]),
        (2 * CALLS, &[][..]),
        "answers seen, and answers without a sync"
    );
}

#[test]
fn without_full_synchronous_the_same_count_finds_what_is_missing() {
    let [synced, unsynced] = ["full", "normal"].map(|mode| {
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace");
        let words = strace(&trace);
        let ran = Command::new(&words[0])
            .args(&words[1..])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "crash::synced::the_control", "--ignored", "--nocapture"])
            .env(CONTROL, format!("{mode}:{}", folder.path().join("control.db").display()))
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        let answers: Vec<String> = (0..CALLS).map(|call| format!("answer {call};")).collect();
        let lines = std::fs::read(&trace).unwrap();
        // Making the table is synced, too.
        let lines = String::from_utf8_lossy(&lines).into_owned();
        let from = lines.find("\"begun;").unwrap();
        order(&lines[from..], "control.db-wal", &answers)
    });
    figures(format_args!(
        "synced before answered, the control: with FULL {synced:?}; with NORMAL {} of {} answers without a sync",
        unsynced.unsynced.len(),
        unsynced.answers
    ));
    assert_eq!((synced.answers, &synced.unsynced[..]), (CALLS, &[][..]));
    assert_eq!((unsynced.answers, unsynced.unsynced.len()), (CALLS, CALLS), "the control has to fail");
}

/// Commits again and again, and says so each time.
#[tokio::test]
#[ignore = "the other half of the test above, in a process of its own"]
async fn the_control() {
    let asked = std::env::var(CONTROL).unwrap();
    let (mode, file) = asked.split_once(':').unwrap();
    let options = Options { unsynced: mode == "normal", ..Options::default() };
    let database = Database::connect(&DatabaseUrl::sqlite(file), Clock::system(), &options).await.unwrap();
    let commit = async |sql: &str| {
        let transaction = database.write("test").await.unwrap();
        transaction.execute(sql, vec![]).await.unwrap();
        transaction.commit().await.unwrap();
    };
    commit("CREATE TABLE kept (number INTEGER)").await;
    println!("begun;");
    for call in 0..CALLS {
        commit("INSERT INTO kept VALUES (1)").await;
        println!("answer {call};");
    }
}

#[tokio::test]
async fn on_postgres_every_session_syncs_before_it_answers() {
    let server = sluice_testkit::postgres().await;
    let durability = server.database().durability().await.unwrap();
    figures(format_args!("synced before answered, PostgreSQL: {durability}"));
    assert!(durability.contains("synchronous_commit=on"), "{durability}");
}

#[test]
fn an_answer_before_its_sync_is_found_wherever_it_is() {
    let sync = "1 fdatasync(9</d/x.db-wal>)          = 0\n";
    let (begins, ends) =
        ("2 fdatasync(9</d/x.db-wal> <unfinished ...>\n", "2 <... fdatasync resumed>) = 0\n");
    let answer = |number: usize| format!("3 writev(7<socket:[1]>, [{{\"ex_{number};\", 5}}], 1) = 5\n");
    let read = |lines: &[&str]| order(&lines.concat(), "x.db-wal", &["ex_0;".to_owned(), "ex_1;".to_owned()]);
    let [first, second] = [answer(0), answer(1)];
    assert_eq!(read(&[sync, &first, begins, ends, &second]).unsynced, Vec::<String>::new());
    assert_eq!(read(&[sync, &first, begins, &second, ends]).unsynced, ["ex_1;"]);
    assert_eq!(read(&[&first, sync, &second, sync]).unsynced, ["ex_0;", "ex_1;"], "each is one behind");
    assert_eq!(
        read(&[sync, sync, &first, &second]).unsynced,
        ["ex_1;"],
        "an earlier one does not count twice"
    );
}
