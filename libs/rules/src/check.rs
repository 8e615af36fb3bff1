//! The checker: judges a whole condition when it is saved and makes it ready for matching.

use crate::condition::{Comparison, Condition, Operand};
use crate::decimal::{Decimal, MAX_DIGITS};
use crate::fold::fold;
use crate::matching::{Compiled, Node, Test};
use crate::operator::{Arity, OperandType, Operator, Target};
use crate::path::Path;
use crate::scope::{CONDITION_ROOTS, Scope};
use crate::violation::Violations;

/// How many comparisons a condition may have.
pub const MAX_COMPARISONS: usize = 100;
/// How deep groups may be nested: a comparison in no group has depth 0.
pub const MAX_GROUP_DEPTH: usize = 5;
/// How many conditions there may be in all, groups included, for any of them to be looked at.
const MAX_NODES: usize = 1_000;
/// How many characters a text operand may have.
pub const MAX_OPERAND_CHARS: usize = 1_000;

/// Checks a condition and compiles it.
///
/// `field` is the condition's own path in the request, like `condition`.
///
/// # Errors
/// Every broken rule at once, each with its field path like `condition.all[2].comparison.values[0]`.
pub fn check(condition: &Condition, scope: &Scope, field: &str) -> Result<Compiled, Violations> {
    if count_nodes(condition, 0) > MAX_NODES {
        let mut violations = Violations::default();
        violations
            .add(field, format!("more than {MAX_NODES} conditions; at most {MAX_COMPARISONS} are allowed"));
        return Err(violations);
    }
    let mut check = Check { scope, comparisons: 0, violations: Violations::default() };
    let root = match condition {
        Condition::All(children) if children.is_empty() => Some(Node::All(Vec::new())),
        other => check.node(other, field, 0),
    };
    if check.comparisons > MAX_COMPARISONS {
        let found = check.comparisons;
        check.violations.add(field, format!("{found} comparisons; at most {MAX_COMPARISONS} are allowed"));
    }
    match root {
        Some(root) if check.violations.is_empty() => Ok(Compiled::new(root)),
        _ => Err(check.violations),
    }
}

/// How many conditions there are, counted no deeper than is allowed and no further than is needed.
fn count_nodes(condition: &Condition, depth: usize) -> usize {
    let children = match condition {
        _ if depth > MAX_GROUP_DEPTH => return 1,
        Condition::All(children) | Condition::Any(children) => children.as_slice(),
        Condition::Not(child) => std::slice::from_ref(&**child),
        Condition::Comparison(_) => return 1,
    };
    let mut count = 1 + children.len();
    for child in children {
        if count > MAX_NODES {
            break;
        }
        count += count_nodes(child, depth + 1) - 1;
    }
    count
}

struct Check<'s> {
    scope: &'s Scope,
    comparisons: usize,
    violations: Violations,
}

impl Check<'_> {
    /// `None` once something is wrong below.
    fn node(&mut self, condition: &Condition, field: &str, depth: usize) -> Option<Node> {
        if depth >= MAX_GROUP_DEPTH && !matches!(condition, Condition::Comparison(_)) {
            self.violations.add(field, format!("groups are nested deeper than {MAX_GROUP_DEPTH}"));
            return None;
        }
        match condition {
            Condition::All(children) => self.group(children, &format!("{field}.all"), depth).map(Node::All),
            Condition::Any(children) => self.group(children, &format!("{field}.any"), depth).map(Node::Any),
            Condition::Not(child) => {
                let child = self.node(child, &format!("{field}.not"), depth + 1)?;
                Some(Node::Not(Box::new(child)))
            }
            Condition::Comparison(comparison) => {
                self.comparisons += 1;
                self.comparison(comparison, &format!("{field}.comparison")).map(Node::Test)
            }
        }
    }

    fn group(&mut self, children: &[Condition], field: &str, depth: usize) -> Option<Vec<Node>> {
        if children.is_empty() {
            self.violations.add(field, "a group needs at least one condition");
            return None;
        }
        let nodes: Vec<Option<Node>> = children
            .iter()
            .enumerate()
            .map(|(index, child)| self.node(child, &format!("{field}[{index}]"), depth + 1))
            .collect();
        nodes.into_iter().collect()
    }

    fn comparison(&mut self, comparison: &Comparison, field: &str) -> Option<Test> {
        let path = self.path(comparison, &format!("{field}.path"));
        let targets = self.operands(comparison, &format!("{field}.values"));
        if comparison.ignore_case && !comparison.operator.rule().compares_text {
            self.violations.add(
                format!("{field}.ignore_case"),
                "this operator compares no text, so there is no case to ignore",
            );
            return None;
        }
        Some(Test { written: comparison.clone(), path: path?, targets: targets? })
    }

    fn path(&mut self, comparison: &Comparison, field: &str) -> Option<Path> {
        let path = match Path::parse(&comparison.path) {
            Ok(path) => path,
            Err(error) => {
                self.violations.add(field, error.to_string());
                return None;
            }
        };
        if let Some(refusal) = self.scope.refuse(path.root(), &CONDITION_ROOTS) {
            self.violations.add(field, refusal);
            return None;
        }
        if comparison.operator.rule().reads_previous && !self.scope.is_record(path.root()) {
            self.violations
                .add(field, "a change is asked of the record's own field, not of previous or event");
            return None;
        }
        Some(path)
    }

    fn operands(&mut self, comparison: &Comparison, field: &str) -> Option<Vec<Target>> {
        let rule = comparison.operator.rule();
        let found = comparison.values.len();
        let wanted = match rule.arity {
            Arity::Exactly(count) if count != found => Some(count.to_string()),
            Arity::UpTo(most) if found == 0 || found > most => Some(format!("1 to {most}")),
            _ => None,
        };
        if let Some(wanted) = wanted {
            self.violations.add(field, format!("{found} given; this operator takes {wanted}"));
            return None;
        }
        let targets: Vec<Option<Target>> = comparison
            .values
            .iter()
            .enumerate()
            .map(|(index, operand)| {
                let target = target(operand, rule.types, comparison.ignore_case);
                target.map_err(|refusal| self.violations.add(format!("{field}[{index}]"), refusal)).ok()
            })
            .collect();
        let targets: Vec<Target> = targets.into_iter().collect::<Option<_>>()?;
        if let (Operator::Between, [Target::Decimal(low), Target::Decimal(high)]) =
            (comparison.operator, targets.as_slice())
            && low > high
        {
            self.violations.add(field, "the first is above the second, so nothing is between them");
            return None;
        }
        Some(targets)
    }
}

fn target(operand: &Operand, types: &[OperandType], ignore_case: bool) -> Result<Target, String> {
    let (given, name) = match operand {
        Operand::Text(_) => (OperandType::Text, "text"),
        Operand::Decimal(_) => (OperandType::Decimal, "a decimal"),
        Operand::Boolean(_) => (OperandType::Boolean, "a boolean"),
        Operand::Null => (OperandType::Null, "null"),
    };
    if !types.contains(&given) {
        let wanted = match types {
            [OperandType::Text] => "text",
            [OperandType::Decimal] => "a decimal",
            _ => "another type",
        };
        return Err(format!("{name} given; this operator takes {wanted}"));
    }
    match operand {
        Operand::Text(text) if text.chars().count() > MAX_OPERAND_CHARS => {
            Err(format!("longer than {MAX_OPERAND_CHARS} characters"))
        }
        Operand::Text(text) if ignore_case => Ok(Target::Text(fold(text))),
        Operand::Text(text) => Ok(Target::Text(text.clone())),
        Operand::Decimal(text) => Decimal::parse(text).map(Target::Decimal).ok_or_else(|| {
            format!("not a number as JSON writes it, of at most {MAX_DIGITS} significant digits")
        }),
        Operand::Boolean(value) => Ok(Target::Boolean(*value)),
        Operand::Null => Ok(Target::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(path: &str, operator: Operator, values: Vec<Operand>) -> Condition {
        Condition::Comparison(Comparison { path: path.to_owned(), operator, values, ignore_case: false })
    }

    fn title_is(text: &str) -> Condition {
        comparison("deal.title", Operator::Is, vec![Operand::Text(text.to_owned())])
    }

    fn violations(condition: &Condition) -> Vec<(String, String)> {
        let scope = Scope::Object("deal".to_owned());
        match check(condition, &scope, "condition") {
            Ok(_) => Vec::new(),
            Err(violations) => {
                violations.into_vec().into_iter().map(|found| (found.field, found.description)).collect()
            }
        }
    }

    fn fields(condition: &Condition) -> Vec<String> {
        violations(condition).into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_its_field() {
        let condition = Condition::All(vec![
            title_is("fine"),
            comparison("person.name", Operator::IsEmpty, vec![]),
            comparison("deal.value", Operator::GreaterThan, vec![Operand::Text("5".to_owned())]),
            Condition::Any(vec![]),
            Condition::Not(Box::new(comparison("deal..x", Operator::Is, vec![]))),
            comparison("previous.title", Operator::HasChanged, vec![]),
        ]);
        assert_eq!(
            fields(&condition),
            [
                "condition.all[1].comparison.path",
                "condition.all[2].comparison.values[0]",
                "condition.all[3].any",
                "condition.all[4].not.comparison.path",
                "condition.all[4].not.comparison.values",
                "condition.all[5].comparison.path",
            ]
        );
    }

    #[test]
    fn each_operator_takes_its_number_and_types_of_operands() {
        let all_types = [
            Operand::Text("a".to_owned()),
            Operand::Decimal("1".to_owned()),
            Operand::Boolean(true),
            Operand::Null,
        ];
        for operator in Operator::ALL {
            let rule = operator.rule();
            for count in 0..=3 {
                let values = vec![Operand::Decimal("1".to_owned()); count];
                let taken = match rule.arity {
                    Arity::Exactly(exactly) => count == exactly,
                    Arity::UpTo(most) => (1..=most).contains(&count),
                };
                let found = violations(&comparison("deal.x", operator, values));
                let counted = !found.iter().any(|(field, _)| field == "condition.comparison.values");
                assert_eq!(counted, taken, "{operator:?} {count}");
            }
            if rule.arity == Arity::Exactly(1) {
                for operand in &all_types {
                    let found = violations(&comparison("deal.x", operator, vec![operand.clone()]));
                    let given = match operand {
                        Operand::Text(_) => OperandType::Text,
                        Operand::Decimal(_) => OperandType::Decimal,
                        Operand::Boolean(_) => OperandType::Boolean,
                        Operand::Null => OperandType::Null,
                    };
                    assert_eq!(found.is_empty(), rule.types.contains(&given), "{operator:?} {operand:?}");
                }
            }
        }
    }

    #[test]
    fn operands_have_bounds() {
        let decimal = |text: &str| Operand::Decimal(text.to_owned());
        assert!(violations(&title_is(&"ä".repeat(MAX_OPERAND_CHARS))).is_empty());
        assert_eq!(fields(&title_is(&"ä".repeat(MAX_OPERAND_CHARS + 1))), ["condition.comparison.values[0]"]);
        for text in ["", "1,5", "0x1", "NaN", "99999999999999999999999999999999999"] {
            let condition = comparison("deal.x", Operator::Is, vec![decimal(text)]);
            assert_eq!(fields(&condition), ["condition.comparison.values[0]"], "{text}");
        }
        let condition = comparison("deal.x", Operator::Between, vec![decimal("2"), decimal("1")]);
        assert_eq!(fields(&condition), ["condition.comparison.values"]);
        let condition = comparison("deal.x", Operator::In, vec![Operand::Null; 101]);
        assert_eq!(fields(&condition), ["condition.comparison.values"]);
    }

    #[test]
    fn trees_have_bounds() {
        assert!(violations(&Condition::always()).is_empty());
        let nested =
            |depth: usize| (0..depth).fold(title_is("x"), |inner, _| Condition::Not(Box::new(inner)));
        assert!(violations(&nested(MAX_GROUP_DEPTH)).is_empty());
        assert_eq!(fields(&nested(MAX_GROUP_DEPTH + 1)), ["condition.not.not.not.not.not"]);
        let wide = |count: usize| Condition::Any(vec![title_is("x"); count]);
        assert!(violations(&wide(MAX_COMPARISONS)).is_empty());
        assert_eq!(fields(&wide(MAX_COMPARISONS + 1)), ["condition"]);
    }

    #[test]
    fn a_wildcard_trigger_lets_any_object_be_named() {
        let condition = comparison("person.name", Operator::HasChanged, vec![]);
        assert!(check(&condition, &Scope::AnyObject, "condition").is_ok());
        let condition = comparison("previous.name", Operator::HasChanged, vec![]);
        assert!(check(&condition, &Scope::AnyObject, "condition").is_err());
    }

    #[test]
    fn a_tree_of_any_size_costs_no_more_than_its_limit() {
        for condition in [
            Condition::All(vec![Condition::Any(Vec::new()); 500_000]),
            Condition::Any(vec![Condition::Any(vec![title_is("x"); 1_000]); 500]),
        ] {
            let found = violations(&condition);
            assert_eq!(found.len(), 1, "{:?}", found.first());
            assert_eq!(found[0].1, "more than 1000 conditions; at most 100 are allowed");
        }
        let nested = (0..1_000).fold(title_is("x"), |inner, _| Condition::Not(Box::new(inner)));
        assert_eq!(fields(&nested), ["condition.not.not.not.not.not"]);
    }

    #[test]
    fn case_is_only_ignored_where_text_is_compared() {
        for operator in Operator::ALL {
            let rule = operator.rule();
            let values = match rule.arity {
                Arity::Exactly(count) if rule.types.contains(&OperandType::Text) => {
                    vec![Operand::Text("x".to_owned()); count]
                }
                Arity::Exactly(count) => vec![Operand::Decimal("1".to_owned()); count],
                Arity::UpTo(_) => vec![Operand::Text("x".to_owned())],
            };
            let path = "deal.x".to_owned();
            let comparison = Comparison { path, operator, values, ignore_case: true };
            let expected: &[&str] =
                if rule.compares_text { &[] } else { &["condition.comparison.ignore_case"] };
            assert_eq!(fields(&Condition::Comparison(comparison)), expected, "{operator:?}");
        }
    }
}
