//! Settings of a test, `key=value`, in words that hold in every shape.
//!
//! `registry.…`, `evaluator.…` and `dispatcher.…` are those services' own; `egress.…` is for both that judge targets;
//! `telemetry.…` and `origins` are for every process; `process.…` is for each of the three binaries, and nothing in one process.

use std::collections::BTreeMap;

use crate::service::Service;

const PLANS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plans.toml");

/// What every test has: plans of its own, receivers on loopback, four retries that come within milliseconds.
pub(crate) fn common() -> impl Iterator<Item = String> {
    let plans = format!("registry.plans_file={PLANS_FILE}");
    let others = [
        "egress.allow=[\"127.0.0.0/8\"]",
        "egress.allow_http=true",
        "dispatcher.retry.retries=4",
        "dispatcher.retry.first=50ms",
        "dispatcher.retry.factor=1.5",
        "dispatcher.retry.longest=200ms",
    ];
    others.into_iter().map(str::to_owned).chain([plans])
}

/// The setting as this service's binary has it; `None` when it is another's.
pub(crate) fn of(service: Service, setting: &str) -> Option<String> {
    let (section, rest) = parts(setting);
    match section {
        "egress" => (service != Service::Evaluator).then(|| format!("{}.{setting}", service.name())),
        "telemetry" => Some(format!("process.log.{rest}")),
        "process" => Some(setting.to_owned()),
        "origins" => Some(format!("process.{setting}")),
        of_service => (of_service == service.name()).then(|| setting.to_owned()),
    }
}

/// The settings as the file of `sluice up` has them; a later one replaces an earlier one.
pub(crate) fn as_toml(settings: &[String]) -> String {
    let own = settings.iter().filter(|setting| parts(setting).0 != "process");
    let pairs: BTreeMap<&str, &str> = own.filter_map(|setting| setting.split_once('=')).collect();
    let line = |(key, value): (&str, &str)| {
        let quoted = || toml::Value::String(value.to_owned()).to_string();
        // What is no number, list or the like is text.
        let value =
            if format!("x = {value}").parse::<toml::Table>().is_ok() { value.to_owned() } else { quoted() };
        format!("{key} = {value}\n")
    };
    pairs.into_iter().map(line).collect()
}

/// The URL with another host and port in it.
pub(crate) fn with_place(url: &str, place: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (server, path) = rest.split_once('/').expect("a URL with a path");
    let account = server.rsplit_once('@').map_or(String::new(), |(account, _)| format!("{account}@"));
    format!("{scheme}://{account}{place}/{path}")
}

/// Host and port of a URL.
pub(crate) fn place_of(url: &str) -> String {
    let (_, rest) = url.split_once("://").expect("a URL");
    let server = rest.split('/').next().unwrap_or(rest);
    let place = server.rsplit_once('@').map_or(server, |(_, place)| place);
    if place.contains(':') { place.to_owned() } else { format!("{place}:5432") }
}

fn parts(setting: &str) -> (&str, &str) {
    let key = setting.split('=').next().unwrap_or(setting);
    let section = key.split('.').next().unwrap_or(key);
    (section, setting[section.len()..].trim_start_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_goes_to_whom_it_concerns() {
        let of_each = |setting: &str| Service::ALL.map(|service| of(service, setting).unwrap_or_default());
        assert_eq!(
            of_each("egress.allow=[]"),
            ["registry.egress.allow=[]", "", "dispatcher.egress.allow=[]"]
        );
        assert_eq!(of_each("evaluator.catch_up=1s"), ["", "evaluator.catch_up=1s", ""]);
        assert_eq!(of_each("telemetry.filter=warn"), ["process.log.filter=warn"; 3]);
        assert_eq!(of_each("origins=[]"), ["process.origins=[]"; 3]);
    }

    #[test]
    fn a_file_has_each_setting_once_with_its_type() {
        let settings =
            ["a.b=1s", "a.c=1.5", "d=[\"x\"]", "a.b=2s", "process.x=1", "e=true"].map(str::to_owned);
        assert_eq!(as_toml(&settings), "a.b = \"2s\"\na.c = 1.5\nd = [\"x\"]\ne = true\n");
    }

    #[test]
    fn only_the_place_of_a_url_is_replaced() {
        assert_eq!(
            with_place("postgres://u:p@h:1/x?sslmode=disable", "i:2"),
            "postgres://u:p@i:2/x?sslmode=disable"
        );
        assert_eq!(with_place("postgres://h/x", "i:2"), "postgres://i:2/x");
        assert_eq!(["postgres://u:p@h:1/x", "postgres://h/x"].map(place_of), ["h:1", "h:5432"]);
    }
}
