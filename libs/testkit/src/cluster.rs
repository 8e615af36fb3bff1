//! A PostgreSQL server for tests: the one that `SLUICE_TEST_POSTGRES_URL` names, or one of our own for this process.
//!
//! Our own lives in a temporary folder, listens on a free port of 127.0.0.1 and belongs to a watching shell. The shell
//! reads from a pipe that this process holds; when the process ends, however it ends, the pipe closes, and the shell
//! stops the server it started and removes the folder. [`PostgresServer`] is one that a test has for itself, to restart it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// Names a server to use instead of our own: `postgres://user:password@host:port/database`, its role may create databases.
const SERVER: &str = "SLUICE_TEST_POSTGRES_URL";

/// Set to `on`, our own server syncs to disk like one in production.
const FSYNC: &str = "SLUICE_TEST_POSTGRES_FSYNC";

/// The account that runs the server when the tests run as root, which PostgreSQL refuses.
const ACCOUNT: &str = "postgres";

/// Another process may take the free port before the server does.
const ATTEMPTS: u32 = 5;

/// `$1` folder of the programs, `$2` port, `$3` fsync. Prints `ready` or why not, then restarts the server for each line that comes,
/// without a shutdown, and prints `ready` again, until the pipe closes.
const WATCH: &str = r#"
PATH="$1:$PATH"
folder=$(mktemp -d "${TMPDIR:-/tmp}/sluice-postgres.XXXXXX") || { echo "cannot make a folder"; exit 1; }
cd "$folder"
exec 2>"$folder/errors"
if initdb -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C -N >"$folder/initdb" &&
    pg_ctl -D "$folder/data" -w -t 60 -l "$folder/log" start -o \
    "-c listen_addresses=127.0.0.1 -c port=$2 -c unix_socket_directories= -c fsync=$3 -c full_page_writes=$3 -c max_connections=200 -c shared_buffers=64MB -c max_prepared_transactions=0" \
    >"$folder/start"
then
    trap '' PIPE # the process may be gone already
    echo ready
    while read -r _; do
        pg_ctl -D "$folder/data" -m immediate -w -t 60 -l "$folder/log" restart >"$folder/start" && echo ready
    done
    pg_ctl -D "$folder/data" -m immediate -w -t 20 stop >/dev/null
else
    tail -n 5 "$folder/errors" "$folder/initdb" "$folder/log"
fi
rm -rf "$folder"
"#;

/// A server of our own; it is there until this is dropped.
#[derive(Debug)]
pub struct PostgresServer {
    url: String,
    watcher: Child,
    said: BufReader<ChildStdout>,
}

impl PostgresServer {
    /// Starts one, which blocks for a second or two.
    pub fn start() -> Self {
        Self::start_syncing(asked_to_sync())
    }

    fn start_syncing(durable: bool) -> Self {
        let programs = programs();
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let mut watcher = watch(&programs, port, durable);
            said.clear();
            let mut output =
                BufReader::new(watcher.stdout.take().expect("the shell's output should be a pipe"));
            output.read_line(&mut said).expect("the shell should say how it went");
            if said.trim() == "ready" {
                let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
                return Self { url, watcher, said: output };
            }
            output.lines().map_while(Result::ok).for_each(|line| said.push_str(&format!("{line}\n")));
            watcher.wait().expect("the shell should end");
        }
        panic!("PostgreSQL for tests did not start from {}:\n{said}", programs.display());
    }

    /// The URL of its database `postgres`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Kills all its processes in immediate mode, as a fall of the server would, and starts it again; blocks until it has recovered.
    pub fn fall_and_rise(&mut self) {
        let pipe = self.watcher.stdin.as_mut().expect("the shell's input should be a pipe");
        pipe.write_all(b"again\n").expect("the shell should be there");
        let mut said = String::new();
        self.said.read_line(&mut said).expect("the shell should say how it went");
        assert_eq!(said.trim(), "ready", "the server should be back");
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ended = self.watcher.wait();
    }
}

/// The URL of a database on the server from which others can be created. Starts the server on first use.
pub(crate) fn server_url() -> String {
    // Never dropped: its shell sees the pipe close when the process is gone.
    static CLUSTER: OnceLock<PostgresServer> = OnceLock::new();
    if let Ok(url) = std::env::var(SERVER) {
        return url;
    }
    CLUSTER.get_or_init(PostgresServer::start).url.clone()
}

/// The same for a server of our own that syncs every commit, whatever the environment says.
pub fn durable_server_url() -> String {
    static CLUSTER: OnceLock<PostgresServer> = OnceLock::new();
    CLUSTER.get_or_init(|| PostgresServer::start_syncing(true)).url.clone()
}

fn asked_to_sync() -> bool {
    std::env::var(FSYNC).is_ok_and(|asked| asked == "on")
}

fn watch(programs: &Path, port: u16, durable: bool) -> Child {
    let fsync = if durable { "on" } else { "off" };
    let mut command = shell_as_ordinary_user();
    command
        .args(["-c", WATCH, "sluice-postgres"])
        .arg(programs)
        .arg(port.to_string())
        .arg(fsync)
        .env_remove("PGDATA")
        .current_dir("/")
        // A group of its own: Ctrl-C at the tests must not reach the shell before it has cleaned up.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().expect("a shell should start")
}

fn shell_as_ordinary_user() -> Command {
    if whoami("-u") != "0" {
        return Command::new("sh");
    }
    let missing = "install PostgreSQL (apt-get install postgresql) or run the tests as another user";
    assert!(
        Command::new("id")
            .args(["-u", ACCOUNT])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|id| id.success()),
        "tests run as root, PostgreSQL refuses to, and there is no account `{ACCOUNT}`: {missing}"
    );
    if let Some(setpriv) = in_path("setpriv") {
        let mut command = Command::new(setpriv);
        command
            .arg(format!("--reuid={ACCOUNT}"))
            .arg(format!("--regid={ACCOUNT}"))
            .args(["--init-groups", "sh"]);
        return command;
    }
    let runuser = in_path("runuser")
        .unwrap_or_else(|| panic!("neither setpriv nor runuser found (apt-get install util-linux)"));
    let mut command = Command::new(runuser);
    command.args(["-u", ACCOUNT, "--", "sh"]);
    command
}

fn whoami(flag: &str) -> String {
    let id = Command::new("id").arg(flag).output().expect("`id` should run");
    String::from_utf8_lossy(&id.stdout).trim().to_owned()
}

/// The folder of `initdb` and `pg_ctl`: the newest of Debian's, or wherever PATH has them.
fn programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = debian
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, folder)| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file())
        .max();
    newest
        .map(|(_, folder)| folder)
        .or_else(|| in_path("initdb")?.parent().map(Path::to_owned))
        .unwrap_or_else(|| {
            panic!(
                "these tests need PostgreSQL, and `initdb` is neither in /usr/lib/postgresql/*/bin nor in PATH.\n\
                 Install it (apt-get install postgresql), or name a server: {SERVER}=postgres://user:password@host/database"
            )
        })
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback should be free");
    listener.local_addr().expect("a listener should have an address").port()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_process_killed_while_its_server_starts_leaves_none() {
        let port = free_port();
        let mut watcher = watch(&programs(), port, false);
        drop((watcher.stdin.take(), watcher.stdout.take()));
        watcher.wait().unwrap();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    #[test]
    fn a_server_that_falls_has_what_was_committed_when_it_rises() {
        let mut server = PostgresServer::start();
        let psql = |server: &PostgresServer, sql: &str| {
            let mut command = Command::new(programs().join("psql"));
            let output = command.args(["-X", "-A", "-t", server.url(), "-c", sql]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        psql(&server, "CREATE TABLE kept AS SELECT 42 AS number");
        let before = psql(&server, "SELECT pg_postmaster_start_time()");
        server.fall_and_rise();
        assert_eq!(psql(&server, "SELECT number FROM kept"), "42");
        assert_ne!(psql(&server, "SELECT pg_postmaster_start_time()"), before);
    }

    #[test]
    fn the_server_ends_and_its_folder_goes_when_the_pipe_closes() {
        let port = free_port();
        let mut watcher = watch(&programs(), port, false);
        let mut output = watcher.stdout.take().unwrap();
        let mut said = [0; 5];
        output.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"ready");
        TcpStream::connect(("127.0.0.1", port)).unwrap();
        drop(watcher.stdin.take());
        assert!(watcher.wait().unwrap().success());
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
