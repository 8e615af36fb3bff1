//! What the demo tells while it goes on: plain text in short lines, or nothing.

use std::fmt::Display;
use std::io::{self, Write};

/// Tells, or keeps silent.
pub struct Story {
    aloud: bool,
    chapters: u32,
}

impl Story {
    /// A story for people, or, when not `aloud`, none.
    pub fn new(aloud: bool) -> Self {
        Self { aloud, chapters: 0 }
    }

    /// Begins a chapter.
    pub fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        self.say(format_args!("\n{}. {title}", self.chapters));
    }

    /// One line under the chapter.
    pub fn line(&self, text: impl Display) {
        self.say(format_args!("   {text}"));
    }

    /// One line with its result at the right.
    pub fn result(&self, what: &str, came: impl Display) {
        self.say(format_args!("   {what:<58} {came}"));
    }

    /// One line at the margin.
    pub fn say(&self, text: impl Display) {
        if self.aloud {
            // A reader that went away is no reason to end half-way.
            let _gone = writeln!(io::stdout().lock(), "{text}");
        }
    }
}
