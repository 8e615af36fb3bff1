//! A call that did not go well, as a person reads it: what the server said, every field at fault, what to do next.

use std::error::Error as _;
use std::fmt;

use sluice_rpc::{Refusal, fault_of};
use sluice_runtime::HumanSpan;
use tonic::{Code, Status};

use super::advice::{self, Situation};
use super::printable::Printable;

/// What came in place of an answer.
#[derive(Debug, thiserror::Error)]
pub struct Refused(Box<Parts>);

#[derive(Debug)]
struct Parts {
    message: String,
    kind: Kind,
    situation: Situation,
}

#[derive(Debug)]
enum Kind {
    /// A server of Sluice refused.
    Refusal(Refusal),
    /// Nobody answered.
    Unreachable,
    /// Somebody else answered.
    Foreign(Code),
}

impl Refused {
    /// Reads what a call came back with.
    pub fn read(status: &Status, situation: Situation) -> Self {
        let kind = match fault_of(status) {
            Some(refusal) => Kind::Refusal(refusal),
            None if status.source().is_some() || status.code() == Code::Unavailable => Kind::Unreachable,
            None => Kind::Foreign(status.code()),
        };
        let message = match (&kind, root_cause(status)) {
            (Kind::Unreachable, Some(cause)) => cause,
            _ => status.message().to_owned(),
        };
        Self(Box::new(Parts { message, kind, situation }))
    }

    /// The reason, when a server of Sluice refused.
    pub fn reason(&self) -> Option<&str> {
        match &self.0.kind {
            Kind::Refusal(refusal) => Some(&refusal.reason),
            Kind::Unreachable | Kind::Foreign(_) => None,
        }
    }
}

fn root_cause(status: &Status) -> Option<String> {
    let mut cause = status.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { message: said, kind, situation } = self.0.as_ref();
        let (message, server) = (Printable(said), &situation.server);
        match kind {
            Kind::Unreachable => {
                write!(f, "can't reach {server}: {message}\nnext: {}", advice::unreachable(said, situation))
            }
            Kind::Foreign(code) => {
                write!(
                    f,
                    "{server} did not answer as Sluice does: {code:?} {message}\nnext: {}",
                    advice::FOREIGN
                )
            }
            Kind::Refusal(refusal) => {
                write!(f, "{message} ({})", Printable(&refusal.reason))?;
                let fields = refusal.violations.iter();
                for violation in fields {
                    let line = format!("{}: {}", violation.field, violation.description);
                    // A refusal for one field has it as its message.
                    if line != *said {
                        write!(f, "\n  {}", Printable(line.trim_start_matches(": ")))?;
                    }
                }
                if let Some(after) = refusal.retry_after {
                    write!(f, "\n  can be tried again in {}", HumanSpan(after))?;
                }
                write!(f, "\nnext: {}", advice::after(refusal, situation))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::{Reason, Span, Violations};
    use sluice_rpc::Fault;

    use super::*;
    use crate::client::Part;

    fn said(status: &Status) -> String {
        let situation = Situation {
            server: "http://127.0.0.1:7090".to_owned(),
            account: Some("acme".to_owned()),
            part: Part::Admin,
            minted_from: None,
        };
        Refused::read(status, situation).to_string()
    }

    #[test]
    fn every_field_has_its_line_and_a_single_one_is_not_said_twice() {
        let mut violations = Violations::new();
        violations.add("webhook.display_name", "must not be empty");
        let one = said(&Fault::invalid(violations.clone()).into());
        assert_eq!(one.matches("display_name").count(), 1, "{one}");
        violations.add("webhook.endpoint_url", "must be https");
        let two = said(&Fault::invalid(violations).into());
        assert!(
            two.contains(
                "\n  webhook.display_name: must not be empty\n  webhook.endpoint_url: must be https\n"
            ),
            "{two}"
        );
    }

    #[test]
    fn when_it_can_be_tried_again_is_said() {
        let said =
            said(&Fault::unavailable("the dispatcher does not answer", Span::from_millis(1_500)).into());
        assert!(
            said.starts_with(
                "the dispatcher does not answer (UNAVAILABLE)\n  can be tried again in 1s500ms\nnext: "
            ),
            "{said}"
        );
    }

    #[test]
    fn a_server_can_not_act_on_the_terminal() {
        let fault = Fault::of(Reason::NotFound, "no\u{1b}[2Jsuch").with("resource_type", "web\u{9b}hook");
        let said = said(&fault.violation("a\rb", "c\u{7}").into());
        assert!(said.chars().all(|letter| letter == '\n' || !letter.is_control()), "{said:?}");
    }

    #[test]
    fn an_answer_of_somebody_else_is_told_from_no_answer() {
        let foreign = said(&Status::unauthenticated("log in at the proxy"));
        assert!(
            foreign.contains("did not answer as Sluice does: Unauthenticated log in at the proxy"),
            "{foreign}"
        );
        let mut nobody = Status::unavailable("transport error");
        nobody.set_source(std::sync::Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)));
        let nobody = said(&nobody);
        assert!(
            nobody.starts_with("can't reach http://127.0.0.1:7090: connection refused\nnext: is `sluice up`"),
            "{nobody}"
        );
    }
}
