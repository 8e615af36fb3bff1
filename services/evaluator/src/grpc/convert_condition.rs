//! Conditions between the wire and the language's own tree; what can't be one is noted with its field.

use proto::evaluator::v1 as wire;
use sluice_domain::Violations;
use sluice_rules::{Comparison, Condition, Operand, Operator};

/// The operators by their numbers on the wire.
const OPERATORS: [(wire::Operator, Operator); 13] = [
    (wire::Operator::Is, Operator::Is),
    (wire::Operator::IsNot, Operator::IsNot),
    (wire::Operator::Contains, Operator::Contains),
    (wire::Operator::StartsWith, Operator::StartsWith),
    (wire::Operator::IsEmpty, Operator::IsEmpty),
    (wire::Operator::IsNotEmpty, Operator::IsNotEmpty),
    (wire::Operator::GreaterThan, Operator::GreaterThan),
    (wire::Operator::LessThan, Operator::LessThan),
    (wire::Operator::Between, Operator::Between),
    (wire::Operator::In, Operator::In),
    (wire::Operator::HasChanged, Operator::HasChanged),
    (wire::Operator::HasChangedTo, Operator::HasChangedTo),
    (wire::Operator::HasChangedFrom, Operator::HasChangedFrom),
];

/// A condition; `None` once something in it can't be one. Its depth is bounded by the decoder.
pub(super) fn condition(sent: wire::Condition, field: &str, found: &mut Violations) -> Option<Condition> {
    use wire::condition::Kind;
    match sent.kind {
        None => {
            found.add(field, "one of all, any, not, comparison is required");
            None
        }
        Some(Kind::All(list)) => {
            conditions(list, &format!("{field}.all.conditions"), found).map(Condition::All)
        }
        Some(Kind::Any(list)) => {
            conditions(list, &format!("{field}.any.conditions"), found).map(Condition::Any)
        }
        Some(Kind::Not(inner)) => {
            condition(*inner, &format!("{field}.not"), found).map(|inner| Condition::Not(Box::new(inner)))
        }
        Some(Kind::Comparison(sent)) => {
            comparison(sent, &format!("{field}.comparison"), found).map(Condition::Comparison)
        }
    }
}

fn conditions(list: wire::ConditionList, field: &str, found: &mut Violations) -> Option<Vec<Condition>> {
    if list.conditions.is_empty() {
        // An empty list would mean "always", which is said by leaving the condition out.
        found.add(field, "at least one condition is needed");
        return None;
    }
    let each = |(index, sent)| condition(sent, &format!("{field}[{index}]"), found);
    let parsed: Vec<Option<Condition>> = list.conditions.into_iter().enumerate().map(each).collect();
    parsed.into_iter().collect()
}

fn comparison(sent: wire::Comparison, field: &str, found: &mut Violations) -> Option<Comparison> {
    let operator =
        OPERATORS.iter().find(|(number, _)| *number as i32 == sent.operator).map(|(_, operator)| *operator);
    let operator = found.keep(&format!("{field}.operator"), operator.ok_or("must be a known operator"));
    Some(Comparison {
        path: sent.path,
        operator: operator?,
        values: sent.operands.into_iter().map(operand).collect(),
        ignore_case: sent.ignore_case,
    })
}

fn operand(sent: wire::Operand) -> Operand {
    use wire::operand::Kind;
    match sent.kind {
        None => Operand::Null,
        Some(Kind::Text(text)) => Operand::Text(text),
        Some(Kind::Number(text)) => Operand::Decimal(text),
        Some(Kind::Boolean(value)) => Operand::Boolean(value),
    }
}

/// A condition as it goes out; the one that always holds is left out.
pub(super) fn condition_out(condition: &Condition) -> Option<wire::Condition> {
    match condition {
        Condition::All(list) if list.is_empty() => None,
        other => Some(one_out(other)),
    }
}

fn one_out(condition: &Condition) -> wire::Condition {
    use wire::condition::Kind;
    let list = |conditions: &[Condition]| wire::ConditionList {
        conditions: conditions.iter().map(one_out).collect(),
    };
    let kind = match condition {
        Condition::All(conditions) => Kind::All(list(conditions)),
        Condition::Any(conditions) => Kind::Any(list(conditions)),
        Condition::Not(inner) => Kind::Not(Box::new(one_out(inner))),
        Condition::Comparison(comparison) => Kind::Comparison(comparison_out(comparison)),
    };
    wire::Condition { kind: Some(kind) }
}

/// A comparison as it goes out.
pub(super) fn comparison_out(comparison: &Comparison) -> wire::Comparison {
    wire::Comparison {
        path: comparison.path.clone(),
        operator: number(&OPERATORS, comparison.operator, |number| number as i32),
        operands: comparison.values.iter().map(operand_out).collect(),
        ignore_case: comparison.ignore_case,
    }
}

/// The number on the wire of a value that the table has; 0 if it has not.
pub(super) fn number<W: Copy, T: PartialEq + Copy>(
    table: &[(W, T)],
    value: T,
    to_i32: impl Fn(W) -> i32,
) -> i32 {
    table.iter().find(|(_, known)| *known == value).map_or(0, |(number, _)| to_i32(*number))
}

fn operand_out(operand: &Operand) -> wire::Operand {
    use wire::operand::Kind;
    let kind = match operand {
        Operand::Null => None,
        Operand::Text(text) => Some(Kind::Text(text.clone())),
        Operand::Decimal(text) => Some(Kind::Number(text.clone())),
        Operand::Boolean(value) => Some(Kind::Boolean(*value)),
    };
    wire::Operand { kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_has_its_number() {
        assert!(
            Operator::ALL.iter().all(|operator| number(&OPERATORS, *operator, |number| number as i32) > 0)
        );
        assert!((1..=13).all(|number| OPERATORS.iter().any(|(known, _)| *known as i32 == number)));
    }

    #[test]
    fn conditions_come_back_as_they_went() {
        let text = r#"{"all":[{"not":{"comparison":{"path":"deal.a","operator":"in","values":[{"text":"x"},{"decimal":"1.10"},
            {"boolean":true},"null"],"ignore_case":true}}},{"any":[{"comparison":{"path":"deal.b","operator":"is_empty"}}]}]}"#;
        let sent: Condition = serde_json::from_str(text).unwrap();
        let mut found = Violations::new();
        let back = condition(condition_out(&sent).unwrap(), "c", &mut found).unwrap();
        assert_eq!(back, sent);
        assert_eq!(condition_out(&Condition::always()), None);
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_field() {
        let mut found = Violations::new();
        let comparison = wire::Comparison { path: "deal.x".to_owned(), ..wire::Comparison::default() };
        let any = wire::ConditionList {
            conditions: vec![
                wire::Condition { kind: Some(wire::condition::Kind::Comparison(comparison)) },
                wire::Condition { kind: Some(wire::condition::Kind::All(wire::ConditionList::default())) },
            ],
        };
        let sent = wire::Condition { kind: Some(wire::condition::Kind::Any(any)) };
        assert_eq!(condition(sent, "condition", &mut found), None);
        let fields: Vec<&str> = found.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(
            fields,
            ["condition.any.conditions[0].comparison.operator", "condition.any.conditions[1].all.conditions"]
        );
    }
}
