//! Values made from files that are replaced while the process runs: certificates, keys, tokens.
//!
//! The files' content is looked at, again and again: Kubernetes swaps a link above them, and the time of a file says nothing then.

use std::fmt;
use std::io;
use std::path::PathBuf;

use sluice_domain::{Secret, Span};
use thiserror::Error;

use crate::clock::Clock;
use crate::current::Current;
use crate::shutdown::Shutdown;

/// A file, and the setting that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFile {
    /// The setting's dotted key.
    pub setting: String,
    /// The file.
    pub path: PathBuf,
}

/// Why files can't be used. Never holds what is in them.
#[derive(Debug, Error)]
pub enum RenewalError {
    /// A file can't be read.
    #[error("{setting}: {}: {cause}", .path.display())]
    File {
        /// The setting.
        setting: String,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// What is in them breaks a rule; the text begins with the setting.
    #[error("{0}")]
    Rule(String),
}

/// Makes a value out of the contents of the files, in their order.
type Make<T> = Box<dyn Fn(&[Secret]) -> Result<T, String> + Send + Sync>;

/// A value, and the files that it is made from again whenever they change.
pub struct Renewal<T> {
    files: Vec<SettingFile>,
    make: Make<T>,
    current: Current<T>,
    seen: Seen,
}

/// What is in force, and what was last said of what is not.
struct Seen {
    in_force: Vec<Secret>,
    complaint: Option<String>,
}

/// What a look at the files came to.
#[derive(Debug, PartialEq, Eq)]
enum Look<T> {
    /// They hold what is in force, as they did.
    Same,
    /// They hold something else, which is good.
    Renewed(T),
    /// They can't be used, and nobody was told yet.
    Refused(String),
    /// They still can't be used.
    StillRefused,
    /// They hold again what is in force, after they could not be used.
    Restored,
}

impl<T> Renewal<T> {
    /// Reads the files for the first time. An error of `make` begins with the setting that is at fault.
    ///
    /// # Errors
    /// When a file can't be read, or nothing be made of them.
    pub fn open(
        files: Vec<SettingFile>,
        make: impl Fn(&[Secret]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, RenewalError> {
        let contents = files.iter().map(|file| told(file, std::fs::read_to_string(&file.path)));
        let in_force = contents.collect::<Result<Vec<_>, _>>()?;
        let current = Current::new(make(&in_force).map_err(RenewalError::Rule)?);
        Ok(Self { files, make: Box::new(make), current, seen: Seen { in_force, complaint: None } })
    }

    /// The value as it is from now on, whatever it is renewed to.
    pub fn current(&self) -> Current<T> {
        self.current.clone()
    }

    /// Looks at the files every so often until shutdown. Good ones come into force; of others the log tells, once, and what was
    /// read before stays in force.
    pub async fn run(mut self, clock: Clock, every: Span, shutdown: Shutdown) {
        let settings: Vec<&str> = self.files.iter().map(|file| file.setting.as_str()).collect();
        let settings = settings.join(", ");
        while shutdown.or(clock.sleep(every)).await.is_some() {
            let read = self.read().await;
            match self.seen.look(read, &self.make) {
                Look::Same | Look::StillRefused => {}
                Look::Renewed(value) => {
                    self.current.replace(value);
                    tracing::info!(settings, "files were replaced; the new ones are in force");
                }
                Look::Refused(error) => {
                    tracing::error!(
                        settings,
                        error,
                        "files can't be used; what was read before stays in force"
                    );
                }
                Look::Restored => tracing::info!(settings, "files are again what is in force"),
            }
        }
    }

    async fn read(&self) -> Result<Vec<Secret>, RenewalError> {
        let mut contents = Vec::with_capacity(self.files.len());
        for file in &self.files {
            contents.push(told(file, tokio::fs::read_to_string(&file.path).await)?);
        }
        Ok(contents)
    }
}

impl Seen {
    /// Judges what was read: what changed, and what is to be kept.
    fn look<T>(
        &mut self,
        read: Result<Vec<Secret>, RenewalError>,
        make: impl Fn(&[Secret]) -> Result<T, String>,
    ) -> Look<T> {
        let made = match read {
            Ok(contents) if contents == self.in_force => {
                return if self.complaint.take().is_some() { Look::Restored } else { Look::Same };
            }
            Ok(contents) => make(&contents).map(|value| (contents, value)),
            Err(error) => Err(error.to_string()),
        };
        match made {
            Ok((contents, value)) => {
                *self = Self { in_force: contents, complaint: None };
                Look::Renewed(value)
            }
            Err(error) if self.complaint.as_ref() == Some(&error) => Look::StillRefused,
            Err(error) => {
                self.complaint = Some(error.clone());
                Look::Refused(error)
            }
        }
    }
}

fn told(file: &SettingFile, read: io::Result<String>) -> Result<Secret, RenewalError> {
    read.map(Secret::new).map_err(|cause| RenewalError::File {
        setting: file.setting.clone(),
        path: file.path.clone(),
        cause,
    })
}

impl<T: fmt::Debug> fmt::Debug for Renewal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("files", &self.files).field("current", &self.current).finish()
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::Timestamp;

    use super::*;

    fn number(contents: &[Secret]) -> Result<u32, String> {
        contents[0].expose().trim().parse().map_err(|_| "process.number_file: must be a number".to_owned())
    }

    fn read(text: &str) -> Result<Vec<Secret>, RenewalError> {
        Ok(vec![Secret::new(text)])
    }

    fn gone() -> Result<Vec<Secret>, RenewalError> {
        let file = SettingFile { setting: "process.number_file".into(), path: "/nowhere".into() };
        told(&file, Err(io::ErrorKind::NotFound.into())).map(|secret| vec![secret])
    }

    fn seen(text: &str) -> Seen {
        Seen { in_force: vec![Secret::new(text)], complaint: None }
    }

    #[test]
    fn what_changed_is_taken_once() {
        let mut seen = seen("1");
        assert_eq!(seen.look(read("1"), number), Look::Same);
        assert_eq!(seen.look(read("2"), number), Look::Renewed(2));
        assert_eq!(seen.look(read("2"), number), Look::Same);
        assert_eq!(seen.look(read("1"), number), Look::Renewed(1));
    }

    #[test]
    fn what_is_broken_is_told_once_and_what_was_in_force_is_kept() {
        let mut seen = seen("1");
        let rule = "process.number_file: must be a number";
        assert_eq!(seen.look(read("s3cret"), number), Look::Refused(rule.to_owned()));
        assert_eq!(seen.look(read("s3cret"), number), Look::StillRefused);
        assert_eq!(seen.look(read("s3cre"), number), Look::StillRefused);
        let Look::Refused(error) = seen.look(gone(), number) else { panic!("it is another complaint") };
        assert!(error.starts_with("process.number_file: /nowhere: "), "{error}");
        assert_eq!(seen.in_force, [Secret::new("1")]);
        assert_eq!(seen.look(read("1"), number), Look::Restored);
        assert_eq!(seen.look(read("1"), number), Look::Same);
        assert_eq!(seen.look(read("x"), number), Look::Refused(rule.to_owned()));
        assert_eq!(seen.look(read("3"), number), Look::Renewed(3));
    }

    #[tokio::test]
    async fn a_link_that_is_swapped_as_kubernetes_does_is_noticed_at_the_next_look() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("one", "1"), ("two", "2")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("number"), text).unwrap();
        }
        std::os::unix::fs::symlink(at("one"), at("now")).unwrap();
        let path = at("now").join("number");
        let renewal = Renewal::open(vec![SettingFile { setting: "n".into(), path }], number).unwrap();
        let current = renewal.current();
        let (clock, hand) = Clock::manual(Timestamp::EPOCH);
        let shutdown = Shutdown::new();
        let running = tokio::spawn(renewal.run(clock, Span::from_secs(5), shutdown.clone()));
        assert_eq!(*current.get(), 1);

        std::os::unix::fs::symlink(at("two"), at("next")).unwrap();
        std::fs::rename(at("next"), at("now")).unwrap();
        while *current.get() != 2 {
            hand.advance(Span::from_secs(5));
            tokio::task::yield_now().await;
        }
        shutdown.trigger();
        running.await.unwrap();
    }

    #[test]
    fn what_can_not_be_read_at_start_is_named() {
        let file = |path: PathBuf| vec![SettingFile { setting: "process.number_file".into(), path }];
        let error = Renewal::open(file("/nowhere".into()), number).unwrap_err().to_string();
        assert!(error.starts_with("process.number_file: /nowhere: "), "{error}");
        let odd = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(odd.path(), "s3cret").unwrap();
        let error = Renewal::open(file(odd.path().to_owned()), number).unwrap_err().to_string();
        assert_eq!(error, "process.number_file: must be a number");
    }
}
