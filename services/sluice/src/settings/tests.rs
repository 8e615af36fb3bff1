//! Settings as they are read and handed on.

use std::io::Write;

use super::*;

/// No variable of a test's environment begins so.
const NOTHING: &str = "SLUICE_UNIT_TEST_NOTHING_";

fn read(text: &str, flags: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let flags: Vec<_> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Settings::read(Some(file.path()), NOTHING, &flags)
}

fn sealed() -> Secret {
    sluice_registry::seal::MasterKeys::encode(1, &[7; 32])
}

#[test]
fn nothing_needs_to_be_configured() {
    let settings = read("", &[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:7090");
    assert_eq!(settings.dispatcher().egress.policy().unwrap(), Policy::default());
    assert!(settings.registry(sealed()).master_keys().is_ok());
    settings.dispatcher().check().unwrap();
    assert_eq!(settings.evaluator.broken_rule(), None);
}

#[test]
fn the_example_file_is_in_order_and_shows_the_defaults() {
    let example = include_str!("../../sluice.example.toml");
    let settings = read(example, &[]).unwrap();
    assert_eq!(settings.lines(), Settings::default().lines());
    // What is commented out is in order, too.
    let all: String =
        example.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
    let settings = read(&all, &[]).unwrap();
    assert_eq!(
        settings.egress.cluster_suffixes.as_deref(),
        Some(&["svc".to_owned(), "cluster.local".to_owned()][..])
    );
    assert_eq!(settings.auth.keys.len(), 1);
    settings.dispatcher().egress.policy().unwrap();
}

#[test]
fn flags_weigh_more_than_the_file() {
    let settings = read("dev = false\nlisten = \"[::1]:1\"", &[("dev", "true")]).unwrap();
    assert!(settings.dev);
    assert_eq!(settings.listen.to_string(), "[::1]:1");
}

#[test]
fn unknown_keys_are_refused_and_so_is_egress_in_the_wrong_place() {
    for (text, key) in [
        ("colour = 1", "colour"),
        ("[registry.egress]\nallow_http = true", "egress"),
        ("[dispatcher.retry]\nretrys = 1", "retrys"),
        ("[auth]\nisuer = \"x\"", "isuer"),
    ] {
        let refusal = read(text, &[]).unwrap_err().to_string();
        assert!(refusal.contains(&format!("unknown field `{key}`")), "{refusal}");
    }
}

#[test]
fn development_opens_this_machine_and_http_to_both_judges() {
    let settings = read("dev = true", &[]).unwrap();
    let development = Policy::development();
    assert_eq!(settings.dispatcher().egress.policy().unwrap(), development);
    assert_eq!(settings.registry(sealed()).policy().unwrap(), development);
}

#[test]
fn a_development_secret_is_taken_in_development_only() {
    let folder = tempfile::tempdir().unwrap();
    let own = DataDirectory::open(folder.path()).unwrap().signing_key().unwrap().key;
    let text = format!("auth.development_secret = \"{}\"", "s3cret".repeat(6));
    assert!(read(&text, &[("dev", "true")]).unwrap().verifier(&own).is_ok());
    let refusal = read(&text, &[]).unwrap().verifier(&own).unwrap_err().to_string();
    assert!(refusal.contains("--dev") && !refusal.contains("s3cret"), "{refusal}");
}

#[test]
fn one_postgres_url_becomes_a_schema_for_each_service() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDirectory::open(folder.path()).unwrap();
    let settings = read("database = \"postgres://u:s3cret@db/sluice?sslmode=require\"", &[]).unwrap();
    let urls = settings.database_urls(&data).unwrap();
    assert_eq!(urls.evaluator.to_string(), "postgres://db:5432/sluice?schema=evaluator");
    assert_ne!(urls.registry, urls.dispatcher);
    for wrong in ["postgres://db/sluice?schema=x", "sqlite:a.db", "mysql://db/x"] {
        let settings = read(&format!("database = \"{wrong}\""), &[]).unwrap();
        let refusal = format!("{:#}", settings.database_urls(&data).unwrap_err());
        assert!(refusal.starts_with("database: must "), "{refusal}");
    }
}

#[test]
fn what_is_printed_shows_no_secret() {
    let text = "database = \"postgres://u:s3cret@db/sluice\"\ndev = true\nauth.development_secret = \"s3cret\"\n\
                registry.sealing.keys = \"1:s3cret\"";
    let printed = read(text, &[]).unwrap().lines().join("\n");
    assert!(!printed.contains("s3cret"), "{printed}");
    assert!(printed.contains("postgres://db:5432/sluice"), "{printed}");
}

#[test]
fn where_it_listens_is_never_a_target_even_in_an_allowed_network() {
    let text =
        "listen = \"10.1.2.3:7090\"\negress.allow = [\"10.0.0.0/8\"]\negress.own_addresses = [\"10.9.9.9\"]";
    let settings = read(text, &[]).unwrap();
    for policy in
        [settings.dispatcher().egress.policy().unwrap(), settings.registry(sealed()).policy().unwrap()]
    {
        let refused =
            |address: &str| sluice_egress::decide_address(address.parse().unwrap(), &policy).is_err();
        assert!(refused("10.1.2.3") && refused("10.9.9.9") && !refused("10.1.2.4"));
    }
}
