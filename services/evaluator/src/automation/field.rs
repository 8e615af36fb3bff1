//! Where a broken rule stands, in the words of the contract.

/// A field of a definition as the language of rules names it (`steps[0].request.body.raw.template`), as it stands in a request
/// (`automation.steps[0].request.raw.template`).
pub(super) fn written(field: &str) -> String {
    format!("automation.{}", in_automation(field))
}

/// The same within the automation (`steps[0].request.raw.template`).
pub fn in_automation(field: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut segments = field.split('.').peekable();
    while let Some(segment) = segments.next() {
        let before = words.last().map_or("", String::as_str);
        let (name, index) = segment.split_at(segment.find('[').unwrap_or(segment.len()));
        let last = segments.peek().is_none();
        let in_request = before == "request";
        match name {
            "all" | "any" if !index.is_empty() => words.push(format!("{name}.conditions{index}")),
            "values" if before == "comparison" => words.push(format!("operands{index}")),
            "body" if in_request => {}
            "text" | "value" if last => words.push("template".to_owned()),
            "literal" if last => words.push("literal_json".to_owned()),
            _ => words.push(segment.to_owned()),
        }
    }
    words.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_languages_fields_are_told_in_the_contracts_words() {
        for (language, contract) in [
            ("display_name", "automation.display_name"),
            (
                "condition.all[2].not.any[0].comparison.values[0]",
                "automation.condition.all.conditions[2].not.any.conditions[0].comparison.operands[0]",
            ),
            ("condition.comparison.values", "automation.condition.comparison.operands"),
            (
                "steps[0].request.body.key_value.pairs[1].text",
                "automation.steps[0].request.key_value.pairs[1].template",
            ),
            (
                "steps[0].request.body.key_value.pairs[1].literal",
                "automation.steps[0].request.key_value.pairs[1].literal_json",
            ),
            ("steps[0].request.body.raw.template", "automation.steps[0].request.raw.template"),
            ("steps[0].request.headers[3].value", "automation.steps[0].request.headers[3].template"),
            ("steps[0].request.path", "automation.steps[0].request.path"),
        ] {
            assert_eq!(written(language), contract);
            assert_eq!(format!("automation.{}", in_automation(language)), contract);
        }
    }
}
