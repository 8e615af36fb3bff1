//! `sluice url check`: audits a list of URLs without a connection or a look-up.

use std::io::{self, BufRead, Write};

use sluice_egress::{Policy, Resolutions, check_line};

use crate::cli::UrlCheck;

/// Bytes of one line that are looked at; a URL has at most 2,048, so whatever is longer is refused unread.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// Judges standard input line by line onto standard output.
///
/// # Errors
/// Only when reading or writing fails; a reader that went away ends the run in order.
pub fn run(arguments: &UrlCheck) -> anyhow::Result<()> {
    let policy = Policy { allow_http: arguments.allow_http, ..Policy::default() };
    let mut given = Resolutions::default();
    for resolution in &arguments.resolve {
        given.add(resolution)?;
    }
    match check_all(io::stdin().lock(), io::stdout().lock(), &policy, &given) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Writes one line for each line read: the verdict, a tab, the reason.
fn check_all(
    mut input: impl BufRead,
    mut output: impl Write,
    policy: &Policy,
    given: &Resolutions,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if io::Read::take(&mut input, MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return output.flush();
        }
        let whole = line.ends_with(b"\n") || (line.len() as u64) < MAX_LINE_BYTES;
        if !whole {
            skip_line(&mut input)?;
            writeln!(output, "refuse\ttoo-long: the line has more than {MAX_LINE_BYTES} bytes")?;
            continue;
        }
        match std::str::from_utf8(&line) {
            Ok(text) => writeln!(output, "{}", check_line(text, policy, given))?,
            Err(_) => writeln!(output, "refuse\tnot-a-url: the line is not UTF-8")?,
        }
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                input.consume(at + 1);
                return Ok(());
            }
            None => {
                let seen = buffer.len();
                input.consume(seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(input: &[u8], allow_http: bool, resolve: &[&str]) -> Vec<String> {
        let policy = Policy { allow_http, ..Policy::default() };
        let mut given = Resolutions::default();
        for resolution in resolve {
            given.add(resolution).unwrap();
        }
        let mut output = Vec::new();
        check_all(input, &mut output, &policy, &given).unwrap();
        String::from_utf8(output).unwrap().lines().map(str::to_owned).collect()
    }

    fn verdicts(input: &[u8]) -> Vec<String> {
        answers(input, true, &["known.dev=93.184.215.14"])
            .iter()
            .map(|line| line.split_once('\t').unwrap().0.to_owned())
            .collect()
    }

    #[test]
    fn every_line_has_one_answer_in_its_order() {
        let input = b"http://169.254.169.254/\nhttps://example.com/hook\nhttps://known.dev/\n\nnonsense";
        assert_eq!(verdicts(input), ["refuse", "needs-dns", "allow", "refuse", "refuse"]);
    }

    #[test]
    fn answers_name_their_reason_after_the_tab() {
        let lines = answers(b"http://8.8.8.8/\nhttps://example.com/\n", false, &[]);
        assert!(lines[0].starts_with("refuse\t") && lines[0].contains("http"), "{}", lines[0]);
        assert!(lines[1].starts_with("needs-dns\tname-not-resolved: "), "{}", lines[1]);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_and_the_run_goes_on() {
        assert_eq!(verdicts(b"https://\xff\xfe/\n\x00\nhttps://8.8.8.8/\n"), ["refuse", "refuse", "allow"]);
    }

    #[test]
    fn an_endless_line_is_refused_once_and_the_next_one_judged() {
        let mut input = b"https://8.8.8.8/".to_vec();
        input.resize(200_000, b'a');
        input.extend_from_slice(b"\nhttps://8.8.8.8/\n");
        assert_eq!(verdicts(&input), ["refuse", "allow"]);
    }

    #[test]
    fn nothing_in_is_nothing_out() {
        assert_eq!(verdicts(b""), Vec::<String>::new());
    }
}
