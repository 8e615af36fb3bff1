//! The parser: the tokens of a placeholder into an expression, no deeper than [`MAX_NESTING`].

use super::language::{Compare, Compute, Expr, FILTERS, KEYWORDS, Logic, TESTS};
use super::scan::Token;
use super::unescape::unescape;
use crate::json::{Json, Number};
use crate::rejection::quoted;
use crate::scope::{REQUEST_ROOTS, Scope};

/// How deep parentheses, arguments, `else`, `not` and `-` may be nested in a placeholder.
pub const MAX_NESTING: usize = 16;

/// How many unknown names of one placeholder are told.
const MAX_REFUSALS: usize = 8;

/// Parses the tokens; an error is every refusal in words.
pub(super) fn parse(tokens: &[Token<'_>], scope: &Scope) -> Result<Expr, Vec<String>> {
    let mut parser = Parser { tokens, at: 0, depth: 0, scope, refusals: Vec::new() };
    let parsed = parser.whole();
    match parsed {
        Ok(expr) if parser.refusals.is_empty() => Ok(expr),
        Ok(_) => Err(parser.refusals),
        Err(syntax) => {
            parser.refusals.push(syntax);
            Err(parser.refusals)
        }
    }
}

struct Parser<'t> {
    tokens: &'t [Token<'t>],
    at: usize,
    depth: usize,
    scope: &'t Scope,
    /// Unknown names, which do not keep the rest from being read.
    refusals: Vec<String>,
}

type Parsed = Result<Expr, String>;

fn sides(left: Expr, right: Expr) -> Box<[Expr; 2]> {
    Box::new([left, right])
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).copied()
    }

    fn take(&mut self, token: Token<'_>) -> bool {
        let there = self.peek() == Some(token);
        self.at += usize::from(there);
        there
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        self.take(Token::Sign(sign))
    }

    fn take_word(&mut self, word: &str) -> bool {
        self.take(Token::Word(word))
    }

    fn need_sign(&mut self, sign: &str) -> Result<(), String> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.expected(&format!("{sign:?}"))) }
    }

    fn expected(&self, expected: &str) -> String {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Text(_)) => "a text".to_owned(),
            Some(Token::Word(found) | Token::Number(found) | Token::Sign(found)) => {
                format!("{:?}", quoted(found))
            }
        };
        format!("no expression: expected {expected}, found {found}")
    }

    fn refuse(&mut self, refusal: String) {
        if self.refusals.len() < MAX_REFUSALS {
            self.refusals.push(refusal);
        }
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth == MAX_NESTING {
            return Err(format!("nested deeper than {MAX_NESTING}"));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn whole(&mut self) -> Parsed {
        let expr = self.expression()?;
        match self.peek() {
            None => Ok(expr),
            Some(Token::Sign("(")) => {
                Err("functions and methods can't be called; use a filter, like | upper".to_owned())
            }
            Some(Token::Sign("**")) => Err("there is no operator **".to_owned()),
            Some(_) => Err(self.expected("an operator or the end")),
        }
    }

    /// `or`, perhaps with `if … else …` behind it.
    fn expression(&mut self) -> Parsed {
        self.deeper(|parser| {
            let mut expr = parser.or()?;
            while parser.take_word("if") {
                let condition = Box::new(parser.or()?);
                let otherwise = match parser.take_word("else") {
                    true => Some(Box::new(parser.expression()?)),
                    false => None,
                };
                expr = Expr::Choice { condition, then: Box::new(expr), otherwise };
            }
            Ok(expr)
        })
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        while self.take_word("or") {
            left = Expr::Logic { logic: Logic::Or, sides: sides(left, self.and()?) };
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.not()?;
        while self.take_word("and") {
            left = Expr::Logic { logic: Logic::And, sides: sides(left, self.not()?) };
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed {
        if self.take_word("not") {
            self.deeper(|parser| Ok(Expr::Not(Box::new(parser.not()?))))
        } else {
            self.compare()
        }
    }

    fn compare(&mut self) -> Parsed {
        let left = self.sum()?;
        let Some(compare) = self.comparison() else { return Ok(left) };
        let right = self.sum()?;
        if self.comparison().is_some() {
            return Err("comparisons can't follow one another; join them by and".to_owned());
        }
        Ok(Expr::Compare { compare, sides: sides(left, right) })
    }

    fn comparison(&mut self) -> Option<Compare> {
        let next = self.tokens.get(self.at + 1).copied();
        let (compare, length) = match (self.peek()?, next) {
            (Token::Sign("=="), _) => (Compare::Equal, 1),
            (Token::Sign("!="), _) => (Compare::NotEqual, 1),
            (Token::Sign("<"), _) => (Compare::Less, 1),
            (Token::Sign("<="), _) => (Compare::LessOrEqual, 1),
            (Token::Sign(">"), _) => (Compare::Greater, 1),
            (Token::Sign(">="), _) => (Compare::GreaterOrEqual, 1),
            (Token::Word("in"), _) => (Compare::In, 1),
            (Token::Word("not"), Some(Token::Word("in"))) => (Compare::NotIn, 2),
            _ => return None,
        };
        self.at += length;
        Some(compare)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.concatenation()?;
        loop {
            let compute = match self.peek() {
                Some(Token::Sign("+")) => Compute::Add,
                Some(Token::Sign("-")) => Compute::Subtract,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Compute { compute, sides: sides(left, self.concatenation()?) };
        }
    }

    fn concatenation(&mut self) -> Parsed {
        let mut left = self.product()?;
        while self.take_sign("~") {
            left = Expr::Concatenate { sides: sides(left, self.product()?) };
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.filtered()?;
        loop {
            let compute = match self.peek() {
                Some(Token::Sign("*")) => Compute::Multiply,
                Some(Token::Sign("/")) => Compute::Divide,
                Some(Token::Sign("//")) => Compute::FloorDivide,
                Some(Token::Sign("%")) => Compute::Remainder,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expr::Compute { compute, sides: sides(left, self.filtered()?) };
        }
    }

    /// A value with its filters and tests, which also apply to a negated value as a whole.
    fn filtered(&mut self) -> Parsed {
        let mut expr = self.negative()?;
        loop {
            if self.take_sign("|") {
                expr = self.filter(expr)?;
            } else if self.take_word("is") {
                expr = self.test(expr)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn negative(&mut self) -> Parsed {
        if self.take_sign("-") {
            self.deeper(|parser| Ok(Expr::Negative(Box::new(parser.negative()?))))
        } else {
            let value = self.value()?;
            self.parts_of(value)
        }
    }

    fn filter(&mut self, of: Expr) -> Parsed {
        let name = self.word("the name of a filter")?;
        let arguments = self.arguments()?;
        match FILTERS.iter().find(|(known, ..)| *known == name) {
            Some((_, filter, least, most)) if (*least..=*most).contains(&arguments.len()) => {
                Ok(Expr::Filter { filter: *filter, of: Box::new(of), arguments })
            }
            Some((_, _, least, most)) => {
                let takes = if least == most { most.to_string() } else { format!("{least} to {most}") };
                self.refuse(format!("filter {name:?} takes {takes} arguments"));
                Ok(of)
            }
            None => {
                let names: Vec<&str> = FILTERS.iter().map(|(name, ..)| *name).collect();
                self.refuse(format!(
                    "there is no filter {:?}; there are: {}",
                    quoted(name),
                    names.join(", ")
                ));
                Ok(of)
            }
        }
    }

    fn test(&mut self, of: Expr) -> Parsed {
        let negated = self.take_word("not");
        let name = self.word("the name of a test")?;
        let arguments = self.arguments()?;
        match TESTS.iter().find(|(known, ..)| *known == name) {
            Some((_, test, takes)) if *takes == arguments.len() => {
                Ok(Expr::Test { test: *test, negated, of: Box::new(of), arguments })
            }
            Some((_, _, takes)) => {
                self.refuse(format!("test {name:?} takes {takes} arguments, in parentheses"));
                Ok(of)
            }
            None => {
                let names: Vec<&str> = TESTS.iter().map(|(name, ..)| *name).collect();
                self.refuse(format!("there is no test {:?}; there are: {}", quoted(name), names.join(", ")));
                Ok(of)
            }
        }
    }

    fn word(&mut self, expected: &str) -> Result<&'t str, String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.expected(expected)),
        }
    }

    /// `(a, b)`, or nothing.
    fn arguments(&mut self) -> Result<Vec<Expr>, String> {
        let mut arguments = Vec::new();
        if !self.take_sign("(") || self.take_sign(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression()?);
            if !self.take_sign(",") {
                self.need_sign(")")?;
                return Ok(arguments);
            }
        }
    }

    fn value(&mut self) -> Parsed {
        let token = self.peek();
        self.at += 1;
        match token {
            Some(Token::Text(text)) => Ok(Expr::Literal(Json::from(unescape(text)?))),
            Some(Token::Number(text)) => match Number::from_text(text) {
                Some(number) => Ok(Expr::Literal(Json::Number(number))),
                None => Err(format!("{:?} is no number", quoted(text))),
            },
            Some(Token::Word("true" | "True")) => Ok(Expr::Literal(Json::Bool(true))),
            Some(Token::Word("false" | "False")) => Ok(Expr::Literal(Json::Bool(false))),
            Some(Token::Word("none" | "None")) => Ok(Expr::Literal(Json::Null)),
            Some(Token::Word(root)) if !KEYWORDS.contains(&root) => {
                if let Some(refusal) = self.scope.refuse(root, &REQUEST_ROOTS) {
                    self.refuse(refusal);
                }
                Ok(Expr::Root(root.to_owned()))
            }
            Some(Token::Sign("(")) => {
                let expr = self.expression()?;
                self.need_sign(")")?;
                Ok(expr)
            }
            Some(Token::Sign("[" | "{")) => {
                Err("lists and objects can't be written out in a placeholder".to_owned())
            }
            _ => {
                self.at -= 1;
                Err(self.expected("a value"))
            }
        }
    }

    /// The members and elements that are asked of a value.
    fn parts_of(&mut self, mut expr: Expr) -> Parsed {
        loop {
            let of = Box::new(expr);
            if self.take_sign(".") {
                expr = match self.peek() {
                    Some(Token::Word(name)) => Expr::Member { of, name: name.to_owned() },
                    Some(Token::Number(place)) => Expr::Element { of, place: position(place)? },
                    _ => return Err(self.expected("a name")),
                };
                self.at += 1;
            } else if self.take_sign("[") {
                let from_end = self.take_sign("-");
                expr = match self.peek() {
                    Some(Token::Text(name)) if !from_end => Expr::Member { of, name: unescape(name)? },
                    Some(Token::Number(place)) => {
                        let place = position(place)?;
                        Expr::Element { of, place: if from_end { -place } else { place } }
                    }
                    _ => return Err(self.expected("a quoted name or a position")),
                };
                self.at += 1;
                self.need_sign("]")?;
            } else {
                return Ok(*of);
            }
        }
    }
}

fn position(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("{:?} is no position in a list", quoted(text)))
}
