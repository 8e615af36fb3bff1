//! A placeholder's expression: checked when it is saved, worked out for each event within a bounded effort.

use std::borrow::Cow;
use std::sync::LazyLock;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use super::scan::{Scanned, Token};
use super::value::{Numbers, from_value};
use super::{Missing, Setting};
use crate::context::Context;
use crate::json::Json;
use crate::path::Path;
use crate::rejection::Reason;
use crate::scope::{REQUEST_ROOTS, Scope};

/// The engine's measure of work one placeholder may take: about this many instructions, or 64 bytes for each.
const FUEL: u64 = 50_000;

/// The filters there are, and whether they compute, so that numbers must come as machine numbers.
const FILTERS: &[(&str, bool)] = &[
    ("abs", true),
    ("attr", false),
    ("batch", false),
    ("bool", false),
    ("capitalize", false),
    ("count", false),
    ("d", false),
    ("default", false),
    ("dictsort", true),
    ("first", false),
    ("float", true),
    ("groupby", true),
    ("indent", false),
    ("int", true),
    ("items", false),
    ("join", false),
    ("json", false),
    ("last", false),
    ("length", false),
    ("lines", false),
    ("list", false),
    ("lower", false),
    ("map", false),
    ("max", true),
    ("min", true),
    ("reject", true),
    ("rejectattr", true),
    ("replace", false),
    ("reverse", false),
    ("round", true),
    ("select", true),
    ("selectattr", true),
    ("slice", false),
    ("sort", true),
    ("split", false),
    ("string", false),
    ("sum", true),
    ("title", false),
    ("tojson", false),
    ("trim", false),
    ("unique", true),
    ("upper", false),
];

/// The tests (`is …`) there are, and whether they compute.
const TESTS: &[(&str, bool)] = &[
    ("boolean", false),
    ("defined", false),
    ("divisibleby", true),
    ("endingwith", false),
    ("eq", true),
    ("even", true),
    ("false", false),
    ("float", true),
    ("ge", true),
    ("gt", true),
    ("in", true),
    ("integer", true),
    ("iterable", false),
    ("le", true),
    ("lower", false),
    ("lt", true),
    ("mapping", false),
    ("ne", true),
    ("none", false),
    ("number", true),
    ("odd", true),
    ("sequence", false),
    ("startingwith", false),
    ("string", false),
    ("true", false),
    ("undefined", false),
    ("upper", false),
];

/// Words of the language, which may stand before a parenthesis without being called.
const KEYWORDS: &[&str] =
    &["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"];

static STRICT: LazyLock<Environment<'static>> = LazyLock::new(|| engine(UndefinedBehavior::Strict));
static LENIENT: LazyLock<Environment<'static>> = LazyLock::new(|| engine(UndefinedBehavior::Chainable));

/// The expression engine: no loader, no globals, no automatic escaping, bounded.
fn engine(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(undefined);
    engine.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    engine.set_fuel(Some(FUEL));
    engine.set_debug(false);
    let globals: Vec<String> = engine.globals().map(|(name, _)| name.to_owned()).collect();
    for name in &globals {
        engine.remove_global(name);
    }
    for name in ["safe", "escape", "e", "pprint", "format"] {
        engine.remove_filter(name);
    }
    engine.add_filter("json", json_filter);
    engine.add_filter("tojson", json_filter);
    engine
}

fn json_filter(value: &Value) -> Result<String, minijinja::Error> {
    Ok(from_value(value)?.unwrap_or(Json::Null).to_string())
}

/// A checked expression.
#[derive(Debug)]
pub(crate) struct Expression {
    source: String,
    work: Work,
    missing: Missing,
}

enum Work {
    /// Nothing but a field: read as it is.
    Field(Path),
    /// Anything else.
    Engine { expression: minijinja::Expression<'static, 'static>, numbers: Numbers },
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(path) => write!(f, "Field({path})"),
            Self::Engine { numbers, .. } => write!(f, "Engine({numbers:?})"),
        }
    }
}

impl Expression {
    /// Checks the expression and makes it ready; an error is every refusal in words.
    pub(super) fn compile(scanned: &Scanned<'_>, setting: Setting<'_>) -> Result<Self, Vec<String>> {
        let source = scanned.source.to_owned();
        if let Some(path) = field(scanned) {
            return match setting.scope.refuse(path.root(), &REQUEST_ROOTS) {
                Some(refusal) => Err(vec![format!("{source}: {refusal}")]),
                None => Ok(Self { source, work: Work::Field(path), missing: setting.missing }),
            };
        }
        let engine = match setting.missing {
            Missing::Error => &*STRICT,
            Missing::Empty => &*LENIENT,
        };
        let expression = engine.compile_expression_owned(source.clone()).map_err(|error| {
            let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            vec![format!("{source}: no expression: {detail}")]
        })?;
        let mut refusals = Vec::new();
        unknown_roots(&expression, setting.scope, &mut refusals);
        let numbers = judge_tokens(&scanned.tokens, &mut refusals);
        if !refusals.is_empty() {
            return Err(refusals.into_iter().map(|refusal| format!("{source}: {refusal}")).collect());
        }
        Ok(Self { source, work: Work::Engine { expression, numbers }, missing: setting.missing })
    }

    /// What the expression comes to for this event; missing where that may be is `null`.
    pub(crate) fn value<'v>(&self, context: &Context<'v>) -> Result<Cow<'v, Json>, Reason> {
        let found = match &self.work {
            Work::Field(path) => context.find(path).map(Cow::Borrowed),
            Work::Engine { expression, numbers } => {
                let value = expression.eval(context.values(*numbers)).and_then(|value| from_value(&value));
                value.map_err(|error| self.rejected(&error))?.map(Cow::Owned)
            }
        };
        match (found, self.missing) {
            (Some(found), _) => Ok(found),
            (None, Missing::Empty) => Ok(Cow::Owned(Json::Null)),
            (None, Missing::Error) => Err(Reason::Missing { expression: self.source.clone() }),
        }
    }

    fn rejected(&self, error: &minijinja::Error) -> Reason {
        let expression = self.source.clone();
        match error.kind() {
            ErrorKind::UndefinedError => Reason::Missing { expression },
            ErrorKind::OutOfFuel => Reason::TooCostly { expression },
            // The detail may quote a value of the event; the kind does not.
            kind => Reason::Evaluation { expression, detail: kind.to_string() },
        }
    }
}

/// The path that the expression is, if it is nothing else.
fn field(scanned: &Scanned<'_>) -> Option<Path> {
    match scanned.tokens.first()? {
        Token::Word(root) if !KEYWORDS.contains(root) => {}
        _ => return None,
    }
    // A hyphen is a minus to the engine, and a name may not begin with a digit there.
    let plain = scanned.tokens.iter().all(|token| match token {
        Token::Word(_) | Token::Text => true,
        Token::Number => false,
        Token::Sign(c) => matches!(c, '.' | '[' | ']'),
    });
    if plain { Path::parse(scanned.source).ok() } else { None }
}

fn unknown_roots(
    expression: &minijinja::Expression<'static, 'static>,
    scope: &Scope,
    refusals: &mut Vec<String>,
) {
    let mut roots: Vec<String> = expression.undeclared_variables(false).into_iter().collect();
    roots.sort();
    refusals.extend(roots.iter().filter_map(|root| scope.refuse(root, &REQUEST_ROOTS)));
}

/// Refuses filters, tests and calls that there are not, and says how numbers are to be taken.
fn judge_tokens(tokens: &[Token<'_>], refusals: &mut Vec<String>) -> Numbers {
    let mut computes = false;
    let mut judge = |known: &[(&str, bool)], kind: &str, name: &str, refusals: &mut Vec<String>| match known
        .iter()
        .find(|(known, _)| *known == name)
    {
        Some((_, computing)) => computes |= computing,
        None => {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            refusals.push(format!("there is no {kind} {name:?}; there are: {}", names.join(", ")));
        }
    };
    let mut signs = false;
    for (index, token) in tokens.iter().enumerate() {
        let before = |back: usize| index.checked_sub(back).and_then(|index| tokens.get(index)).copied();
        match *token {
            Token::Word(name) if before(1) == Some(Token::Sign('|')) => {
                judge(FILTERS, "filter", name, refusals)
            }
            Token::Word("not") if before(1) == Some(Token::Word("is")) => {}
            Token::Word(name)
                if before(1) == Some(Token::Word("is"))
                    || (before(1) == Some(Token::Word("not")) && before(2) == Some(Token::Word("is"))) =>
            {
                judge(TESTS, "test", name, refusals);
            }
            Token::Word("in") => signs = true,
            Token::Sign('(') => {
                let called = match before(1) {
                    Some(Token::Word(word)) => {
                        let applied = matches!(
                            before(2),
                            Some(Token::Sign('|') | Token::Word("is") | Token::Word("not"))
                        );
                        !applied && !KEYWORDS.contains(&word)
                    }
                    Some(Token::Sign(')' | ']' | '}') | Token::Text | Token::Number) => true,
                    _ => false,
                };
                if called {
                    refusals
                        .push("functions and methods can't be called; use a filter, like | upper".to_owned());
                }
            }
            Token::Sign('+' | '-' | '*' | '/' | '%' | '<' | '>' | '!') => signs = true,
            Token::Sign('=') if before(1) == Some(Token::Sign('=')) => signs = true,
            _ => {}
        }
    }
    if computes || signs { Numbers::Machine } else { Numbers::Exact }
}
