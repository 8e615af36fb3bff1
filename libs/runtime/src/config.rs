//! Settings of a process: a TOML file, overridden by the environment, overridden by flags.
//!
//! A setting has a dotted key, `dispatcher.lease`. In the environment that is `SLUICE_DISPATCHER__LEASE` (two underscores
//! for each dot, any case), as a flag `("dispatcher.lease", "15s")`. There the value is text and is read as the type that
//! the setting has; lists and tables are written as in TOML, `["10.0.0.0/8"]`.
//!
//! Every variable with the prefix is a setting, so that a misspelt one is refused, but for these: `SLUICE_TEST_…` and
//! `SLUICE_CI_…`, which are for suites; and what Kubernetes puts into every container of a namespace for each service whose
//! name begins so (`SLUICE_REGISTRY_SERVICE_HOST`, `SLUICE_REGISTRY_PORT_7071_TCP`, …). Whether unknown keys are refused is the
//! target type's to say: put `#[serde(deny_unknown_fields)]` on every settings struct.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use config::{Config, File, FileFormat, Map, Source, Value};
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Variables with these after the prefix are for suites and never settings.
const NOT_SETTINGS: [&str; 2] = ["TEST_", "CI_"];

/// Why the settings cannot be used. No variant holds a setting's value, which may be a secret.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("configuration file {}: {cause}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file {}: {cause}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        cause: String,
    },
    /// An environment variable is not UTF-8.
    #[error("environment variable {0} is not UTF-8")]
    NotText(String),
    /// A required setting is given nowhere.
    #[error("{key}: is required and not set")]
    Missing {
        /// The dotted key.
        key: String,
    },
    /// A setting is unknown, has the wrong type, or breaks its rule.
    #[error("{key}: {rule}")]
    Invalid {
        /// The dotted key; for an unknown setting, the key of the group it stands in (`settings` for the outermost).
        key: String,
        /// The rule it breaks.
        rule: String,
    },
}

/// Reads the settings: `file` (if given, it must exist) < environment variables that start with `env_prefix` (such as
/// `SLUICE_`) < `flags` (dotted key and value). Variables that belong to others are passed over (see the module).
///
/// # Errors
/// With the key named, when something is unknown, missing, of the wrong type or against its rule.
pub fn load<T: DeserializeOwned>(
    file: Option<&Path>,
    env_prefix: &str,
    flags: &[(String, String)],
) -> Result<T, ConfigError> {
    load_beside(file, env_prefix, &[], flags)
}

/// As [`load`], where the variables `others` (without the prefix, upper case) are settings of another program that may run in
/// the same environment.
///
/// # Errors
/// As [`load`].
pub fn load_beside<T: DeserializeOwned>(
    file: Option<&Path>,
    env_prefix: &str,
    others: &[&str],
    flags: &[(String, String)],
) -> Result<T, ConfigError> {
    let text = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|cause| ConfigError::File { path: path.to_owned(), cause })?;
            Some((path, text))
        }
        None => None,
    };
    let text = text.as_ref().map(|(path, text)| (*path, text.as_str()));
    merge(text, environment(env_prefix, others, std::env::vars_os())?, flags)
}

fn merge<T: DeserializeOwned>(
    file: Option<(&Path, &str)>,
    environment: Vec<(String, String)>,
    flags: &[(String, String)],
) -> Result<T, ConfigError> {
    let mut builder = Config::builder();
    if let Some((path, text)) = file {
        let source = File::from_str(text, FileFormat::Toml);
        source.collect().map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            cause: without_excerpt(&match error {
                config::ConfigError::FileParse { cause, .. } => cause.to_string(),
                other => other.to_string(),
            }),
        })?;
        builder = builder.add_source(source);
    }
    builder
        .add_source(Texts(environment))
        .add_source(Texts(flags.to_vec()))
        .build()
        .and_then(Config::try_deserialize)
        .map_err(|error| explain(error, None))
}

/// The dotted keys and values among `variables` that belong to us.
fn environment(
    prefix: &str,
    others: &[&str],
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy();
        let Some(setting) = name.strip_prefix(prefix) else { continue };
        let belongs_to_others =
            others.contains(&setting) || NOT_SETTINGS.iter().any(|start| setting.starts_with(start));
        if setting.is_empty() || belongs_to_others || is_service_link(setting, &value.to_string_lossy()) {
            continue;
        }
        let value = value.into_string().map_err(|_| ConfigError::NotText(name.clone().into_owned()))?;
        found.push((setting.to_ascii_lowercase().replace("__", "."), value));
    }
    // The environment's order is arbitrary; errors should not be.
    found.sort();
    Ok(found)
}

/// Whether Kubernetes makes such a variable for a service (documented as "environment variables" of service discovery). A name
/// of a nested setting has two underscores and is none.
fn is_service_link(setting: &str, value: &str) -> bool {
    if setting.contains("__") {
        return false;
    }
    let of = format!("_{setting}");
    let port_of_a_protocol = || {
        let (_, rest) = of.rsplit_once("_PORT_").unwrap_or_default();
        let mut parts = rest.split('_');
        let number = parts.next().is_some_and(|text| text.parse::<u16>().is_ok());
        let protocol = matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"));
        let aspect = matches!(parts.next(), None | Some("PROTO" | "PORT" | "ADDR"));
        number && protocol && aspect && parts.next().is_none()
    };
    of.ends_with("_SERVICE_HOST")
        || of.ends_with("_SERVICE_PORT")
        || of.contains("_SERVICE_PORT_")
        || of.ends_with("_PORT") && value.contains("://")
        || port_of_a_protocol()
}

fn explain(error: config::ConfigError, outer: Option<String>) -> ConfigError {
    let at = |key: Option<String>| key.or(outer.clone()).unwrap_or_else(|| "settings".to_owned());
    match error {
        config::ConfigError::NotFound(key) => ConfigError::Missing { key },
        config::ConfigError::Type { expected, key, .. } => {
            ConfigError::Invalid { key: at(key), rule: format!("must be {expected}") }
        }
        config::ConfigError::At { error, key, .. } => explain(*error, Some(at(key))),
        other => ConfigError::Invalid { key: at(None), rule: other.to_string() },
    }
}

/// A TOML error without its drawing of the line in question, which may hold a secret.
fn without_excerpt(error: &str) -> String {
    let said: Vec<_> = error.lines().filter(|line| !line.contains('|')).map(str::trim).collect();
    said.join(": ")
}

/// Keys with values that are text, as the environment and flags have them.
#[derive(Clone)]
struct Texts(Vec<(String, String)>);

impl Source for Texts {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.iter().map(|(key, text)| (key.clone(), value(text))).collect())
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

/// A TOML list or table where the text is one (`[::1]:7070` is not), else the text.
fn value(text: &str) -> Value {
    if text.starts_with(['[', '{'])
        && let Ok(mut parsed) = File::from_str(&format!("it = {text}"), FileFormat::Toml).collect()
        && let Some(it) = parsed.remove("it")
    {
        return it;
    }
    Value::new(None, text)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use sluice_domain::Span;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        listen: String,
        #[serde(default)]
        dev: bool,
        #[serde(default)]
        allow: Vec<String>,
        dispatcher: Dispatcher,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Dispatcher {
        #[serde(with = "crate::human_span")]
        lease: Span,
        #[serde(default)]
        workers: Option<u16>,
    }

    const FILE: &str = "listen = \"[::1]:7070\"\n[dispatcher]\nlease = \"15s\"\nworkers = 4\n";

    fn read(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let env = env.iter().map(|(name, value)| (name.into(), value.into()));
        let flags: Vec<_> = flags.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        merge(Some((Path::new("sluice.toml"), file)), environment("SLUICE_", &["DATA"], env)?, &flags)
    }

    fn refusal(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
        read(file, env, flags).unwrap_err().to_string()
    }

    #[test]
    fn flags_weigh_more_than_the_environment_and_that_more_than_the_file() {
        let env =
            [("SLUICE_DISPATCHER__LEASE", "20s"), ("SLUICE_DISPATCHER__WORKERS", "8"), ("PATH", "/bin")];
        let settings = read(FILE, &env, &[("dispatcher.lease", "250ms")]).unwrap();
        assert_eq!(settings.dispatcher.lease, Span::from_millis(250));
        assert_eq!(settings.dispatcher.workers, Some(8));
        assert_eq!(settings.listen, "[::1]:7070");
    }

    #[test]
    fn text_becomes_the_type_the_setting_has() {
        let env =
            [("SLUICE_DEV", "true"), ("SLUICE_ALLOW", r#"["10.0.0.0/8"]"#), ("SLUICE_LISTEN", "[::]:80")];
        let settings = read(FILE, &env, &[]).unwrap();
        assert!(settings.dev);
        assert_eq!(settings.allow, ["10.0.0.0/8"]);
        assert_eq!(settings.listen, "[::]:80");
    }

    #[test]
    fn unknown_keys_are_refused_and_named_wherever_they_come_from() {
        assert!(
            refusal(&format!("{FILE}leese = 1\n"), &[], &[]).starts_with("dispatcher: unknown field `leese`")
        );
        assert!(refusal(FILE, &[("SLUICE_LISTN", "x")], &[]).starts_with("settings: unknown field `listn`"));
        assert!(refusal(FILE, &[], &[("dispatcher.x", "1")]).starts_with("dispatcher: unknown field `x`"));
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_key_and_rule_and_without_the_value() {
        let message = refusal(FILE, &[("SLUICE_DISPATCHER__WORKERS", "s3cret")], &[]);
        assert_eq!(message, "dispatcher.workers: must be an integer");
        let message = refusal(FILE, &[("SLUICE_DISPATCHER__LEASE", "15")], &[]);
        assert!(message.starts_with("dispatcher.lease: must be whole numbers with a unit"), "{message}");
        assert!(
            refusal(FILE, &[], &[("dispatcher.workers", "70000")]).starts_with("dispatcher.workers: must be")
        );
    }

    #[test]
    fn a_missing_setting_is_named() {
        assert_eq!(
            refusal("listen = \"x\"\n[dispatcher]\n", &[], &[]),
            "dispatcher.lease: is required and not set"
        );
    }

    #[test]
    fn broken_toml_names_the_file_and_the_place_and_shows_no_value() {
        let message = refusal("listen = \"s3cret\" x", &[], &[]);
        assert!(
            message.starts_with("configuration file sluice.toml: TOML parse error at line 1"),
            "{message}"
        );
        assert!(!message.contains("s3cret"), "{message}");
    }

    #[test]
    fn variables_of_the_test_suites_are_no_settings() {
        read(FILE, &[("SLUICE_TEST_POSTGRES_URL", "postgres://")], &[]).unwrap();
    }

    #[test]
    fn what_kubernetes_makes_for_services_is_no_setting_and_what_looks_alike_is() {
        let links = [
            ("SLUICE_REGISTRY_SERVICE_HOST", "10.96.1.1"),
            ("SLUICE_REGISTRY_SERVICE_PORT", "7071"),
            ("SLUICE_REGISTRY_SERVICE_PORT_GRPC", "7071"),
            ("SLUICE_REGISTRY_PORT", "tcp://10.96.1.1:7071"),
            ("SLUICE_REGISTRY_PORT_7071_TCP", "tcp://10.96.1.1:7071"),
            ("SLUICE_REGISTRY_PORT_7071_TCP_PROTO", "tcp"),
            ("SLUICE_REGISTRY_PORT_7071_TCP_PORT", "7071"),
            ("SLUICE_REGISTRY_PORT_7071_TCP_ADDR", "10.96.1.1"),
            ("SLUICE_SERVICE_HOST", "10.96.1.1"),
            ("SLUICE_PORT", "tcp://10.96.1.1:7071"),
        ];
        read(FILE, &links, &[]).unwrap();
        for (name, value) in [
            ("SLUICE_PORT", "7071"),
            ("SLUICE_PORT_80", "x"),
            ("SLUICE_HOST", "10.96.1.1"),
            ("SLUICE_DISPATCHER__SERVICE_PORT", "1"),
            ("SLUICE_DISPATCHER__PORT_1_TCP", "1"),
        ] {
            assert!(refusal(FILE, &[(name, value)], &[]).contains("unknown field"), "{name}");
        }
    }

    #[test]
    fn another_programs_setting_is_passed_over_and_no_more_than_that() {
        read(FILE, &[("SLUICE_DATA", "/var/lib/sluice"), ("SLUICE_CI_CACHE", "/c")], &[]).unwrap();
        assert!(refusal(FILE, &[("SLUICE_DATABASE", "x")], &[]).contains("unknown field `database`"));
    }

    #[test]
    fn a_file_that_was_asked_for_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        let error = load::<Settings>(Some(&folder.path().join("none.toml")), "SLUICE_", &[]).unwrap_err();
        assert!(matches!(error, ConfigError::File { .. }), "{error}");
    }

    #[test]
    fn a_debug_print_of_the_sources_shows_keys_only() {
        let print = format!("{:?}", Texts(vec![("token".to_owned(), "s3cret".to_owned())]));
        assert_eq!(print, r#"["token"]"#);
    }
}
