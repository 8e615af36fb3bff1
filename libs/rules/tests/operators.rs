//! Every operator on every kind of field, from one table: the cells are the contract.
//!
//! Columns: the field holds the right value · another value of the right type · a value of the wrong type · is
//! absent · is null · is a list; the field has changed to what it holds from something else · has not changed.

#![allow(clippy::unwrap_used, reason = "a test, its helpers included, fails by panicking")]

use sluice_rules::{Action, Condition, EventView, Json, Operator, Records, Scope, check};

/// One row: operator, operands, a value that is right, another, one of the wrong type, and the cells in the order
/// of the columns: `+` holds, `-` does not.
struct Row(&'static str, &'static str, [&'static str; 3], &'static str);

const TABLE: &[Row] = &[
    Row("is", r#"[{"text":"1"}]"#, [r#""1""#, r#""2""#, "1"], "+----- ++"),
    Row("is", r#"[{"decimal":"1.0"}]"#, ["1", "1.01", r#""1""#], "+----- ++"),
    Row("is", r#"[{"boolean":true}]"#, ["true", "false", r#""true""#], "+----- ++"),
    Row("is", r#"["null"]"#, ["null", "0", r#""null""#], "+---+- ++"),
    Row("is_not", r#"[{"text":"1"}]"#, [r#""1""#, r#""2""#, "1"], "-+++++ --"),
    Row("is_not", r#"[{"decimal":"1"}]"#, ["1.00", "2", r#""1""#], "-+++++ --"),
    Row("is_not", r#"["null"]"#, ["null", "0", r#""null""#], "-+++-+ --"),
    Row("contains", r#"[{"text":"b"}]"#, [r#""abc""#, r#""ac""#, "5"], "+----+ ++"),
    Row("contains", r#"[{"decimal":"5"}]"#, ["[1,5.0]", "[1]", r#""5""#], "+----- ++"),
    Row("starts_with", r#"[{"text":"b"}]"#, [r#""bc""#, r#""cb""#, "5"], "+----- ++"),
    Row("is_empty", "[]", [r#""""#, r#"" ""#, "0"], "+--++- ++"),
    Row("is_not_empty", "[]", [r#"" ""#, r#""""#, "false"], "+-+--+ ++"),
    Row("greater_than", r#"[{"decimal":"1000"}]"#, ["1000.01", "1e3", r#""2000""#], "+----- ++"),
    Row("less_than", r#"[{"decimal":"-1"}]"#, ["-1.5", "-1", r#""-2""#], "+----- ++"),
    Row("between", r#"[{"decimal":"1"},{"decimal":"2"}]"#, ["2.0", "2.001", r#""1""#], "+----- ++"),
    Row("in", r#"[{"text":"a"},{"decimal":"5"}]"#, ["5.0", "6", r#""5""#], "+----- ++"),
    Row("in", r#"[{"boolean":false},"null"]"#, ["false", "true", r#""false""#], "+---+- ++"),
    // From here the first six columns are judged of an update from something else altogether.
    Row("has_changed", "[]", ["1", "2", r#""1""#], "++++++ +-"),
    Row("has_changed_to", r#"[{"decimal":"1"}]"#, ["1.0", "2", r#""1""#], "+----- +-"),
    Row("has_changed_to", r#"["null"]"#, ["null", "0", r#""null""#], "+---+- +-"),
    Row("has_changed_from", r#"[{"text":"before"}]"#, ["1", r#""before""#, "true"], "+-++++ +-"),
    Row("has_changed_from", r#"[{"text":"other"}]"#, ["1", r#""before""#, "true"], "------ --"),
];

const LIST: &str = r#"["b","x"]"#;

/// The field before, in every column but the last.
const BEFORE: &str = r#""before""#;

fn record(field: Option<&str>) -> Json {
    match field {
        Some(value) => Json::object([("field", Json::parse(value.as_bytes()).unwrap())]),
        None => Json::object::<String>([]),
    }
}

fn holds(operator: &str, values: &str, event: EventView) -> bool {
    let condition =
        format!(r#"{{"comparison":{{"path":"deal.field","operator":"{operator}","values":{values}}}}}"#);
    let condition: Condition = serde_json::from_str(&condition).unwrap();
    let compiled = check(&condition, &Scope::Object("deal".to_owned()), "condition").unwrap();
    compiled.matches(&Records::new(event))
}

fn event(action: Action, now: Option<&str>, before: Option<&str>) -> EventView {
    EventView {
        object: "deal".to_owned(),
        action,
        current: (action != Action::Deleted).then(|| record(now)),
        previous: Some(record(before)),
        previous_partial: false,
        event: Json::object::<String>([]),
    }
}

#[test]
fn every_cell_is_as_the_table_says() {
    for Row(operator, values, [right, other, wrong_type], cells) in TABLE {
        let columns = [
            ("right", Some(*right), Some(BEFORE)),
            ("other", Some(*other), Some(BEFORE)),
            ("wrong type", Some(*wrong_type), Some(BEFORE)),
            ("absent", None, Some(BEFORE)),
            ("null", Some("null"), Some(BEFORE)),
            ("list", Some(LIST), Some(BEFORE)),
            ("changed", Some(*right), Some(BEFORE)),
            ("unchanged", Some(*right), Some(*right)),
        ];
        let cells: Vec<char> = cells.chars().filter(|cell| *cell != ' ').collect();
        assert_eq!(cells.len(), columns.len(), "{operator}: an empty cell");
        for ((column, now, before), cell) in columns.into_iter().zip(cells) {
            let held = holds(operator, values, event(Action::Updated, now, before));
            assert_eq!(held, cell == '+', "{operator} {values}: {column}");
        }
    }
}

#[test]
fn no_operator_is_left_out_of_the_table() {
    for operator in Operator::ALL {
        let name = serde_json::to_string(&operator).unwrap();
        assert!(TABLE.iter().any(|row| format!("\"{}\"", row.0) == name), "{name}");
    }
}

#[test]
fn nothing_changes_in_added_and_deleted_records() {
    for (operator, values) in [
        ("has_changed", "[]"),
        ("has_changed_to", r#"[{"decimal":"1"}]"#),
        ("has_changed_from", r#"[{"text":"before"}]"#),
    ] {
        for action in [Action::Added, Action::Deleted] {
            assert!(
                !holds(operator, values, event(action, Some("1"), Some(BEFORE))),
                "{operator} {action:?}"
            );
        }
    }
}

#[test]
fn conditions_on_a_deleted_record_read_what_it_was() {
    assert!(holds("is", r#"[{"text":"before"}]"#, event(Action::Deleted, None, Some(BEFORE))));
}

#[test]
fn a_partial_previous_says_what_changed() {
    // previous, has it changed, was it text "before"
    for (previous, changed, from_before) in [
        ("{}", false, false),
        (r#"{"field":"before"}"#, true, true),
        (r#"{"field":null}"#, true, false),
        (r#"{"field":1.0}"#, false, false),
        (r#"{"another":null}"#, false, false),
    ] {
        let partial = || EventView {
            previous: Some(Json::parse(previous.as_bytes()).unwrap()),
            previous_partial: true,
            ..event(Action::Updated, Some("1"), None)
        };
        assert_eq!(holds("has_changed", "[]", partial()), changed, "{previous}");
        assert_eq!(holds("has_changed_from", r#"[{"text":"before"}]"#, partial()), from_before, "{previous}");
    }
    let gone = EventView {
        previous: Some(Json::parse(br#"{"field":"before"}"#).unwrap()),
        previous_partial: true,
        ..event(Action::Updated, None, None)
    };
    assert!(holds("has_changed", "[]", gone), "absent counts as a value");
    let silent = EventView { previous: None, ..event(Action::Updated, Some("1"), None) };
    assert!(!holds("has_changed", "[]", silent), "without previous nothing is known to have changed");
}
