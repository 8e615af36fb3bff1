//! The three services.

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Registry,
    Evaluator,
    Dispatcher,
}

impl Service {
    /// In the order in which they depend on one another.
    pub(crate) const ALL: [Self; 3] = [Self::Registry, Self::Evaluator, Self::Dispatcher];

    /// What its folder, its settings, its schema and its token are named after.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Evaluator => "evaluator",
            Self::Dispatcher => "dispatcher",
        }
    }

    /// The name of its binary.
    pub(crate) const fn binary(self) -> &'static str {
        match self {
            Self::Registry => "sluice-registry",
            Self::Evaluator => "sluice-evaluator",
            Self::Dispatcher => "sluice-dispatcher",
        }
    }
}
