//! I1, I2, I3: what was acknowledged is there and came to its end, nothing else is there, and an event has one set.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::dispatcher::v1::{EndReason, Execution, ExecutionState};

use super::Ledgers;

impl Ledgers {
    /// I1: 0 lost. What ended otherwise than well had a reason to, and somebody who gave it.
    pub(super) fn kept(&self, found: &mut Vec<String>) {
        let there: BTreeMap<&str, &Execution> =
            self.history.iter().map(|execution| (execution.name.as_str(), execution)).collect();
        for (event, names) in &self.asked.acknowledged {
            for name in names {
                match there.get(name.as_str()) {
                    None => found.push(format!("I1: {name} of {event} is lost")),
                    Some(execution) => self.ended_as_asked(event, execution, found),
                }
            }
        }
        for execution in self.history.iter().filter(|execution| self.is_doubtful(execution)) {
            self.ended_as_asked(event_of(execution), execution, found);
        }
    }

    fn ended_as_asked(&self, event: &str, execution: &Execution, found: &mut Vec<String>) {
        let state = execution.state();
        let reason = execution.end.as_ref().map_or(EndReason::Unspecified, |end| end.reason());
        let well = match state {
            ExecutionState::Succeeded => !self.asked.refused.contains(event),
            ExecutionState::Failed => self.asked.refused.contains(event) && reason != EndReason::Unspecified,
            ExecutionState::Stopped | ExecutionState::Cancelled => self.asked.ended.contains(&execution.name),
            _ => false,
        };
        if !well {
            let (name, state, reason) = (&execution.name, state.as_str_name(), reason.as_str_name());
            found.push(format!("I1: {name} of {event} is {state}, {reason}"));
        }
    }

    /// I2: what is there was asked for.
    pub(super) fn asked_for(&self, found: &mut Vec<String>) {
        let told: BTreeSet<&str> = self.asked.acknowledged.values().flatten().map(String::as_str).collect();
        for execution in &self.history {
            if !told.contains(execution.name.as_str()) && !self.is_doubtful(execution) {
                let (name, event) = (&execution.name, event_of(execution));
                found.push(format!("I2: {name} of {event} is there, and nobody was told of it"));
            }
        }
    }

    /// I3: one execution of each automation, and of each webhook that is notified.
    pub(super) fn once(&self, found: &mut Vec<String>) {
        let mut sets: HashMap<(&str, &str, &str), usize> = HashMap::new();
        for execution in &self.history {
            let webhook = execution.deliveries.first().map_or("", |delivery| delivery.webhook.as_str());
            let who = if execution.automation.is_empty() { webhook } else { "" };
            *sets.entry((event_of(execution), &execution.automation, who)).or_default() += 1;
        }
        for ((event, automation, _), count) in sets.into_iter().filter(|(_, count)| *count > 1) {
            found.push(format!("I3: {event} set off {automation} {count} times"));
        }
    }

    fn is_doubtful(&self, execution: &Execution) -> bool {
        let event = event_of(execution);
        self.asked.doubtful.contains(event) && !self.asked.acknowledged.contains_key(event)
    }
}

pub(super) fn event_of(execution: &Execution) -> &str {
    execution.event.as_ref().map_or("", |event| event.id.as_str())
}
