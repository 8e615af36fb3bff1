//! What a process told of its statements, and what it spent.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// How long a clock tick of the operating system's accounts is.
const TICK: Duration = Duration::from_millis(10);

/// The log of a process, from a place in it on.
#[derive(Debug)]
pub(crate) struct Told(File);

impl Told {
    /// From its end.
    pub(crate) fn from_now(log: &Path) -> Self {
        let mut file = File::open(log).expect("the process should have told something");
        file.seek(SeekFrom::End(0)).expect("the end of the log");
        Self(file)
    }

    /// The statements told since, and how often each ran.
    pub(crate) fn statements(&mut self) -> BTreeMap<String, u64> {
        let mut text = String::new();
        self.0.read_to_string(&mut text).expect("the log should be readable");
        let mut counted = BTreeMap::new();
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("each line should be JSON");
            if let Some(sql) = line.pointer("/fields/sql").or_else(|| line.get("sql")) {
                let sql = sql.as_str().expect("a statement is text");
                *counted.entry(sql.split_whitespace().collect::<Vec<_>>().join(" ")).or_insert(0) += 1;
            }
        }
        counted
    }
}

/// How long a process was on a processor until now.
pub(crate) fn on_processor(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process should run");
    let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u32 = fields[11..13].iter().map(|field| field.parse::<u32>().expect("ticks")).sum();
    TICK * ticks
}
