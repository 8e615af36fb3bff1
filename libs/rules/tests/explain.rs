//! What an explanation says is what the matcher decides; and the cases whose words people rely on.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test, its helpers included, fails by panicking")]

use proptest::prelude::{BoxedStrategy, Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::{prop_assert_eq, prop_compose};
use sluice_rules::{
    Action, Arity, Comparison, Condition, EventView, Explained, ExplainedComparison, Explanation, Json,
    MAX_SHOWN_BYTES, Operand, OperandType, Operator, Records, Scope, check,
};

const BIG: &str = "99999999999999999999999999999999999999";

/// Values that meet each other and the operands: equal in other spellings, of other types, missing.
fn value() -> impl Strategy<Value = Option<Json>> {
    let texts = [
        "null",
        "true",
        "false",
        "0",
        "1",
        "1.0",
        "2.50",
        BIG,
        r#""""#,
        r#""a""#,
        r#""A""#,
        r#""ab""#,
        r#""1""#,
        "[]",
        r#"["a",1]"#,
        r#"[1.0,null]"#,
        "{}",
        r#"{"x":1}"#,
    ];
    let parsed = texts.map(|text| Json::parse(text.as_bytes()).unwrap());
    prop_oneof![1 => Just(None), 6 => select(parsed.to_vec()).prop_map(Some)]
}

prop_compose! {
    fn record()(a in value(), b in value(), inner in value()) -> Json {
        let nested = inner.map(|inner| Json::object([("c", inner)]));
        Json::object([("a", a), ("b", b), ("o", nested)].into_iter().filter_map(|(name, value)| Some((name, value?))))
    }
}

fn records() -> impl Strategy<Value = Records> {
    let object = select(vec!["deal", "person"]);
    let action = select(vec![Action::Added, Action::Updated, Action::Deleted]);
    let previous = prop_oneof![4 => record().prop_map(Some), 1 => Just(None)];
    (object, action, record(), previous, any::<bool>()).prop_map(
        |(object, action, current, previous, previous_partial)| {
            Records::new(EventView {
                object: object.to_owned(),
                action,
                current: (action != Action::Deleted).then_some(current),
                previous,
                previous_partial,
                event: Json::object([("actor", Json::from("a"))]),
            })
        },
    )
}

fn operand(types: &'static [OperandType]) -> impl Strategy<Value = Operand> {
    let all = [
        (OperandType::Text, Operand::Text("a".to_owned())),
        (OperandType::Text, Operand::Text(String::new())),
        (OperandType::Text, Operand::Text("1".to_owned())),
        (OperandType::Decimal, Operand::Decimal("1".to_owned())),
        (OperandType::Decimal, Operand::Decimal("2.5".to_owned())),
        (OperandType::Boolean, Operand::Boolean(true)),
        (OperandType::Null, Operand::Null),
    ];
    let fit: Vec<Operand> =
        all.into_iter().filter(|(kind, _)| types.contains(kind)).map(|(_, operand)| operand).collect();
    select(fit)
}

fn comparison() -> BoxedStrategy<Condition> {
    let of = |operator: Operator| {
        let rule = operator.rule();
        let values = match (operator, rule.arity) {
            (Operator::Between, _) => {
                Just(["1", "2.5"].map(|bound| Operand::Decimal(bound.to_owned())).to_vec()).boxed()
            }
            (_, Arity::Exactly(0)) => Just(Vec::new()).boxed(),
            (_, Arity::Exactly(count)) => proptest::collection::vec(operand(rule.types), count).boxed(),
            (_, Arity::UpTo(_)) => proptest::collection::vec(operand(rule.types), 1..4).boxed(),
        };
        let paths: &[&str] = if rule.reads_previous {
            &["deal.a", "deal.b", "deal.o.c", "person.a", "deal"]
        } else {
            &[
                "deal.a",
                "deal.b",
                "deal.o.c",
                "person.a",
                "deal",
                "previous.a",
                "event.actor",
                "event.nothing",
            ]
        };
        (select(paths.to_vec()), values, any::<bool>()).prop_map(move |(path, values, ignore)| {
            let ignore_case = ignore && rule.compares_text;
            Condition::Comparison(Comparison { path: path.to_owned(), operator, values, ignore_case })
        })
    };
    select(Operator::ALL.to_vec()).prop_flat_map(of).boxed()
}

fn condition() -> impl Strategy<Value = Condition> {
    comparison().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Condition::Any),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

fn matches(condition: &Condition, records: &Records) -> bool {
    check(condition, &Scope::AnyObject, "condition").unwrap().matches(records)
}

/// Every condition of the tree, with its explanation; fails where the two differ in shape.
fn pairs<'a>(
    condition: &'a Condition,
    explained: &'a Explanation,
    out: &mut Vec<(&'a Condition, &'a Explanation)>,
) {
    out.push((condition, explained));
    match (condition, &explained.explained) {
        (Condition::All(conditions), Explained::All(parts))
        | (Condition::Any(conditions), Explained::Any(parts)) => {
            assert_eq!(conditions.len(), parts.len());
            conditions.iter().zip(parts).for_each(|(condition, part)| pairs(condition, part, out));
        }
        (Condition::Not(condition), Explained::Not(part)) => pairs(condition, part, out),
        (Condition::Comparison(written), Explained::Comparison(part)) => assert_eq!(*written, part.written),
        (condition, part) => panic!("{condition:?} explained as {part:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_explanation_says_of_every_part_what_the_matcher_decides(condition in condition(), records in records()) {
        let compiled = check(&condition, &Scope::AnyObject, "condition").unwrap();
        let explanation = compiled.explain(&records, "condition");
        prop_assert_eq!(explanation.holds, compiled.matches(&records));
        let mut all = Vec::new();
        pairs(&condition, &explanation, &mut all);
        for (condition, explanation) in all {
            prop_assert_eq!(explanation.holds, matches(condition, &records), "{}", &explanation.field);
        }
    }
}

/// An explanation as lines: path, outcome, and of comparisons the values and the grounds.
fn lines(explanation: &Explanation, out: &mut Vec<String>) {
    let Explanation { field, holds, explained } = explanation;
    let outcome = if *holds { "holds" } else { "fails" };
    match explained {
        Explained::All(parts) | Explained::Any(parts) => {
            out.push(format!("{field} {outcome}"));
            parts.iter().for_each(|part| lines(part, out));
        }
        Explained::Not(part) => {
            out.push(format!("{field} {outcome}"));
            lines(part, out);
        }
        Explained::Comparison(ExplainedComparison { written, now, before, verdict }) => {
            let shown = |value: &Option<sluice_rules::Shown>| {
                value.as_ref().map_or_else(|| "-".to_owned(), |value| value.text.clone())
            };
            let past = if written.operator.rule().reads_previous {
                format!(" was {}", shown(before))
            } else {
                String::new()
            };
            let element = verdict.element.map(|element| format!(" [{element}]")).unwrap_or_default();
            out.push(format!("{field} {outcome}: is {}{past}, {:?}{element}", shown(now), verdict.grounds));
        }
    }
}

fn updated(current: &str, previous: &str) -> Records {
    Records::new(EventView {
        object: "deal".to_owned(),
        action: Action::Updated,
        current: Some(Json::parse(current.as_bytes()).unwrap()),
        previous: Some(Json::parse(previous.as_bytes()).unwrap()),
        previous_partial: false,
        event: Json::Null,
    })
}

fn explained(condition: &str, records: &Records) -> Vec<String> {
    let condition: Condition = serde_json::from_str(condition).unwrap();
    let compiled = check(&condition, &Scope::AnyObject, "condition").unwrap();
    let mut out = Vec::new();
    lines(&compiled.explain(records, "condition"), &mut out);
    out
}

#[test]
fn nothing_is_hidden_behind_the_first_answer() {
    let condition = r#"{"all":[
        {"comparison":{"path":"deal.value","operator":"greater_than","values":[{"decimal":"1000"}]}},
        {"any":[
            {"comparison":{"path":"deal.tags","operator":"contains","values":[{"text":"VIP"}],"ignore_case":true}},
            {"not":{"comparison":{"path":"deal.owner.name","operator":"is","values":[{"text":"Ada"}]}}}]},
        {"comparison":{"path":"deal.stage","operator":"has_changed_to","values":[{"text":"won"}]}}]}"#;
    let records = updated(r#"{"value":999.90,"tags":["new","vip"],"stage":"won"}"#, r#"{"stage":"open"}"#);
    assert_eq!(
        explained(condition, &records),
        [
            "condition fails",
            "condition.all[0] fails: is 999.90, Values",
            "condition.all[1] holds",
            r#"condition.all[1].any[0] holds: is ["new","vip"], Values [1]"#,
            "condition.all[1].any[1] holds",
            "condition.all[1].any[1].not fails: is -, Missing",
            r#"condition.all[2] holds: is "won" was "open", Values"#,
        ]
    );
}

#[test]
fn every_comparison_says_why() {
    let records = updated(
        &format!(
            r#"{{"text":"5","number":5,"big":{BIG},"list":[1],"same":"x","moved":"b","new":1,"null":null}}"#
        ),
        r#"{"text":"5","number":5,"same":"x","moved":"a","gone":2}"#,
    );
    for (path, operator, values, line) in [
        ("deal.text", "is", r#"[{"decimal":"5"}]"#, r#"fails: is "5", WrongType"#),
        ("deal.number", "is", r#"[{"decimal":"5.00"}]"#, "holds: is 5, Values"),
        ("deal.number", "is_not", r#"[{"text":"5"}]"#, "holds: is 5, WrongType"),
        ("deal.nothing", "is_not", r#"[{"text":"5"}]"#, "holds: is -, Missing"),
        ("deal.nothing", "is_empty", "[]", "holds: is -, Missing"),
        ("deal.null", "is_empty", "[]", "holds: is null, Values"),
        ("deal.nothing", "is_not_empty", "[]", "fails: is -, Missing"),
        ("deal.big", "greater_than", r#"[{"decimal":"1"}]"#, &format!("fails: is {BIG}, NotComparable")),
        ("deal.big", "in", r#"[{"decimal":"1"},{"text":"x"}]"#, &format!("fails: is {BIG}, NotComparable")),
        ("deal.big", "is", r#"[{"text":"x"}]"#, &format!("fails: is {BIG}, WrongType")),
        ("deal.text", "greater_than", r#"[{"decimal":"1"}]"#, r#"fails: is "5", WrongType"#),
        ("deal.list", "starts_with", r#"[{"text":"1"}]"#, "fails: is [1], WrongType"),
        ("deal.list", "contains", r#"[{"text":"1"}]"#, "fails: is [1], Values"),
        ("deal.list", "contains", r#"[{"decimal":"1.0"}]"#, "holds: is [1], Values [0]"),
        ("deal.same", "has_changed", "[]", r#"fails: is "x" was "x", Unchanged"#),
        ("deal.nothing", "has_changed", "[]", "fails: is - was -, Unchanged"),
        ("deal.gone", "has_changed", "[]", "holds: is - was 2, Values"),
        ("deal.moved", "has_changed_to", r#"[{"text":"c"}]"#, r#"fails: is "b" was "a", Values"#),
        ("deal.gone", "has_changed_to", r#"[{"text":"c"}]"#, "fails: is - was 2, Missing"),
        ("deal.moved", "has_changed_from", r#"[{"text":"a"}]"#, r#"holds: is "b" was "a", Values"#),
        ("deal.new", "has_changed_from", r#"[{"text":"a"}]"#, "fails: is 1 was -, Missing"),
        ("person.same", "has_changed", "[]", "fails: is - was -, NoPast"),
        ("previous.moved", "is", r#"[{"text":"a"}]"#, r#"holds: is "a", Values"#),
    ] {
        let condition =
            format!(r#"{{"comparison":{{"path":"{path}","operator":"{operator}","values":{values}}}}}"#);
        assert_eq!(explained(&condition, &records), [format!("condition {line}")], "{path} {operator}");
    }
}

#[test]
fn a_new_record_has_no_past_and_the_condition_that_always_holds_has_no_parts() {
    let added = Records::new(EventView {
        object: "deal".to_owned(),
        action: Action::Added,
        current: Some(Json::object([("a", Json::from(1))])),
        previous: None,
        previous_partial: false,
        event: Json::Null,
    });
    let changed = r#"{"comparison":{"path":"deal.a","operator":"has_changed"}}"#;
    assert_eq!(explained(changed, &added), ["condition fails: is 1 was -, NoPast"]);
    assert_eq!(explained(r#"{"all":[]}"#, &added), ["condition holds"]);
}

#[test]
fn long_values_are_shown_cut() {
    let records = updated(&format!(r#"{{"a":"{}"}}"#, "é".repeat(100_000)), "{}");
    let condition: Condition =
        serde_json::from_str(r#"{"comparison":{"path":"deal.a","operator":"has_changed"}}"#).unwrap();
    let explanation = check(&condition, &Scope::AnyObject, "c").unwrap().explain(&records, "c");
    let Explained::Comparison(ExplainedComparison { now: Some(now), .. }) = explanation.explained else {
        panic!("{explanation:?}")
    };
    assert!(now.truncated && now.text.len() <= MAX_SHOWN_BYTES && now.text.len() > MAX_SHOWN_BYTES - 2);
}
