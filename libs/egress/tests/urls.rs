//! The URL decision against tables: `cases/http-allowed.txt` (a case is added without code) and what the policy
//! changes.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure is the test's")]

use sluice_egress::{Policy, Resolutions, Verdict, check_line};

const CASES: &str = include_str!("cases/http-allowed.txt");

fn cases() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    CASES.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let mut parts = line.splitn(3, ' ');
        (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
    })
}

fn http_allowed() -> Policy {
    Policy { allow_http: true, ..Policy::default() }
}

#[test]
fn every_case_has_its_verdict_and_reason() {
    let wrong: Vec<String> = cases()
        .filter_map(|(verdict, reason, url)| {
            let found = check_line(url, &http_allowed(), &Resolutions::default());
            let agrees = found.verdict.as_str() == verdict && found.reason == reason;
            (!agrees).then(|| format!("{url}: want {verdict} {reason}, have {found}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(cases().count() >= 500);
}

#[test]
fn without_http_allowed_every_http_url_is_refused_and_https_is_judged_the_same() {
    for (verdict, reason, url) in cases() {
        let found = check_line(url, &Policy::default(), &Resolutions::default());
        assert!(!url.starts_with("http:") || found.verdict == Verdict::Refuse, "{url}: {found}");
        if url.starts_with("https:") {
            assert_eq!((found.verdict.as_str(), found.reason), (verdict, reason), "{url}");
        }
    }
    let found = check_line("http://8.8.8.8/", &Policy::default(), &Resolutions::default());
    assert_eq!(found.reason, "http-not-allowed");
}

#[test]
fn what_a_parser_would_drop_is_refused() {
    for url in [
        " https://example.com/",
        "https://example.com/ ",
        "\thttps://example.com/",
        "https://exam\tple.com/",
        "https://example.com/a\nb",
        "https://example.com/a\rb",
        "ht\ntps://example.com/",
        "https://example.com/\0",
        "\u{1}https://example.com/",
        "https://127.0.0.1\t.example.com/",
    ] {
        let found = check_line(url, &http_allowed(), &Resolutions::default());
        assert_eq!((found.verdict, found.reason), (Verdict::Refuse, "forbidden-character"), "{url:?}");
    }
}

#[test]
fn a_url_ends_at_2048_bytes_as_written_and_as_parsed() {
    let sized =
        |length: usize| format!("https://example.com/{}", "a".repeat(length - "https://example.com/".len()));
    let none = Resolutions::default();
    assert_eq!(check_line(&sized(2048), &http_allowed(), &none).verdict, Verdict::NeedsDns);
    assert_eq!(check_line(&sized(2049), &http_allowed(), &none).reason, "too-long");
    let grows = format!("https://example.com/{}", "ü".repeat(600));
    assert_eq!(check_line(&grows, &http_allowed(), &none).reason, "too-long");
}

#[test]
fn development_opens_loopback_and_localhost_and_nothing_else() {
    let none = Resolutions::default();
    for url in [
        "http://127.0.0.1:8080/",
        "http://127.1.2.3/",
        "http://2130706433/",
        "http://[::1]:3000/",
        "http://localhost:3000/",
        "https://api.localhost/",
    ] {
        let found = check_line(url, &Policy::development(), &none);
        assert_eq!(found.verdict, Verdict::Allow, "{url}: {found}");
    }
    for url in [
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::127.0.0.1]/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://printer.local/",
        "http://127.0.0.1:6000/",
    ] {
        let found = check_line(url, &Policy::development(), &none);
        assert_eq!(found.verdict, Verdict::Refuse, "{url}: {found}");
    }
}

#[test]
fn wildcard_dns_names_are_caught_by_their_addresses() {
    let mut given = Resolutions::default();
    for entry in [
        "127.0.0.1.nip.io=127.0.0.1",
        "localtest.me=::1,127.0.0.1",
        "rebind.example.net=93.184.215.14,169.254.169.254",
        "mapped.example.net=::ffff:93.184.215.14",
        "nat64.example.net=64:ff9b::a00:1",
        "good.example.net=93.184.215.14,2606:4700::1111,64:ff9b::5db8:d70e",
    ] {
        given.add(entry).unwrap();
    }
    for name in
        ["127.0.0.1.nip.io", "localtest.me", "rebind.example.net", "mapped.example.net", "nat64.example.net"]
    {
        let found = check_line(&format!("https://{name}/"), &Policy::default(), &given);
        assert_eq!((found.verdict, found.reason), (Verdict::Refuse, "forbidden-address"), "{name}");
    }
    assert_eq!(check_line("https://good.example.net/", &Policy::default(), &given).verdict, Verdict::Allow);
}
