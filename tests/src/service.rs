//! The three services.

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Who may send what, and where to.
    Registry,
    /// Whether an event sets something off.
    Evaluator,
    /// When it is sent, and how it went.
    Dispatcher,
}

impl Service {
    /// In the order in which they depend on one another.
    pub const ALL: [Self; 3] = [Self::Registry, Self::Evaluator, Self::Dispatcher];

    /// What its folder, its settings, its schema and its token are named after.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Evaluator => "evaluator",
            Self::Dispatcher => "dispatcher",
        }
    }

    /// The name of its binary.
    pub const fn binary(self) -> &'static str {
        match self {
            Self::Registry => "sluice-registry",
            Self::Evaluator => "sluice-evaluator",
            Self::Dispatcher => "sluice-dispatcher",
        }
    }
}
