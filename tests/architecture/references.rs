//! Every path that a source file names: in `use`, in code, in macros, in attributes; with what its aliases stand for.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{Kind, Token, tokens};

/// A path as the file writes it.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    /// Its segments; `*` last for a glob.
    pub(crate) path: Vec<String>,
    /// The line it stands on.
    pub(crate) line: usize,
    /// Whether it is compiled for tests only.
    pub(crate) test: bool,
    /// The inline modules it stands in, outermost first.
    within: Vec<String>,
    /// Whether it begins with `::`, or is an `extern crate`.
    global: bool,
}

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Something of another crate: its name and the path below.
    Outside(Vec<String>),
    /// Something of this crate: the path below its root.
    Inside(Vec<String>),
}

/// What a file names.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Its paths, in order.
    pub(crate) references: Vec<Reference>,
    /// Words followed by `!`, with line and whether for tests only.
    pub(crate) macros: Vec<(String, usize, bool)>,
    /// Lines with the keyword `unsafe`.
    pub(crate) unsafe_lines: Vec<usize>,
    /// Lines with a `#[path]` attribute.
    pub(crate) path_attributes: Vec<usize>,
    /// Modules in files of their own that are compiled for tests only.
    pub(crate) test_modules: BTreeSet<String>,
    /// Names that `use` binds, and the paths they stand for.
    bindings: BTreeMap<String, Vec<Reference>>,
}

/// Words after which `::` begins a path rather than going on with one.
const BEFORE_A_PATH: &[&str] = &[
    "as", "box", "break", "const", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move", "mut",
    "pub", "ref", "return", "static", "use", "where", "while", "yield",
];

/// Words that begin an item, as opposed to a field, a variant, an arm or an expression.
const ITEM: &[&str] = &[
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "let",
    "macro_rules",
    "mod",
    "static",
    "struct",
    "trait",
    "type",
    "union",
    "unsafe",
    "use",
];

struct Reader<'a> {
    tokens: &'a [Token],
    source: Source,
    depth: usize,
    modules: Vec<(String, usize)>,
    /// Up to where what is read is for tests only.
    test_until: usize,
}

impl Source {
    /// Reads a file.
    pub(crate) fn read(text: &str) -> Self {
        let tokens = tokens(text);
        let mut reader =
            Reader { tokens: &tokens, source: Self::default(), depth: 0, modules: Vec::new(), test_until: 0 };
        let mut at = 0;
        while at < tokens.len() {
            at = reader.step(at);
        }
        reader.source
    }

    /// What a path stands for, in a file that is the module `module` of a crate with the dependencies `known`.
    /// An alias may stand for several things, when several blocks bind it.
    pub(crate) fn targets(&self, of: &Reference, module: &[String], known: &BTreeSet<String>) -> Vec<Target> {
        self.follow(of, module, known, 8)
    }

    fn follow(
        &self,
        of: &Reference,
        module: &[String],
        known: &BTreeSet<String>,
        depth: usize,
    ) -> Vec<Target> {
        let Some(first) = of.path.first() else { return Vec::new() };
        let mut here: Vec<String> = module.iter().chain(&of.within).cloned().collect();
        let rest = of.path[1..].to_vec();
        match first.as_str() {
            "crate" if !of.global => return vec![Target::Inside(rest)],
            "self" if !of.global => return vec![Target::Inside([here, rest].concat())],
            "super" if !of.global => {
                let ups = of.path.iter().take_while(|segment| *segment == "super").count();
                here.truncate(here.len().saturating_sub(ups));
                return vec![Target::Inside([here, of.path[ups..].to_vec()].concat())];
            }
            "std" | "core" | "alloc" => return vec![Target::Outside(of.path.clone())],
            _ if of.global || known.contains(first) => return vec![Target::Outside(of.path.clone())],
            _ => {}
        }
        if depth == 0 {
            return Vec::new();
        }
        let bound = self.bindings.get(first).map(Vec::as_slice).unwrap_or_default();
        let mut targets = Vec::new();
        for meaning in bound.iter().filter(|meaning| meaning.path != of.path) {
            for target in self.follow(meaning, module, known, depth - 1) {
                targets.push(match target {
                    Target::Outside(path) => Target::Outside([path, rest.clone()].concat()),
                    Target::Inside(path) => Target::Inside([path, rest.clone()].concat()),
                });
            }
        }
        targets
    }
}

impl Reader<'_> {
    fn get(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at)
    }

    fn is(&self, at: usize, sign: char) -> bool {
        self.get(at).is_some_and(|token| token.is(sign))
    }

    fn word(&self, at: usize) -> Option<&str> {
        self.get(at).and_then(Token::word)
    }

    fn separator(&self, at: usize) -> bool {
        self.get(at).is_some_and(|token| token.kind == Kind::Separator)
    }

    fn test(&self, at: usize) -> bool {
        at < self.test_until
    }

    /// Reads what begins at `at`; gives where the next thing begins.
    fn step(&mut self, at: usize) -> usize {
        let token = &self.tokens[at];
        match &token.kind {
            Kind::Sign('{') => self.depth += 1,
            Kind::Sign('}') => {
                self.depth = self.depth.saturating_sub(1);
                if self.modules.last().is_some_and(|(_, depth)| *depth == self.depth) {
                    self.modules.pop();
                }
            }
            Kind::Sign('#') => return self.attribute(at),
            Kind::Word(word) => return self.named(at, &word.clone()),
            _ => {}
        }
        at + 1
    }

    fn named(&mut self, at: usize, word: &str) -> usize {
        let line = self.tokens[at].line;
        match word {
            "use" if !self.is(at + 1, '<') => return self.import(at + 1),
            "unsafe" => self.source.unsafe_lines.push(line),
            "extern" if self.word(at + 1) == Some("crate") => {
                if let Some(name) = self.word(at + 2).map(str::to_owned) {
                    let alias =
                        if self.word(at + 3) == Some("as") { self.word(at + 4) } else { Some(name.as_str()) };
                    let alias = alias.map(str::to_owned);
                    self.record(vec![name], at + 2, true, alias);
                }
                return at + 3;
            }
            "mod" if self.is(at + 2, '{') => {
                if let Some(name) = self.word(at + 1).map(str::to_owned) {
                    self.modules.push((name, self.depth));
                }
                return at + 2;
            }
            "mod" if self.is(at + 2, ';') && self.test(at) => {
                if let Some(name) = self.word(at + 1).map(str::to_owned) {
                    self.source.test_modules.insert(name);
                }
            }
            _ if self.is(at + 1, '!') && !self.is(at + 2, '=') => {
                self.source.macros.push((word.to_owned(), line, self.test(at)));
            }
            _ if self.separator(at + 1) && self.begins_path(at) => return self.path(at),
            _ => {}
        }
        at + 1
    }

    fn begins_path(&self, at: usize) -> bool {
        at == 0 || !self.separator(at - 1) || self.is_global(at)
    }

    /// Whether the `::` before `at` stands at the very beginning of the path.
    fn is_global(&self, at: usize) -> bool {
        at > 0
            && self.separator(at - 1)
            && match at.checked_sub(2).map(|before| &self.tokens[before].kind) {
                Some(Kind::Word(word)) => BEFORE_A_PATH.contains(&word.as_str()),
                Some(Kind::Sign('>')) => at > 2 && matches!(self.tokens[at - 3].kind, Kind::Sign('-' | '=')),
                _ => true,
            }
    }

    fn path(&mut self, start: usize) -> usize {
        let mut path = vec![self.word(start).unwrap_or_default().to_owned()];
        let mut at = start + 1;
        while self.separator(at)
            && let Some(word) = self.word(at + 1)
        {
            path.push(word.to_owned());
            at += 2;
        }
        if self.is(at, '!') && !self.is(at + 1, '=') {
            let name = path.last().cloned().unwrap_or_default();
            self.source.macros.push((name, self.tokens[start].line, self.test(start)));
        }
        let global = self.is_global(start);
        self.record(path, start, global, None);
        at
    }

    fn record(&mut self, path: Vec<String>, at: usize, global: bool, binds: Option<String>) {
        let within = self.modules.iter().map(|(name, _)| name.clone()).collect();
        let reference = Reference { path, line: self.tokens[at].line, test: self.test(at), within, global };
        if let Some(name) = binds {
            self.source.bindings.entry(name).or_default().push(reference.clone());
        }
        self.source.references.push(reference);
    }

    fn import(&mut self, start: usize) -> usize {
        let global = self.separator(start);
        let mut at = self.tree(start, &[], global);
        while at < self.tokens.len() && !self.is(at, ';') {
            at += 1;
        }
        at
    }

    /// One branch of a `use`: a path, with what follows in braces.
    fn tree(&mut self, start: usize, above: &[String], global: bool) -> usize {
        let mut path = above.to_vec();
        let mut global = global;
        let mut at = start;
        loop {
            match self.get(at).map(|token| token.kind.clone()) {
                Some(Kind::Separator) => {
                    global |= path.is_empty();
                    at += 1;
                }
                Some(Kind::Sign('*')) => {
                    path.push("*".to_owned());
                    self.record(path, at, global, None);
                    return at + 1;
                }
                Some(Kind::Sign('{')) => {
                    at += 1;
                    while at < self.tokens.len() && !self.is(at, '}') {
                        if self.is(at, ',') {
                            at += 1;
                        } else {
                            at = self.tree(at, &path, global).max(at + 1);
                        }
                    }
                    return at + 1;
                }
                Some(Kind::Word(word)) if word == "as" => {
                    let alias = self.word(at + 1).map(str::to_owned);
                    self.leaf(path, start, global, alias);
                    return at + 2;
                }
                Some(Kind::Word(word)) => {
                    path.push(word);
                    at += 1;
                }
                _ => {
                    self.leaf(path, start, global, None);
                    return at;
                }
            }
        }
    }

    fn leaf(&mut self, mut path: Vec<String>, at: usize, global: bool, alias: Option<String>) {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = alias.or_else(|| path.last().cloned());
        if !path.is_empty() {
            self.record(path, at, global, name);
        }
    }

    /// An attribute: the paths in it are named like any other, those in its texts too; `cfg(test)` marks what follows.
    fn attribute(&mut self, start: usize) -> usize {
        let inner = self.is(start + 1, '!');
        let open = start + 1 + usize::from(inner);
        if !self.is(open, '[') {
            return start + 1;
        }
        let close = self.closing(open);
        let words: Vec<&str> = self.tokens[open..close].iter().filter_map(Token::word).collect();
        let for_tests = matches!(words.as_slice(), ["cfg", "test"] | ["cfg", "all", "test", ..]);
        if words.first() == Some(&"path") {
            self.source.path_attributes.push(self.tokens[open].line);
        }
        if for_tests {
            let end = if inner { self.tokens.len() } else { self.item_end(close + 1) };
            if !inner || self.depth == 0 {
                self.test_until = self.test_until.max(end);
            }
        }
        let mut at = open + 1;
        while at < close {
            at = match self.tokens[at].kind.clone() {
                Kind::Text(text) => {
                    self.quoted(&text, at);
                    at + 1
                }
                Kind::Word(_) if self.separator(at + 1) && self.begins_path(at) => self.path(at),
                _ => at + 1,
            };
        }
        close + 1
    }

    /// A text in an attribute, which a derive may read as a path.
    fn quoted(&mut self, text: &str, at: usize) {
        let bare = text.strip_prefix("::").unwrap_or(text);
        let path: Vec<String> = bare.split("::").map(str::to_owned).collect();
        let is_word = |segment: &String| {
            !segment.is_empty() && segment.chars().all(|c| c == '_' || c.is_alphanumeric())
        };
        if path.iter().all(is_word) && (path.len() > 1 || text != bare) {
            self.record(path, at, text != bare, None);
        }
    }

    /// Where the bracket that opens at `open` closes.
    fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            match self.tokens[at].kind {
                Kind::Sign('[' | '(' | '{') => depth += 1,
                Kind::Sign(']' | ')' | '}') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at;
                    }
                }
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// Where the item, field, variant or statement that begins at `start` ends.
    fn item_end(&self, start: usize) -> usize {
        let mut at = start;
        while self.is(at, '#') && self.is(at + 1, '[') {
            at = self.closing(at + 1) + 1;
        }
        if self.word(at) == Some("pub") {
            at += 1;
            if self.is(at, '(') {
                at = self.closing(at) + 1;
            }
        }
        let first = self.word(at).unwrap_or_default();
        let (is_item, is_use) = (ITEM.contains(&first), first == "use");
        while at < self.tokens.len() {
            match self.tokens[at].kind {
                Kind::Sign(';') => return at + 1,
                Kind::Sign(',') if !is_item => return at + 1,
                Kind::Sign(']' | ')' | '}') => return at,
                Kind::Sign('{') if is_item && !is_use => return self.closing(at) + 1,
                Kind::Sign('[' | '(' | '{') => at = self.closing(at) + 1,
                _ => at += 1,
            }
        }
        at
    }
}
