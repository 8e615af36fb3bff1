//! Placeholders mean what they mean in minijinja, where both know them; and no sequence of tokens makes them fall.

#![allow(clippy::unwrap_used, reason = "a test, its helpers included, fails by panicking")]

use std::sync::LazyLock;

use minijinja::Environment;
use proptest::prelude::{BoxedStrategy, ProptestConfig, Strategy, prop_oneof, proptest};
use proptest::prop_assert;
use proptest::sample::select;
use sluice_rules::template::Template;
use sluice_rules::{Action, Context, EventView, Json, Missing, Records, Scope, Setting};

const RECORD: &str = r#"{"n":7,"h":2.5,"t":"ab Ab","e":"","l":["x","yy"],"o":{"k":3},"yes":true,"no":false}"#;

/// What our engine makes of the expression: `None` when it refuses it, now or with the event.
fn ours(expression: &str, missing: Missing) -> Option<String> {
    let scope = Scope::Object("deal".to_owned());
    let template =
        Template::compile(&format!("{{{{ {expression} }}}}"), Setting { scope: &scope, missing }).ok()?;
    let records = Records::new(EventView {
        object: "deal".to_owned(),
        action: Action::Added,
        current: Some(Json::parse(RECORD.as_bytes()).unwrap()),
        previous: None,
        previous_partial: false,
        event: Json::Null,
    });
    template.render(&Context::new(&records, &Json::Null, &Json::Null), 10_000).ok()
}

fn their_value(json: &serde_json::Value) -> minijinja::Value {
    use serde_json::Value;
    match json {
        Value::Null => ().into(),
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| number.as_f64().unwrap().into(), minijinja::Value::from)
        }
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(their_value).collect(),
        Value::Object(members) => minijinja::Value::from_pairs(
            members.iter().map(|(name, value)| (name.clone(), their_value(value))),
        ),
    }
}

fn theirs(expression: &str) -> Option<String> {
    static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
        let mut engine = Environment::new();
        engine.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        engine
    });
    let deal: serde_json::Map<String, serde_json::Value> = serde_json::from_str(RECORD).unwrap();
    let deal =
        minijinja::Value::from_pairs(deal.iter().map(|(name, value)| (name.clone(), their_value(value))));
    let root = minijinja::Value::from_pairs([("deal", deal)]);
    let value = ENGINE.compile_expression(expression).ok()?.eval(root).ok()?;
    // Booleans are shown as JSON has them here, and as Python has them there.
    Some(if value.kind() == minijinja::value::ValueKind::Bool {
        value.is_true().to_string()
    } else {
        value.to_string()
    })
}

/// Numbers, mostly without parentheses, so that it is seen which operator goes first.
fn number() -> BoxedStrategy<String> {
    let leaf = select(vec![
        "0",
        "1",
        "2",
        "7",
        "100",
        "2.5",
        "0.5",
        "deal.n",
        "deal.h",
        "deal.o.k",
        "deal.l|length",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 16, 3, |inner| {
        let operator = select(vec!["+", "-", "*", "/", "//", "%"]);
        prop_oneof![
            4 => (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
            1 => inner.clone().prop_map(|a| format!("-{a}")),
            1 => inner.clone().prop_map(|a| format!("({a})")),
            1 => inner.clone().prop_map(|a| format!("{a}|abs")),
            1 => inner.clone().prop_map(|a| format!("{a}|int")),
            1 => (inner.clone(), truth_of(inner.clone().boxed()), inner).prop_map(|(a, c, b)| format!("({a} if {c} else {b})")),
        ]
    }).boxed()
}

fn truth_of(number: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let compare = select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        select(vec![
            "true",
            "false",
            "deal.yes",
            "deal.no",
            "'b' in deal.t",
            "'x' not in deal.l",
            "deal.n is odd",
            "deal.n is not even",
            "deal.q is defined"
        ])
        .prop_map(str::to_owned),
        (number.clone(), compare, number).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not {a}")),
            (inner.clone(), select(vec!["and", "or"]), inner.clone())
                .prop_map(|(a, o, b)| format!("{a} {o} {b}")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
    .boxed()
}

fn text() -> BoxedStrategy<String> {
    let filter = select(vec![
        "upper",
        "lower",
        "trim",
        "title",
        "capitalize",
        "string",
        "replace('b', 'cc')",
        "default('d')",
        "d('', true)",
        "split|join('-')",
        "split('b')|first",
        "split('A')|last",
        "first",
        "last",
    ]);
    let leaf = prop_oneof![
        select(vec![
            "'a'",
            "\"\\n b\"",
            "deal.t",
            "deal.e",
            "deal.l[0]",
            "deal.l[-1]",
            "deal['t']",
            "deal.l|join('+')"
        ])
        .prop_map(str::to_owned),
        number(),
    ];
    leaf.prop_recursive(4, 12, 3, move |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} ~ {b}")),
            (inner.clone(), filter.clone()).prop_map(|(a, f)| format!("({a})|{f}")),
            (inner.clone(), filter.clone()).prop_map(|(a, f)| format!("{a}|{f}")),
            (inner.clone(), truth_of(number()), inner).prop_map(|(a, c, b)| format!("{a} if {c} else {b}")),
        ]
    })
    .boxed()
}

/// Any tokens in any order.
fn tokens() -> impl Strategy<Value = String> {
    let token = select(vec![
        "deal",
        "deal.n",
        "deal.t",
        "deal.l",
        "deal.o",
        "deal.q",
        "previous",
        "x",
        "n",
        "0",
        "1",
        "1.5",
        "99",
        "1e999",
        "0x1",
        "'a'",
        "\"b\"",
        "'",
        "\\",
        ".",
        ",",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
        "~",
        "+",
        "-",
        "*",
        "/",
        "//",
        "**",
        "%",
        "<",
        ">",
        "=",
        "==",
        "!=",
        "!",
        ":",
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "true",
        "none",
        "upper",
        "default",
        "join",
        "round",
        "replace",
        "split",
        "defined",
        "odd",
        "divisibleby",
        "é",
        "\0",
        "\u{a0}",
        "😀",
    ]);
    (proptest::collection::vec(token, 1..24), select(vec!["", " "]))
        .prop_map(|(tokens, between)| tokens.join(between))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_both_work_out_is_the_same(expression in prop_oneof![number(), truth_of(number()), text()]) {
        let (ours, theirs) = (ours(&expression, Missing::Error), theirs(&expression));
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            // A zero has no sign here. Where a text was made of one and cut, only the expression tells.
            let (ours, theirs) = (ours.replace("-0.0", "0.0"), theirs.replace("-0.0", "0.0"));
            let cut = expression.contains(['*', '/', '%']) && expression.contains('-') && expression.contains('|');
            prop_assert!(ours == theirs || (cut && ours.replace('0', "-") == theirs), "{ours} is not {theirs}: {expression}");
        }
    }

    #[test]
    fn no_tokens_make_the_engine_fall(expression in tokens()) {
        for missing in [Missing::Error, Missing::Empty] {
            let _ = ours(&expression, missing);
        }
        // What is read here is read there too, but for names in other letters, which field paths know.
        let scope = Scope::Object("deal".to_owned());
        let setting = Setting { scope: &scope, missing: Missing::Error };
        if expression.is_ascii() && Template::compile(&format!("{{{{ {expression} }}}}"), setting).is_ok() {
            let engine = Environment::new();
            let scanned = expression.split("}}").next().unwrap_or_default();
            prop_assert!(engine.compile_expression(scanned).is_ok(), "{}", expression);
        }
    }
}

#[test]
fn most_generated_expressions_are_worked_out_by_both() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let worked = (0..500).filter(|_| {
        let expression = text().new_tree(&mut runner).unwrap().current();
        ours(&expression, Missing::Error).is_some() && theirs(&expression).is_some()
    });
    let worked = worked.count();
    assert!(worked > 150, "only {worked} of 500");
}
