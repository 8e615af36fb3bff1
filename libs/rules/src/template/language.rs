//! The language of placeholders: its expressions, and the filters and tests there are.
//!
//! It is a part of minijinja's: what is valid here means the same there. What can make much of little (lists and
//! objects written out, repetition, `**`, slices, calls, filters that take filters) is left out.

use crate::json::Json;

/// An expression. It is as deep as it has tokens at most.
#[derive(Debug)]
pub(super) enum Expr {
    /// A value written out.
    Literal(Json),
    /// The value of a root.
    Root(String),
    /// A member of an object: `.name`, `["name"]`.
    Member { of: Box<Expr>, name: String },
    /// An element of a list, from 0, or from the end below: `[0]`, `.0`, `[-1]`.
    Element { of: Box<Expr>, place: i64 },
    /// `not`.
    Not(Box<Expr>),
    /// `-`.
    Negative(Box<Expr>),
    /// `and`, `or`: the value of the side that decides.
    Logic { logic: Logic, sides: Box<[Expr; 2]> },
    /// Two values compared.
    Compare { compare: Compare, sides: Box<[Expr; 2]> },
    /// Two numbers computed with.
    Compute { compute: Compute, sides: Box<[Expr; 2]> },
    /// `~`.
    Concatenate { sides: Box<[Expr; 2]> },
    /// `then if condition else otherwise`; null where there is no `else`.
    Choice { condition: Box<Expr>, then: Box<Expr>, otherwise: Option<Box<Expr>> },
    /// `| filter(…)`.
    Filter { filter: Filter, of: Box<Expr>, arguments: Vec<Expr> },
    /// `is test(…)`, `is not test(…)`.
    Test { test: Test, negated: bool, of: Box<Expr>, arguments: Vec<Expr> },
}

/// How two truths are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logic {
    And,
    Or,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

/// How two numbers are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compute {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
}

/// A filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Abs,
    Capitalize,
    Default,
    First,
    Float,
    Int,
    Join,
    Json,
    Last,
    Length,
    Lower,
    Replace,
    Round,
    Split,
    String,
    Title,
    Trim,
    Upper,
}

/// A test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Boolean,
    Defined,
    DivisibleBy,
    EndingWith,
    Even,
    False,
    Mapping,
    None,
    Number,
    Odd,
    Sequence,
    StartingWith,
    String,
    True,
    Undefined,
}

/// The filters by name, with the least and the most arguments they take.
pub(super) const FILTERS: &[(&str, Filter, usize, usize)] = &[
    ("abs", Filter::Abs, 0, 0),
    ("capitalize", Filter::Capitalize, 0, 0),
    ("count", Filter::Length, 0, 0),
    ("d", Filter::Default, 0, 2),
    ("default", Filter::Default, 0, 2),
    ("first", Filter::First, 0, 0),
    ("float", Filter::Float, 0, 1),
    ("int", Filter::Int, 0, 1),
    ("join", Filter::Join, 0, 1),
    ("json", Filter::Json, 0, 0),
    ("last", Filter::Last, 0, 0),
    ("length", Filter::Length, 0, 0),
    ("lower", Filter::Lower, 0, 0),
    ("replace", Filter::Replace, 2, 2),
    ("round", Filter::Round, 0, 2),
    ("split", Filter::Split, 0, 1),
    ("string", Filter::String, 0, 0),
    ("title", Filter::Title, 0, 0),
    ("tojson", Filter::Json, 0, 0),
    ("trim", Filter::Trim, 0, 0),
    ("upper", Filter::Upper, 0, 0),
];

/// The tests by name, with how many arguments they take.
pub(super) const TESTS: &[(&str, Test, usize)] = &[
    ("boolean", Test::Boolean, 0),
    ("defined", Test::Defined, 0),
    ("divisibleby", Test::DivisibleBy, 1),
    ("endingwith", Test::EndingWith, 1),
    ("even", Test::Even, 0),
    ("false", Test::False, 0),
    ("mapping", Test::Mapping, 0),
    ("none", Test::None, 0),
    ("number", Test::Number, 0),
    ("odd", Test::Odd, 0),
    ("sequence", Test::Sequence, 0),
    ("startingwith", Test::StartingWith, 1),
    ("string", Test::String, 0),
    ("true", Test::True, 0),
    ("undefined", Test::Undefined, 0),
];

/// Words of the language, which are no roots.
pub(super) const KEYWORDS: &[&str] =
    &["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"];
