//! The plan catalogue that comes with Sluice.

use sluice_domain::{Catalogue, CatalogueError};

/// The catalogue of `plans.toml`, used unless the configuration names another file.
///
/// # Errors
/// Never for the file in this crate; a test reads it.
pub fn shipped() -> Result<Catalogue, CatalogueError> {
    Catalogue::from_toml(include_str!("../plans.toml"))
}

#[cfg(test)]
mod tests {
    use sluice_domain::{Rate, Span, Timestamp};

    use super::*;

    #[test]
    fn the_shipped_plans_are_those_of_the_product() {
        let catalogue = shipped().unwrap();
        let names: Vec<_> = catalogue.names().collect();
        assert_eq!(names, ["essential", "advanced", "professional", "enterprise"]);
        assert_eq!(catalogue.first_with_automations(), Some("advanced"));

        let minute = |units| Rate { units, per: Span::from_secs(60), burst: units };
        let of = |name: &str| catalogue.get(name).unwrap().entitlements(1, Timestamp::EPOCH);
        let numbers = |name: &str| {
            let plan = of(name);
            (
                plan.active_automations,
                plan.steps,
                plan.delays,
                plan.executions,
                plan.allowance.map(|a| a.amount),
            )
        };
        assert_eq!(numbers("essential"), (0, 0, 0, minute(0), None));
        assert_eq!(numbers("advanced"), (50, 10, 3, minute(100), Some(100_000)));
        assert_eq!(numbers("professional"), (150, 10, 10, minute(600), Some(1_000_000)));
        assert_eq!(numbers("enterprise"), (250, 20, 10, minute(3_000), None));
        let days: Vec<_> = names.iter().map(|name| of(name).history.as_micros() / 86_400_000_000).collect();
        assert_eq!(days, [7, 15, 30, 90]);
    }
}
