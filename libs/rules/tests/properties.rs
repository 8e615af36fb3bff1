//! Whatever a placeholder's value is, it stays where it was put.

#![allow(clippy::unwrap_used, reason = "a test, its helpers included, fails by panicking")]

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::{prop_assert, prop_assert_eq};
use sluice_rules::{
    Action, BodyTemplate, Context, EventView, Json, Method, Missing, Records, RenderedRequest,
    RequestTemplate, Scope, Setting, join_url,
};
use url::Url;

/// Text that likes to break out: separators, dots, quotes, controls and their encodings, and anything else.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            ".",
            "..",
            "/",
            "//",
            "\\",
            "?",
            "#",
            "&",
            "=",
            "@",
            ":",
            "%",
            "%2e",
            ";",
            "%3b",
            "..;v=1/",
            "%2F",
            "%5c",
            "%00",
            "%252e",
            "\"",
            "\\\"",
            "\\u0022",
            "\",\"x\":\"",
            "}",
            "]",
            "{{",
            "}}",
            "{%",
            "\r\n",
            "\t",
            "\0",
            "\u{2028}",
            "\u{202e}",
            "http://",
            "evil.net",
            ":80",
            "xn--",
            "．",
            "é",
            "😀",
            " ",
            "null",
            "1e9",
            "-",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Any JSON value, its text hostile.
fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        4 => hostile().prop_map(Json::from),
        1 => any::<i64>().prop_map(Json::from),
        1 => any::<bool>().prop_map(Json::from),
        1 => Just(Json::Null),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
            proptest::collection::vec((hostile(), inner), 0..4).prop_map(Json::object),
        ]
    })
}

fn render(request: &RequestTemplate, values: [&Json; 2]) -> Option<RenderedRequest> {
    let scope = Scope::Object("deal".to_owned());
    let compiled = request.compile(Setting { scope: &scope, missing: Missing::Error }, "request").unwrap();
    let records = Records::new(EventView {
        object: "deal".to_owned(),
        action: Action::Added,
        current: Some(Json::object([("a", values[0].clone()), ("b", values[1].clone())])),
        previous: None,
        previous_partial: false,
        event: Json::Null,
    });
    compiled.render(&Context::new(&records, &Json::Null, &Json::Null)).ok()
}

fn request(path: Option<&str>, query: &[(&str, &str)], body: BodyTemplate) -> RequestTemplate {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    RequestTemplate {
        method: Method::Post,
        path: path.map(str::to_owned),
        query: query.iter().map(owned).collect(),
        headers: vec![("X-Value".to_owned(), "{{ deal.a }}".to_owned())],
        body,
    }
}

/// What a text is once a receiver has decoded it.
fn decoded(text: &str) -> String {
    let query = format!("v={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

/// A value as templates show it.
fn shown(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether there is anything in the value for which a request may be rejected at all.
fn refusable(value: &Json) -> bool {
    let shown = shown(value);
    shown.is_empty() || shown.contains(['.', '%', '\\']) || shown.chars().any(char::is_control)
}

/// The shape of a JSON value: everything but the values of its leaves.
fn shape(json: &Json) -> String {
    match json {
        Json::List(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(",")),
        Json::Object(object) => {
            let members = object.iter().map(|(name, value)| format!("{name:?}:{}", shape(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Json::String(_) => "s".to_owned(),
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_never_change_the_url_around_them(a in value(), b in value()) {
        let template = request(
            Some("deals/{{ deal.a }}/x-{{ deal.b }}"),
            &[("q", "{{ deal.b }}"), ("r", "<{{ deal.a }}>")],
            BodyTemplate::None,
        );
        let Some(rendered) = render(&template, [&a, &b]) else {
            prop_assert!(refusable(&a) || refusable(&b));
            return Ok(());
        };
        for (base, own) in [
            ("https://hooks.example.net:8443/in/", 2),
            ("http://127.0.0.1/", 1),
            ("https://[2001:db8::1]/a/b/", 3),
        ] {
            let base = Url::parse(base).unwrap();
            let joined = join_url(&base, &rendered.path_and_query_suffix).unwrap();
            prop_assert_eq!(joined.origin(), base.origin());
            prop_assert_eq!((joined.username(), joined.password(), joined.fragment()), ("", None, None));
            let segments: Vec<&str> = joined.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), own - 1 + 3);
            prop_assert_eq!(segments[own - 1], "deals");
            prop_assert_eq!(decoded(segments[own]), shown(&a));
            prop_assert_eq!(decoded(segments[own + 1]), format!("x-{}", shown(&b)));
            let pairs: Vec<(String, String)> =
                joined.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
            prop_assert_eq!(
                pairs,
                vec![("q".to_owned(), shown(&b)), ("r".to_owned(), format!("<{}>", shown(&a)))]
            );
        }
    }

    #[test]
    fn values_in_an_open_query_stay_one_value(a in value()) {
        let template = request(Some("{{ deal.a }}"), &[("q", "{{ deal.a }}")], BodyTemplate::None);
        let Some(rendered) = render(&template, [&a, &Json::Null]) else {
            prop_assert!(refusable(&a));
            return Ok(());
        };
        let base = Url::parse("https://hooks.example.net/in?k=1&id=").unwrap();
        let joined = join_url(&base, &rendered.path_and_query_suffix).unwrap();
        prop_assert_eq!(joined.origin(), base.origin());
        prop_assert_eq!(joined.path(), base.path());
        let values: Vec<String> = joined.query_pairs().map(|(_, value)| value.into_owned()).collect();
        prop_assert_eq!(values, vec!["1".to_owned(), shown(&a), shown(&a)]);
    }

    #[test]
    fn headers_are_one_line(a in value()) {
        let template = request(None, &[], BodyTemplate::None);
        let Some(rendered) = render(&template, [&a, &Json::Null]) else {
            prop_assert!(refusable(&a));
            return Ok(());
        };
        prop_assert_eq!(rendered.headers.len(), 1);
        prop_assert!(!rendered.headers[0].1.chars().any(char::is_control));
    }

    #[test]
    fn values_never_leave_their_json_string(a in hostile(), b in value()) {
        let body = BodyTemplate::Raw {
            content_type: "application/json".to_owned(),
            template: r#"{"s":"<{{ deal.a }}>","l":["{{ deal.b }}",{{ deal.b }}],"end":true}"#.to_owned(),
        };
        let mut template = request(None, &[], body);
        template.headers.clear();
        let rendered = render(&template, [&Json::from(a.clone()), &b]).unwrap();
        let parsed = Json::parse(&rendered.body).unwrap();
        let expected = Json::object([
            ("s", Json::from(format!("<{a}>"))),
            ("l", Json::List(vec![Json::from(shown(&b)), b.clone()])),
            ("end", Json::Bool(true)),
        ]);
        prop_assert_eq!(shape(&parsed), shape(&expected));
        prop_assert_eq!(&parsed, &expected);
        // A parser of another make sees the same structure.
        let theirs: serde_json::Value = serde_json::from_slice(&rendered.body).unwrap();
        prop_assert_eq!(theirs.as_object().map(serde_json::Map::len), Some(3));
        prop_assert_eq!(&theirs["s"], &serde_json::Value::from(format!("<{a}>")));
    }

    #[test]
    fn json_comes_back_as_it_was(json in value()) {
        prop_assert_eq!(&Json::parse(json.to_string().as_bytes()).unwrap(), &json);
        let stored = serde_json::to_string(&json).unwrap();
        prop_assert_eq!(serde_json::from_str::<Json>(&stored).unwrap(), json);
    }

    #[test]
    fn no_template_and_no_bytes_make_the_checkers_fall(source in hostile(), bytes in any::<Vec<u8>>()) {
        let mut template = request(Some("x"), &[], BodyTemplate::None);
        template.path = Some(format!("{{{{ {source}"));
        template.query = vec![(source.clone(), source.clone())];
        let scope = Scope::AnyObject;
        let _ = template.compile(Setting { scope: &scope, missing: Missing::Empty }, "request");
        let _ = Json::parse(&bytes);
        let _ = sluice_rules::path::Path::parse(&source);
    }
}
