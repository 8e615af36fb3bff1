//! Named places at which a suite can hold this process and kill it, so that what lies just before and just after a promise is tried
//! and not only hoped for.
//!
//! They exist only in builds with the feature `failpoints`, which no crate but the suites asks for; in all others [`reach`] is
//! nothing. And only where the environment names a folder: while a file `accept.committed` lies in it, the first task that reaches
//! that place leaves a file `accept.committed.held` beside it and goes no further. All else of the process goes on, so that an
//! answer given too early gets out, until the suite has seen the file and kills it.

#[cfg(feature = "failpoints")]
use std::{fs::File, path::PathBuf, sync::OnceLock};

/// The variable that names the folder; none of ours begins so, since those are settings.
pub const FOLDER: &str = "FAILPOINTS_FOLDER";

/// A place is reached: `<what>.<side>`.
#[cfg(feature = "failpoints")]
pub fn reach(what: &str, side: &str) {
    static ARMED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = ARMED.get_or_init(|| std::env::var_os(FOLDER).map(PathBuf::from));
    if let Some(folder) = folder
        && folder.join(format!("{what}.{side}")).exists()
        && File::create_new(folder.join(format!("{what}.{side}.held"))).is_ok()
    {
        loop {
            std::thread::park();
        }
    }
}

/// A place is reached; nobody can have armed it.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn reach(_what: &str, _side: &str) {}
