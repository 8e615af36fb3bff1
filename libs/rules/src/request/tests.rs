//! What a request comes to, and what is refused, over all its parts.

use super::*;
use crate::records::{Action, EventView, Records};
use crate::rejection::Reason;
use crate::scope::Scope;
use crate::template::Missing;

const RECORD: &str = r#"{"id":7,"title":"He said \"hi\"\n\\ ok","slug":"a/b?c#d","value":1.10,"empty":"",
    "dots":"..","encoded":"%2e%2e","back":"a\\b","line":"a\r\nX-Evil: 1","none":null,"tags":["x",1.50],
    "owner":{"name":"Ann Ö"},"key":"title","long":"LONG"}"#;

fn compile(request: &str, missing: Missing) -> Result<CompiledRequest, Violations> {
    let request: RequestTemplate = serde_json::from_str(request).unwrap();
    let scope = Scope::Object("deal".to_owned());
    request.compile(Setting { scope: &scope, missing }, "request")
}

fn render_as(request: &str, missing: Missing) -> Result<RenderedRequest, Rejection> {
    let records = Records::new(EventView {
        object: "deal".to_owned(),
        action: Action::Added,
        current: Some(Json::parse(RECORD.replace("LONG", &"a".repeat(2_000)).as_bytes()).unwrap()),
        previous: None,
        previous_partial: false,
        event: Json::object([("id", Json::from("e1"))]),
    });
    let account = Json::object([("id", Json::from("acme"))]);
    let automation = Json::object([("id", Json::from("au_1"))]);
    compile(request, missing).unwrap().render(&Context::new(&records, &account, &automation))
}

fn render(request: &str) -> Result<RenderedRequest, Rejection> {
    render_as(request, Missing::Error)
}

fn suffix(path: &str) -> Result<String, Reason> {
    let request = serde_json::json!({"method": "POST", "path": path}).to_string();
    render(&request).map(|rendered| rendered.path_and_query_suffix).map_err(|rejection| rejection.reason)
}

fn raw(content_type: &str, template: &str) -> Result<String, Reason> {
    let body = serde_json::json!({"raw": {"content_type": content_type, "template": template}});
    let request = serde_json::json!({"method": "POST", "body": body}).to_string();
    let rendered = render(&request).map_err(|rejection| rejection.reason)?;
    assert_eq!(rendered.content_type.as_deref(), Some(content_type));
    Ok(String::from_utf8(rendered.body).unwrap())
}

fn fields(request: &str) -> Vec<String> {
    let found = compile(request, Missing::Error).unwrap_err();
    found.into_vec().into_iter().map(|violation| violation.field).collect()
}

#[test]
fn a_value_is_one_path_segment_encoded_once() {
    for (path, expected) in [
        ("deals/{{ deal.id }}", "deals/7"),
        ("deals/{{ deal.slug }}/notes", "deals/a%2Fb%3Fc%23d/notes"),
        ("{{ deal.owner.name }}.json", "Ann%20%C3%96.json"),
        ("v1.{{ deal.id }}/", "v1.7/"),
        ("a b/%20/'", "a%20b/%20/%27"),
        ("{{ '50%25' }}", "50%2525"),
        ("", ""),
    ] {
        assert_eq!(suffix(path).as_deref(), Ok(expected), "{path}");
    }
}

#[test]
fn what_could_be_more_than_a_segment_is_rejected() {
    for (path, reason) in [
        ("deals/{{ deal.dots }}", Reason::DotSegment),
        ("deals/{{ deal.encoded }}/x", Reason::DotSegment),
        ("deals/.{{ '.' }}", Reason::DotSegment),
        ("deals/%2{{ 'e' }}", Reason::DotSegment),
        ("deals/{{ '../x' }}", Reason::DotSegment),
        ("deals/{{ deal.empty }}/x", Reason::EmptySegment),
        ("{{ deal.none }}", Reason::EmptySegment),
        ("deals/{{ deal.dots }};v=1/y", Reason::DotSegment),
        ("deals/{{ deal.dots }}%3Bv=1/y", Reason::DotSegment),
        ("deals/{{ deal.back }}", Reason::Backslash),
        ("deals/{{ deal.line }}", Reason::ControlCharacter),
    ] {
        if path.contains("%2{{") {
            let request = serde_json::json!({"method": "POST", "path": path}).to_string();
            assert_eq!(fields(&request), ["request.path"]);
        } else {
            assert_eq!(suffix(path), Err(reason), "{path}");
        }
    }
}

#[test]
fn path_text_that_can_never_be_right_is_refused_when_saved() {
    for path in [
        "/deals", "a//b", "../x", "a/./b", "a/%2e%2E", "a?b=c", "a#b", "a\\b", "a\nb", "50%", "%zz",
        "{{ x }}",
    ] {
        let request = serde_json::json!({"method": "POST", "path": path}).to_string();
        assert_eq!(fields(&request).first().map(String::as_str), Some("request.path"), "{path:?}");
    }
}

#[test]
fn a_value_is_one_query_value() {
    let request =
        r#"{"method":"GET","path":"find","query":[["q","{{ deal.slug }}&x=1"],["e m","{{ deal.empty }}"]]}"#;
    assert_eq!(render(request).unwrap().path_and_query_suffix, "find?q=a%2Fb%3Fc%23d%26x%3D1&e%20m=");
    let request = r#"{"method":"GET","query":[["a","{{ deal.line }}"]]}"#;
    let rejection = render(request).unwrap_err();
    assert_eq!(rejection.to_string(), "request.query[0].value: control characters are not allowed here");
}

#[test]
fn a_value_is_one_header_value() {
    let request = r#"{"method":"GET","headers":[["X-Owner"," {{ deal.owner.name }} "]]}"#;
    assert_eq!(render(request).unwrap().headers, [("X-Owner".to_owned(), "Ann Ö".to_owned())]);
    let request = r#"{"method":"GET","headers":[["X-A","1"],["X-Line","{{ deal.line }}"]]}"#;
    let rejection = render(request).unwrap_err();
    assert_eq!(
        (rejection.field.as_str(), rejection.reason),
        ("request.headers[1].value", Reason::ControlCharacter)
    );
    let request = r#"{"method":"GET","headers":[["X-Long","{{ deal.long }}{{ deal.long }}"]]}"#;
    assert_eq!(render(request).unwrap_err().reason, Reason::TooLarge { limit: MAX_HEADER_BYTES });
}

#[test]
fn a_value_cannot_leave_its_json_string() {
    let json = "application/json";
    assert_eq!(raw(json, r#"{"t":"<{{ deal.title }}>"}"#).unwrap(), r#"{"t":"<He said \"hi\"\n\\ ok>"}"#);
    assert_eq!(raw(json, r#"{"t":{{ deal.title }}}"#).unwrap(), r#"{"t":"He said \"hi\"\n\\ ok"}"#);
    assert_eq!(
        raw("application/ld+json; charset=utf-8", r#"[{{ deal.value }},{{ deal.tags }},{{ deal.none }}]"#)
            .unwrap(),
        r#"[1.10,["x",1.50],null]"#
    );
    assert_eq!(raw(json, r#"{"\"{{ deal.id }}\\":1}"#).unwrap(), r#"{"\"7\\":1}"#);
    assert_eq!(raw(json, r#"{"p1":0,"{{ deal.id }}":1,"p3":2}"#).unwrap(), r#"{"p1":0,"7":1,"p3":2}"#);
    assert!(matches!(raw(json, r#"{"{{ deal.key }}":1,"title":2}"#), Err(Reason::NotJson { .. })));
}

#[test]
fn json_that_can_never_be_right_is_refused_when_saved() {
    for template in [
        r#"{"a":"\{{ deal.id }}"}"#,
        r#"{"a":"{{ deal.id }}}"#,
        r#"{{{ deal.id }}:1}"#,
        r#"{"a":1{{ deal.id }}}"#,
        r#"{"a":}"#,
        "",
    ] {
        let body = serde_json::json!({"raw": {"content_type": "application/json", "template": template}});
        let request = serde_json::json!({"method": "POST", "body": body}).to_string();
        assert_eq!(fields(&request), ["request.body.raw.template"], "{template}");
    }
}

#[test]
fn other_text_stands_as_it_is() {
    assert_eq!(raw("text/plain; charset=utf-8", "<{{ deal.title }}>").unwrap(), "<He said \"hi\"\n\\ ok>");
}

#[test]
fn pairs_keep_their_types_in_json_and_are_text_in_a_form() {
    let pairs = r#"[["v",{"field":"deal.value"}],["tags",{"field":"deal.tags"}],["lit",{"literal":1.00}],
        ["t",{"text":"{{ deal.value }} & {{ deal.id }}"}],["n",{"field":"deal.none"}]]"#;
    let body = |encoding: &str| {
        let request = format!(
            r#"{{"method":"PUT","body":{{"key_value":{{"encoding":"{encoding}","pairs":{pairs}}}}}}}"#
        );
        let rendered = render(&request).unwrap();
        (rendered.content_type.unwrap(), String::from_utf8(rendered.body).unwrap())
    };
    assert_eq!(
        body("json"),
        (
            "application/json".to_owned(),
            r#"{"v":1.10,"tags":["x",1.50],"lit":1.00,"t":"1.10 & 7","n":null}"#.to_owned()
        )
    );
    assert_eq!(
        body("form"),
        (
            "application/x-www-form-urlencoded".to_owned(),
            "v=1.10&tags=%5B%22x%22%2C1.50%5D&lit=1.00&t=1.10+%26+7&n=".to_owned()
        )
    );
}

#[test]
fn a_missing_field_rejects_the_request_or_is_empty() {
    let request = r#"{"method":"POST","body":{"key_value":{"encoding":"json","pairs":[["a",{"field":"deal.nope"}],["b",{"text":"{{ deal.nope }}"}]]}}}"#;
    let rejection = render(request).unwrap_err();
    assert_eq!(rejection.field, "request.body.key_value.pairs[0].field");
    assert_eq!(rejection.reason, Reason::Missing { expression: "deal.nope".to_owned() });
    let rendered = render_as(request, Missing::Empty).unwrap();
    assert_eq!(rendered.body, br#"{"a":null,"b":""}"#);
}

#[test]
fn every_mistake_of_a_request_is_reported_at_once() {
    let request = r#"{"method":"GET","path":"/x","query":[["","{{ }}"]],
        "headers":[["Host","x"],["X-A","{% x %}"],["x-b","1"],["X-B","2"]],
        "body":{"key_value":{"encoding":"json","pairs":[["a",{"literal":1}],["a",{"field":"x..y"}],["b",{"text":"{{ q.x }}"}]]}}}"#;
    assert_eq!(
        fields(request),
        [
            "request.path",
            "request.query[0].name",
            "request.query[0].value",
            "request.headers[0].name",
            "request.headers[1].value",
            "request.headers[3].name",
            "request.body",
            "request.body.key_value.pairs[1].name",
            "request.body.key_value.pairs[1].field",
            "request.body.key_value.pairs[2].text",
        ]
    );
}

#[test]
fn sizes_are_bounded() {
    let query: Vec<(String, String)> = vec![(String::new(), "{{".to_owned()); 200_000];
    let request = serde_json::json!({"method": "GET", "query": query}).to_string();
    assert_eq!(fields(&request), ["request.query"]);
    let pairs: Vec<(String, serde_json::Value)> = (0..200)
        .map(|index| (format!("p{index}"), serde_json::json!({"text": "{{a}}".repeat(200)})))
        .collect();
    let body = serde_json::json!({"key_value": {"encoding": "form", "pairs": pairs}});
    let found = fields(&serde_json::json!({"method": "POST", "body": body}).to_string());
    assert_eq!(found.len(), 101, "the rest is only counted");
    let pairs = [
        ("a", serde_json::json!({"literal": "a".repeat(40_000)})),
        ("b", serde_json::json!({"text": "b".repeat(40_000)})),
    ];
    let body = serde_json::json!({"key_value": {"encoding": "json", "pairs": pairs}});
    let request = serde_json::json!({"method": "POST", "body": body}).to_string();
    assert_eq!(fields(&request), ["request.body.key_value.pairs[1]"]);
    let headers: Vec<(String, String)> = (0..21).map(|index| (format!("X-{index}"), String::new())).collect();
    let request = serde_json::json!({"method": "GET", "headers": headers}).to_string();
    assert_eq!(fields(&request), ["request.headers"]);
    let request = serde_json::json!({"method": "GET", "path": "a".repeat(2_049)}).to_string();
    assert_eq!(fields(&request), ["request.path"]);
    let large = "{{ deal.long }}".repeat(140);
    assert_eq!(raw("text/plain", &large), Err(Reason::TooLarge { limit: MAX_BODY_BYTES }));
    assert_eq!(
        raw("application/json", &format!("\"{large}\"")),
        Err(Reason::TooLarge { limit: MAX_BODY_BYTES })
    );
}

#[test]
fn the_stored_form_stays() {
    let stored = concat!(
        r#"{"method":"POST","path":"deals/{{ deal.id }}","query":[["a","b"]],"headers":[["X-A","b"]],"#,
        r#""body":{"key_value":{"encoding":"json","pairs":[["a",{"literal":{"x":1.10}}],["b",{"field":"deal.id"}],["#,
        r#""c",{"text":"x"}]]}}}"#
    );
    let request: RequestTemplate = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&request).unwrap(), stored);
    let request: RequestTemplate = serde_json::from_str(r#"{"method":"DELETE"}"#).unwrap();
    assert_eq!(serde_json::to_string(&request).unwrap(), r#"{"method":"DELETE","body":"none"}"#);
}
