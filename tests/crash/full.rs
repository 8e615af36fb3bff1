//! SQLite on a disk that is full: who asks is told to come back, what was answered is kept, and it goes on once there is room.
//!
//! The disk is a small tmpfs, which takes root to mount; else `SLUICE_TEST_SMALL_DISK` names a folder on a file system of some 32 MiB
//! that nobody else uses.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use sluice_runtime::{Clock, Shutdown};
use sluice_testkit::Receiver;
use sluice_tests::ledgers::Ledgers;
use sluice_tests::producer::Told;
use sluice_tests::requests::{automation_webhook, post, titled, updated};
use sluice_tests::{Backend, Deployment, House, PARENT, Person, Refusal, figures, until};
use tonic::Code;

/// Names a small file system to use instead of one of our own.
const SMALL_DISK: &str = "SLUICE_TEST_SMALL_DISK";
/// Producers, one event after another.
const PRODUCERS: usize = 8;
/// Bytes of a request: what takes room.
const WIDE: usize = 60_000;
/// Events before the disk is filled, and after there is room again.
const SOME: usize = 60;
/// Refusals to be seen while the disk is full.
const REFUSALS: usize = 40;
/// How soon after there is room an event is accepted again.
const SOON: Duration = Duration::from_secs(5);
/// The mean delay of retries in microseconds, as the houses have it at least.
const RETRY_AFTER: i64 = 50_000;

/// A small disk under a folder; gone when dropped.
struct SmallDisk {
    mounted: Option<PathBuf>,
}

impl SmallDisk {
    /// Puts it under this folder.
    fn under(folder: &Path) -> Self {
        if let Some(place) = std::env::var_os(SMALL_DISK) {
            let own = tempfile::tempdir_in(place).unwrap().keep();
            fs::remove_dir(folder).unwrap();
            std::os::unix::fs::symlink(own, folder).unwrap();
            return Self { mounted: None };
        }
        let words = ["-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs"];
        let mounted = Command::new("mount").args(words).arg(folder).output().unwrap();
        assert!(
            mounted.status.success(),
            "a disk that can be filled takes root to mount (mount {} FOLDER): {}; or name a small one: {SMALL_DISK}",
            words.join(" "),
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self { mounted: Some(folder.to_owned()) }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Some(folder) = &self.mounted {
            let _gone = Command::new("umount").arg("-l").arg(folder).status();
        }
    }
}

/// Takes all the room there is, beside what it has taken before.
fn fill(ballast: &Path) -> usize {
    let mut file = OpenOptions::new().create(true).append(true).open(ballast).unwrap();
    let (mut piece, mut written) = (vec![7; 64 * 1024], 0);
    while !piece.is_empty() {
        match file.write(&piece) {
            Ok(count) => written += count,
            Err(_) => piece.truncate(piece.len() / 2),
        }
    }
    written
}

/// What producers were told so far.
#[derive(Default)]
struct Heard {
    accepted: AtomicUsize,
    refused: AtomicUsize,
}

/// Sends one event after another until it is told to stop; each until it is accepted.
async fn produce(person: Person, producer: usize, heard: Arc<Heard>, stop: Shutdown) -> (Told, Vec<Refusal>) {
    let (mut told, mut refusals) = (Told::default(), Vec::new());
    for number in 0.. {
        if stop.is_triggered() {
            break;
        }
        let wide = json!({"title": "plain", "note": "x".repeat(WIDE)});
        let event = updated(&format!("e-{producer}-{number}"), json!({"title": "plain"}), wide);
        loop {
            match person.ingest(PARENT, event.clone()).await {
                Ok(answer) => {
                    told.acknowledged.insert(event.id, answer.executions);
                    heard.accepted.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Err(refusal) => {
                    let rest = refusal.retry_delay.unwrap_or_default().min(Duration::from_millis(200));
                    refusals.push(*refusal);
                    heard.refused.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(rest).await;
                }
            }
        }
    }
    (told, refusals)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_keeps_what_was_answered_and_goes_on_once_there_is_room() {
    let deployment = Deployment::one_process(Backend::Sqlite);
    let mut house = House::setup(deployment).outside().empty().await;
    let folder = house.folder().join("data");
    let disk = SmallDisk::under(&folder);
    house.start().await;
    house.put_plan("boundless").await;
    let receiver = Receiver::start().await;
    let (hook, _) = house.webhook(automation_webhook("Plain", &receiver.url("/in"))).await;
    house.automation(titled("plain", [post(&hook, r#""{{ deal.note }}""#)])).await;

    let (heard, stop) = (Arc::new(Heard::default()), Shutdown::new());
    let (accepted, refused) =
        (|| heard.accepted.load(Ordering::Relaxed), || heard.refused.load(Ordering::Relaxed));
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| tokio::spawn(produce(house.producer(), producer, Arc::clone(&heard), stop.clone())))
        .collect();
    let filling = async {
        until("events are accepted", async || (accepted() >= SOME).then_some(())).await;
        let ballast = folder.join("ballast");
        let mut bytes = fill(&ballast);
        until("events are refused", async || {
            // What was freed meanwhile, by a log that begins anew, is taken, too.
            bytes += fill(&ballast);
            (refused() >= REFUSALS).then_some(())
        })
        .await;
        let before = accepted();
        fs::remove_file(&ballast).unwrap();
        let freed = Clock::system().now();
        until("events are accepted again", async || (accepted() > before).then_some(())).await;
        let took = Clock::system().now().since(freed).to_duration();
        until("many are", async || (accepted() >= before + SOME).then_some(())).await;
        stop.trigger();
        (bytes, took)
    };
    let (bytes, took) = filling.await;
    let (mut told, mut refusals) = (Told::default(), Vec::new());
    for producer in producers {
        let (of_one, refused) = producer.await.unwrap();
        told = told.and(of_one);
        refusals.extend(refused);
    }
    house.rests().await;
    let ledgers = Ledgers::read(&house, &receiver, told.acknowledged.clone(), RETRY_AFTER).await;
    let mut kinds: Vec<String> =
        refusals.iter().map(|refusal| format!("{:?} {}", refusal.code, refusal.reason)).collect();
    kinds.sort();
    kinds.dedup();
    figures(format_args!(
        "disk full, {deployment}: {bytes} bytes of ballast; {} refusals ({}); accepted again {took:?} after there was room; {ledgers}",
        refusals.len(),
        kinds.join(", ")
    ));
    let other = refusals.iter().find(|refusal| {
        !matches!(refusal.code, Code::ResourceExhausted | Code::Unavailable) || refusal.retry_delay.is_none()
    });
    assert_eq!(other, None, "a refusal that does not say when to come back");
    assert!(took <= SOON, "{took:?}");
    assert_eq!(ledgers.violations(&[]), Vec::<String>::new());
    house.stop().await;
    drop(disk);
}
