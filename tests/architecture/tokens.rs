//! Rust source as a flat list of tokens: what is left when comments, whitespace and the inside of literals no longer matter.

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A word: identifier or keyword, raw identifiers without their `r#`.
    Word(String),
    /// `::`.
    Separator,
    /// Any other sign.
    Sign(char),
    /// The inside of a string literal, escapes left as they stand.
    Text(String),
    /// Any other literal, or a lifetime.
    Other,
}

/// One token and the line it stands on, from 1.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: Kind,
    /// The line.
    pub(crate) line: usize,
}

impl Token {
    /// The word, if it is one.
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Whether it is this sign.
    pub(crate) fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

/// The tokens of a source file.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut scanner = Scanner { chars: source.chars().collect(), at: 0, line: 1, tokens: Vec::new() };
    while scanner.at < scanner.chars.len() {
        scanner.step();
    }
    scanner.tokens
}

impl Scanner {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn next(&mut self) -> char {
        let c = self.peek(0);
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        c
    }

    fn push(&mut self, kind: Kind, line: usize) {
        self.tokens.push(Token { kind, line });
    }

    fn step(&mut self) {
        let line = self.line;
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.skip_line(),
            ('/', '*') => self.skip_block(),
            ('"', _) => {
                self.next();
                self.string(line);
            }
            ('\'', _) => self.quote(line),
            (':', ':') => {
                self.at += 2;
                self.push(Kind::Separator, line);
            }
            (c, _) if c == '_' || c.is_alphabetic() => self.word(line),
            (c, _) if c.is_ascii_digit() => self.number(line),
            (c, _) => {
                self.next();
                if !c.is_whitespace() {
                    self.push(Kind::Sign(c), line);
                }
            }
        }
    }

    fn skip_line(&mut self) {
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            self.at += 1;
        }
    }

    fn skip_block(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.at += 2;
                }
                ('*', '/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => {
                    self.next();
                }
            }
        }
    }

    /// A string whose opening quote has been read.
    fn string(&mut self, line: usize) {
        let mut text = String::new();
        while self.at < self.chars.len() {
            match self.next() {
                '"' => break,
                '\\' => {
                    text.push('\\');
                    text.push(self.next());
                }
                c => text.push(c),
            }
        }
        self.push(Kind::Text(text), line);
    }

    /// A raw string whose prefix letters have been read: `#`s, a quote, text, a quote, as many `#`s.
    fn raw_string(&mut self, line: usize) {
        let mut hashes = 0;
        while self.peek(0) == '#' {
            hashes += 1;
            self.at += 1;
        }
        self.next();
        let mut text = String::new();
        while self.at < self.chars.len() {
            let c = self.next();
            if c == '"' && (0..hashes).all(|ahead| self.peek(ahead) == '#') {
                self.at += hashes;
                break;
            }
            text.push(c);
        }
        self.push(Kind::Text(text), line);
    }

    /// A character literal or a lifetime.
    fn quote(&mut self, line: usize) {
        self.next();
        if self.peek(0) == '\\' {
            self.at += 2;
            while self.at < self.chars.len() && self.next() != '\'' {}
        } else if self.peek(1) == '\'' {
            self.next();
            self.next();
        } else {
            while self.peek(0) == '_' || self.peek(0).is_alphanumeric() {
                self.at += 1;
            }
        }
        self.push(Kind::Other, line);
    }

    fn word(&mut self, line: usize) {
        let start = self.at;
        while self.peek(0) == '_' || self.peek(0).is_alphanumeric() {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        let raw_follows = self.peek(0) == '"' || (self.peek(0) == '#' && matches!(self.peek(1), '"' | '#'));
        match (word.as_str(), self.peek(0)) {
            ("r" | "br" | "cr", _) if raw_follows => self.raw_string(line),
            ("b" | "c", '"') => {
                self.next();
                self.string(line);
            }
            ("b", '\'') => self.quote(line),
            // A raw identifier: the name that follows is the word.
            ("r", '#') => {
                self.at += 1;
                self.word(line);
            }
            _ => self.push(Kind::Word(word), line),
        }
    }

    fn number(&mut self, line: usize) {
        while self.peek(0) == '_' || self.peek(0).is_alphanumeric() {
            self.at += 1;
        }
        self.push(Kind::Other, line);
    }
}

#[test]
fn comments_and_literals_hide_nothing_and_add_nothing() {
    let source = "a /* b /* c */ d */ r#\"e \" f\"# // g\n'h' 'i: \"\\\" j\" b'k' r#use '\\'' ::l 'm'.n";
    let words: Vec<_> = tokens(source).iter().filter_map(|t| t.word().map(str::to_owned)).collect();
    assert_eq!(words, ["a", "use", "l", "n"]);
    let texts: Vec<_> = tokens(source)
        .into_iter()
        .filter_map(|t| if let Kind::Text(text) = t.kind { Some(text) } else { None })
        .collect();
    assert_eq!(texts, ["e \" f", "\\\" j"]);
}
