//! A placeholder's expression: checked when it is saved, worked out for each event within a bounded effort.

use std::borrow::Cow;

use super::evaluate::{Evaluation, Failure, STEP};
use super::language::{Expr, KEYWORDS};
use super::parse::parse;
use super::scan::{Scanned, Token};
use super::{Missing, Setting};
use crate::context::Context;
use crate::json::Json;
use crate::path::Path;
use crate::rejection::{Reason, quoted};
use crate::scope::REQUEST_ROOTS;

/// A checked expression.
#[derive(Debug)]
pub(crate) struct Expression {
    /// As its author wrote it, fit for messages.
    source: String,
    work: Work,
    missing: Missing,
}

#[derive(Debug)]
enum Work {
    /// Nothing but a field: read as it is.
    Field(Path),
    /// Anything else.
    Expr(Expr),
}

impl Expression {
    /// Checks the expression and makes it ready; an error is every refusal in words.
    pub(super) fn compile(scanned: &Scanned<'_>, setting: Setting<'_>) -> Result<Self, Vec<String>> {
        let source = quoted(scanned.source);
        let work = match field(scanned) {
            Some(path) => match setting.scope.refuse(path.root(), &REQUEST_ROOTS) {
                Some(refusal) => Err(vec![refusal]),
                None => Ok(Work::Field(path)),
            },
            None => parse(&scanned.tokens, setting.scope).map(Work::Expr),
        };
        match work {
            Ok(work) => Ok(Self { source, work, missing: setting.missing }),
            Err(refusals) => {
                Err(refusals.into_iter().map(|refusal| format!("{source}: {refusal}")).collect())
            }
        }
    }

    /// What the expression comes to for this event; missing where that may be is `null`.
    pub(crate) fn value<'a>(&'a self, context: &'a Context<'_>) -> Result<Cow<'a, Json>, Reason> {
        let run = Evaluation { context, missing: self.missing };
        let found = match &self.work {
            Work::Field(path) => run.charge(STEP).map(|()| context.find(path).map(Cow::Borrowed)),
            Work::Expr(expr) => run.find(expr),
        };
        let found = found.map_err(|failure| self.rejected(failure))?;
        match (found, self.missing) {
            (Some(found), _) => Ok(found),
            (None, Missing::Empty) => Ok(Cow::Owned(Json::Null)),
            (None, Missing::Error) => Err(self.rejected(Failure::Missing)),
        }
    }

    /// The value as text of at most `limit` bytes: null is empty, lists and objects are their JSON.
    pub(crate) fn text<'a>(&'a self, context: &'a Context<'_>, limit: usize) -> Result<Cow<'a, str>, Reason> {
        super::text(self.value(context)?, limit)
    }

    fn rejected(&self, failure: Failure) -> Reason {
        let expression = self.source.clone();
        match failure {
            Failure::Missing => Reason::Missing { expression },
            Failure::TooCostly => Reason::TooCostly { expression },
            Failure::Refused(detail) => Reason::Evaluation { expression, detail },
        }
    }
}

/// The path that the expression is, if it is nothing else.
fn field(scanned: &Scanned<'_>) -> Option<Path> {
    match scanned.tokens.first()? {
        Token::Word(root) if !KEYWORDS.contains(root) => {}
        _ => return None,
    }
    // A hyphen is a minus in an expression, and a number a position in a list.
    let plain = scanned.tokens.iter().all(|token| match token {
        Token::Word(_) | Token::Text(_) => true,
        Token::Number(_) => false,
        Token::Sign(sign) => matches!(*sign, "." | "[" | "]"),
    });
    if plain { Path::parse(scanned.source).ok() } else { None }
}
