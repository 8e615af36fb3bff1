//! No template takes much stack, time or memory, neither when it is saved nor when it is rendered.
//!
//! One test in a process of its own, since it looks at the process's own peak of memory; each case runs on a small
//! stack, smaller than any of a server's, where an overflow would end the process.

#![allow(clippy::unwrap_used, reason = "a test, its helpers included, fails by panicking")]

use std::time::Duration;

use sluice_rules::{
    Action, BodyTemplate, Context, Encoding, EventView, Json, Method, Missing, PairValue, Records,
    RequestTemplate, Scope, Setting,
};

const STACK: usize = 512 * 1024;
const MEMORY: u64 = 16 * 1024 * 1024;
/// Of the processor, for saving and rendering together. A build with debug assertions is about ten times slower.
const TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 50 });

/// The placeholders, each also repeated as often as a template allows.
fn expressions() -> Vec<(&'static str, String)> {
    let repeated = |text: &str, count: usize| text.repeat(count);
    let parentheses =
        |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    vec![
        ("many minus", format!("{}deal.n", repeated("-", 65_000))),
        ("some minus", format!("{}deal.n", repeated("- ", 15))),
        ("many not", format!("{}deal.n", repeated("not ", 16_000))),
        ("many filters", format!("deal.n{}", repeated("|upper", 10_000))),
        ("as many filters as fit", format!("deal.long{}", repeated("|upper", 62))),
        ("many unknown filters", format!("deal.n{}", repeated("|x", 60))),
        ("many unknown roots", format!("x{}", repeated("~x", 60))),
        ("many parentheses", parentheses("(", ")", 30_000)),
        ("as many parentheses as fit", parentheses("(", ")", 15)),
        ("many brackets", parentheses("[", "]", 30_000)),
        ("many braces", parentheses("{1:", "}", 15_000)),
        ("open brackets", repeated("[", 60_000)),
        ("nested arguments", parentheses("1|d(", ")", 10_000)),
        ("many else", format!("{}1", repeated("1 if 0 else ", 5_000))),
        ("many if", format!("1{}", repeated(" if 1", 10_000))),
        ("many members", format!("deal{}", repeated(".a", 30_000))),
        ("as many members as fit", format!("(deal){}", repeated(".a", 61))),
        ("many sums", format!("1{}", repeated("+1", 30_000))),
        ("as many sums as fit", format!("1{}", repeated("+1", 63))),
        ("many or", format!("0{}", repeated(" or 0", 10_000))),
        ("long text", format!("'{}'", repeated("a", 60_000))),
        ("long number", repeated("9", 60_000)),
        ("long name", repeated("a", 60_000)),
        ("a list repeated", "[0] * 100000000".to_owned()),
        ("lists repeated", "[[0]*100000000]*100000000 == [[0]*100000000]*100000000".to_owned()),
        ("a record repeated", format!("[{}]", repeated("deal,", 60))),
        ("a list of the record repeated", "deal.list * 100000000".to_owned()),
        ("lists joined", format!("deal.list{}", repeated(" + deal.list", 30))),
        ("a text repeated", "'aaaaaaaaaa' * 100000000".to_owned()),
        ("a power", "10 ** 9999".to_owned()),
        ("a power of powers", "9 ** 9 ** 9 ** 9".to_owned()),
        ("a range", "range(1000000000)".to_owned()),
        ("batches", "deal.list | batch(1000000000, 0) | list".to_owned()),
        ("slices", "deal.list | slice(1000000000) | list".to_owned()),
        ("a mapping with a default", "deal.list | map(attribute='x', default=deal) | list".to_owned()),
        ("a reversed slice", "deal.list[::-1]".to_owned()),
        ("an indent", "deal.long | indent(1000000000)".to_owned()),
        ("a format", "'%1000000000d' | format(1)".to_owned()),
        ("text growing by ~", format!("deal.long{}", repeated(" ~ deal.long", 60))),
        ("records joined as text", format!("deal{}", repeated(" ~ deal", 60))),
        ("records compared", format!("deal == previous{}", repeated(" or deal == previous", 20))),
        (
            "long texts compared",
            format!("deal.long < deal.long2{}", repeated(" or deal.long < deal.long2", 10)),
        ),
        ("a long number asked", format!("deal.zeros{}", repeated(" or deal.zeros", 60))),
        ("text growing by replace", format!("'a'{}", repeated("|replace('a','aaaaaaaaaaaaaaaaaaaaa')", 15))),
        ("long text for each character", "deal.long | replace('a', deal.long)".to_owned()),
        ("long text between items", "deal.list | join(deal.long)".to_owned()),
        ("text split and joined", format!("deal.long{}", repeated("|split('a')|join('aa')", 12))),
        ("text split to texts", "deal.long | split('a') | json | split('\"') | json | length".to_owned()),
        ("text in upper case growing", format!("deal.sharp{}", repeated("|upper|lower", 30))),
        ("json of json of json", format!("deal.quotes{}", repeated("|json", 60))),
        ("the record's json over and over", "deal|json|length".to_owned()),
        ("items looked for", format!("'x' in deal.list{}", repeated(" or 'x' in deal.list", 20))),
        ("trailing sums", format!("{}deal.n", repeated("1e308 * ", 60))),
        ("numbers growing", format!("170141183460469231731687303715884105727{}", repeated(" * 1e300", 60))),
        ("quotes", format!("deal{}", repeated("['a']", 30))),
        ("members of a wide record", "deal.wide.k27999".to_owned()),
        ("members of a wide record, computed", format!("deal.wide.k1{}", repeated("~deal.wide.k27999", 20))),
    ]
}

fn bodies(expression: &str) -> Vec<BodyTemplate> {
    let raw = |content_type: &str, template: String| BodyTemplate::Raw {
        content_type: content_type.to_owned(),
        template,
    };
    let placeholder = format!("{{{{ {expression} }}}}");
    let most = (60_000 / placeholder.len()).clamp(1, 200);
    let pairs = (0..200).map(|index| (format!("p{index}"), PairValue::Text(placeholder.clone()))).collect();
    vec![
        raw("text/plain", placeholder.clone()),
        raw("text/plain", placeholder.repeat(most)),
        raw("application/json", format!("[0{}]", format!(",{placeholder}").repeat(most))),
        BodyTemplate::KeyValue { encoding: Encoding::Json, pairs },
    ]
}

/// Records of the size that an event may have, in several shapes.
fn records() -> Vec<Records> {
    let long = |count: usize| "a".repeat(count);
    let wide = (0..28_000).map(|index| (format!("k{index}"), Json::from(1)));
    let number = |text: String| Json::parse(text.as_bytes()).unwrap();
    let shapes = vec![
        Json::object([
            ("n", Json::from(1)),
            ("long", Json::from(long(120_000))),
            ("long2", Json::from(long(120_000))),
        ]),
        Json::object([
            ("n", Json::from(1)),
            ("list", Json::List(vec![Json::List(Vec::new()); 80_000])),
            ("long", Json::from(long(9_000))),
        ]),
        Json::object([("n", Json::from(1)), ("list", Json::List(vec![Json::from(""); 80_000]))]),
        Json::object([("n", Json::from(1)), ("wide", Json::object(wide))]),
        Json::object([("n", Json::from(1)), ("zeros", number(format!("0.{}", "0".repeat(250_000))))]),
        Json::object([("n", Json::from(1)), ("sharp", Json::from("ΐ".repeat(120_000)))]),
        Json::object([("n", Json::from(1)), ("quotes", Json::from("\"\u{1}".repeat(40_000)))]),
        (0..31).fold(Json::from(long(200_000)), |inner, _| Json::object([("a", inner)])),
    ];
    let view = |record: Json| EventView {
        object: "deal".to_owned(),
        action: Action::Updated,
        current: Some(record),
        previous: None,
        previous_partial: true,
        event: Json::object([("id", Json::from("e1"))]),
    };
    shapes.into_iter().map(|record| Records::new(view(record))).collect()
}

/// The processor's time that this thread has had.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// The most memory that the process has had so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    1024 * line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
}

fn run(body: &BodyTemplate, records: &[Records]) -> Duration {
    let request = RequestTemplate {
        method: Method::Post,
        path: None,
        query: vec![],
        headers: vec![],
        body: body.clone(),
    };
    let mut slowest = Duration::ZERO;
    for missing in [Missing::Error, Missing::Empty] {
        let start = processor_time();
        let scope = Scope::Object("deal".to_owned());
        let compiled = request.compile(Setting { scope: &scope, missing }, "request");
        let saved = processor_time() - start;
        slowest = slowest.max(saved);
        let Ok(compiled) = compiled else { continue };
        for records in records {
            let start = processor_time();
            let rendered = compiled.render(&Context::new(records, &Json::Null, &Json::Null));
            slowest = slowest.max(saved + (processor_time() - start));
            if let Ok(rendered) = rendered {
                assert!(rendered.body.len() <= sluice_rules::request::MAX_BODY_BYTES);
            }
        }
    }
    slowest
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn nothing_takes_much() {
    no_template_takes_much();
    no_request_takes_much_to_be_refused();
}

fn no_template_takes_much() {
    let records = records();
    let cases: Vec<(&str, Vec<BodyTemplate>)> =
        expressions().into_iter().map(|(name, expression)| (name, bodies(&expression))).collect();
    let before = peak();
    for (name, bodies) in cases {
        for (index, body) in bodies.iter().enumerate() {
            let took = std::thread::scope(|scope| {
                let thread = std::thread::Builder::new().stack_size(STACK);
                thread.spawn_scoped(scope, || run(body, &records)).unwrap().join().unwrap()
            });
            assert!(took < TIME, "{name}, body {index}: {took:?}");
            assert!(peak() - before < MEMORY, "{name}, body {index}: {} bytes", peak() - before);
        }
    }
}

/// Every part of a request that has a list or a text, each far beyond its limit.
fn overlarge() -> Vec<(&'static str, RequestTemplate)> {
    let text = |pattern: &str, bytes: usize| pattern.repeat(bytes / pattern.len());
    let plain = RequestTemplate {
        method: Method::Post,
        path: None,
        query: vec![],
        headers: vec![],
        body: BodyTemplate::None,
    };
    let mut requests = Vec::new();
    for pattern in ["{{ x }}", "{{", "a/", "%25", "../", "\0", "é", "{{ deal.n | x }}"] {
        let long = text(pattern, 4_000_000);
        let short = text(pattern, 2_048);
        let pair = |value: &str| (value.to_owned(), value.to_owned());
        let many = |count: usize| vec![pair(&short); count];
        requests.push(("long path", RequestTemplate { path: Some(long.clone()), ..plain.clone() }));
        requests.push(("path", RequestTemplate { path: Some(short.clone()), ..plain.clone() }));
        requests.push(("long query", RequestTemplate { query: vec![pair(&long)], ..plain.clone() }));
        requests.push(("query", RequestTemplate { query: many(50), ..plain.clone() }));
        requests.push(("many parameters", RequestTemplate { query: many(2_000), ..plain.clone() }));
        requests.push(("long headers", RequestTemplate { headers: vec![pair(&long)], ..plain.clone() }));
        requests.push(("headers", RequestTemplate { headers: many(20), ..plain.clone() }));
        requests.push(("many headers", RequestTemplate { headers: many(2_000), ..plain.clone() }));
        let raw = BodyTemplate::Raw { content_type: long.clone(), template: long.clone() };
        requests.push(("long body", RequestTemplate { body: raw, ..plain.clone() }));
        let pairs = (0..2_000).map(|_| (short.clone(), PairValue::Field(short.clone()))).collect();
        let body = BodyTemplate::KeyValue { encoding: Encoding::Form, pairs };
        requests.push(("many pairs", RequestTemplate { body, ..plain.clone() }));
        let pairs = (0..200).map(|_| (short.clone(), PairValue::Text(short.clone()))).collect();
        let body = BodyTemplate::KeyValue { encoding: Encoding::Json, pairs };
        requests.push(("pairs", RequestTemplate { body, ..plain.clone() }));
    }
    requests
}

fn no_request_takes_much_to_be_refused() {
    let scope = Scope::Object("deal".to_owned());
    for (name, request) in overlarge() {
        let start = processor_time();
        let compiled = request.compile(Setting { scope: &scope, missing: Missing::Error }, "request");
        let took = processor_time() - start;
        assert!(took < TIME, "{name}: {took:?}");
        if let Err(found) = compiled {
            let told: usize =
                found.as_slice().iter().map(|one| one.field.len() + one.description.len()).sum();
            assert!(told < 100_000, "{name}: {told} bytes");
        }
    }
}
