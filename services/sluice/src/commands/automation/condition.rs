//! A condition in a line, for people.

use proto::evaluator::v1::{Comparison, Condition, ConditionList, Operand, condition, operand};

use crate::client::sheet::word;

/// The condition, such as `deal.stage HAS_CHANGED_TO "won" and not (deal.value LESS_THAN 100)`.
pub(in crate::commands) fn text(of: &Condition) -> String {
    match &of.kind {
        Some(condition::Kind::Comparison(comparison)) => compared(comparison),
        Some(condition::Kind::All(list)) => joined(list, " and "),
        Some(condition::Kind::Any(list)) => joined(list, " or "),
        Some(condition::Kind::Not(inner)) => format!("not ({})", text(inner)),
        None => "of a kind that this program does not know".to_owned(),
    }
}

fn joined(list: &ConditionList, word: &str) -> String {
    let several = list.conditions.len() > 1;
    let each = list.conditions.iter().map(|inner| match &inner.kind {
        Some(condition::Kind::All(_) | condition::Kind::Any(_)) if several => format!("({})", text(inner)),
        _ => text(inner),
    });
    each.collect::<Vec<_>>().join(word)
}

/// One comparison, such as `deal.stage HAS_CHANGED_TO "won"`.
pub(in crate::commands) fn compared(comparison: &Comparison) -> String {
    let operator = word(comparison.operator().as_str_name(), "OPERATOR_");
    let operands: Vec<_> = comparison.operands.iter().map(operand).collect();
    let case = if comparison.ignore_case { "in any case" } else { "" };
    let words = [comparison.path.as_str(), operator, &operands.join(", "), case];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn operand(of: &Operand) -> String {
    match &of.kind {
        Some(operand::Kind::Text(text)) => format!("\"{text}\""),
        Some(operand::Kind::Number(number)) => number.clone(),
        Some(operand::Kind::Boolean(boolean)) => boolean.to_string(),
        None => "null".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::wire;

    #[test]
    fn a_condition_reads_as_it_is_nested() {
        let json = r#"{"all": {"conditions": [
            {"comparison": {"path": "deal.stage", "operator": "OPERATOR_HAS_CHANGED_TO", "operands": [{"text": "won"}], "ignoreCase": true}},
            {"any": {"conditions": [{"comparison": {"path": "deal.value", "operator": "OPERATOR_BETWEEN",
              "operands": [{"number": "1.10"}, {"number": "2"}]}}, {"not": {"comparison": {"path": "deal.x", "operator": "OPERATOR_IS", "operands": [{}]}}}]}}]}}"#;
        let (condition, _) = wire::read::<Condition>("sluice.evaluator.v1.Condition", json).unwrap();
        assert_eq!(
            text(&condition),
            "deal.stage HAS_CHANGED_TO \"won\" in any case and (deal.value BETWEEN 1.10, 2 or not (deal.x IS null))"
        );
    }
}
