//! From the wire to nouns, with every broken rule at once.

use proto::event::v1 as event;
use proto::registry::v1 as wire;
use sluice_domain::{Action, Catalogue, Rate, ReceiverLimits, RequestId, Secret, Subscription, Violations};
use sluice_egress::Policy;
use sluice_rpc::convert::from_duration;

use crate::authentication::Authentication;
use crate::endpoint::{Disclosure, Endpoint, ForbiddenTarget};
use crate::error::Error;
use crate::webhook::{Change, DisplayName, Draft, Kind, Ordering, State, Why, check_subscription};

/// The most actions a subscription may list: as many as there are.
const MAX_ACTIONS: usize = 3;
/// The most paths an update mask may have: more than a webhook has fields.
const MAX_PATHS: usize = 20;

/// What endpoints are judged by.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    /// What this deployment lets out.
    pub(crate) policy: Policy,
    /// What a refusal tells.
    pub(crate) disclosure: Disclosure,
}

/// Why the system disables a webhook.
pub(crate) fn disable_reason(request: &wire::DisableWebhookRequest) -> Result<Why, Error> {
    match request.reason() {
        wire::DisableReason::Gone => Ok(Why::Gone),
        wire::DisableReason::Failing => Ok(Why::Failing),
        wire::DisableReason::Unspecified | wire::DisableReason::ByHand => {
            let mut violations = Violations::new();
            violations.add("reason", "must be DISABLE_REASON_GONE or DISABLE_REASON_FAILING");
            Err(violations.into())
        }
    }
}

/// A request being read: what is wrong with it so far.
#[derive(Default)]
pub(crate) struct Reading {
    pub(crate) violations: Violations,
    forbidden: Option<ForbiddenTarget>,
}

impl Reading {
    /// `Ok`, or the error that lists all that is wrong; [`Error::TargetForbidden`] when the endpoint alone is.
    fn end(mut self) -> Result<(), Error> {
        match (self.violations.is_empty(), self.forbidden) {
            (true, None) => Ok(()),
            (true, Some(forbidden)) => Err(Error::TargetForbidden(forbidden)),
            (false, forbidden) => {
                if let Some(forbidden) = forbidden {
                    self.violations.add("webhook.endpoint_url", forbidden);
                }
                Err(self.violations.into())
            }
        }
    }

    /// What was read, once nothing is wrong.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Error> {
        self.end()?;
        read.ok_or_else(|| Error::Internal("a request was read without a fault and without a value".into()))
    }

    fn endpoint(&mut self, text: &str, targets: &Targets) -> Option<Endpoint> {
        if text.is_empty() {
            self.violations.add("webhook.endpoint_url", "is required");
            return None;
        }
        Endpoint::parse(text, &targets.policy, targets.disclosure)
            .map_err(|forbidden| self.forbidden = Some(forbidden))
            .ok()
    }

    fn authentication(&mut self, given: Option<wire::Authentication>) -> Option<Authentication> {
        use wire::authentication::Kind as Given;
        let read = match given.and_then(|given| given.kind) {
            None => Ok(Authentication::none()),
            Some(Given::Basic(basic)) => Authentication::basic(&basic.username, Secret::new(basic.password)),
            Some(Given::Bearer(bearer)) => Authentication::bearer(Secret::new(bearer.token)),
            Some(Given::ApiKey(key)) => Authentication::api_key(&key.header, Secret::new(key.key)),
        };
        read.map_err(|broken| self.violations.extend(broken)).ok()
    }

    fn display_name(&mut self, text: &str) -> Option<DisplayName> {
        self.violations.keep("webhook.display_name", text.parse())
    }

    fn subscription(&mut self, given: Option<event::Subscription>) -> Option<Option<Subscription>> {
        let Some(given) = given else { return Some(None) };
        let object = match given.object.as_str() {
            "*" => Some(None),
            named => self.violations.keep("webhook.subscription.object", named.parse()).map(Some),
        };
        if given.actions.len() > MAX_ACTIONS {
            self.violations.add("webhook.subscription.actions", format!("must be at most {MAX_ACTIONS}"));
            return None;
        }
        let mut actions = Vec::new();
        for (at, number) in given.actions.into_iter().enumerate() {
            match action(number) {
                Some(action) if actions.contains(&action) => {}
                Some(action) => actions.push(action),
                None => self.violations.add(
                    format!("webhook.subscription.actions[{at}]"),
                    "must be ACTION_ADDED, ACTION_UPDATED or ACTION_DELETED",
                ),
            }
        }
        Some(Some(Subscription { object: object?, actions }))
    }

    fn state(&mut self, number: i32) -> Option<State> {
        match wire::WebhookState::try_from(number) {
            Ok(wire::WebhookState::Enabled) => Some(State::Enabled),
            Ok(wire::WebhookState::Disabled) => Some(State::Disabled),
            _ => {
                self.violations
                    .add("webhook.state", "must be WEBHOOK_STATE_ENABLED or WEBHOOK_STATE_DISABLED");
                None
            }
        }
    }

    fn max_in_flight(&mut self, given: Option<u32>) -> Option<Option<u32>> {
        match given.and_then(ReceiverLimits::in_flight_fault) {
            Some(fault) => {
                self.violations.add("webhook.max_in_flight", fault);
                None
            }
            None => Some(given),
        }
    }

    fn rate(&mut self, given: Option<wire::Rate>) -> Option<Option<Rate>> {
        let Some(given) = given else { return Some(None) };
        // A span that can't be read is as wrong as none.
        let per = given.per.as_ref().and_then(|per| from_duration(per).ok()).unwrap_or_default();
        let rate = Rate { units: given.units, per, burst: given.burst };
        let faults = ReceiverLimits::rate_faults(rate);
        for (field, fault) in &faults {
            self.violations.add(format!("webhook.rate.{field}"), *fault);
        }
        faults.is_empty().then_some(Some(rate))
    }

    fn ordering(&mut self, number: i32) -> Option<Ordering> {
        match wire::WebhookOrdering::try_from(number) {
            Ok(wire::WebhookOrdering::None) => Some(Ordering::None),
            Ok(wire::WebhookOrdering::Record) => Some(Ordering::Record),
            _ => {
                let rule = "must be WEBHOOK_ORDERING_NONE or WEBHOOK_ORDERING_RECORD";
                self.violations.add("webhook.ordering", rule);
                None
            }
        }
    }

    /// A kind that has to be given.
    fn kind(&mut self, number: i32) -> Option<Kind> {
        let kind = kind(number);
        if kind.is_none() {
            self.violations.add("webhook.kind", "must be WEBHOOK_KIND_AUTOMATION or WEBHOOK_KIND_EVENT");
        }
        kind
    }

    /// A kind to filter by; unspecified means both.
    pub(crate) fn kind_filter(&mut self, number: i32) -> Option<Kind> {
        let read = kind(number);
        if read.is_none() && number != 0 {
            self.violations.add("kind", "must be WEBHOOK_KIND_AUTOMATION, WEBHOOK_KIND_EVENT or unspecified");
        }
        read
    }

    /// A display name to filter by; none given means all.
    pub(crate) fn display_name_filter(&mut self, text: &str) -> Option<DisplayName> {
        if text.is_empty() {
            return None;
        }
        self.violations.keep("display_name", text.parse())
    }

    /// What a new webhook is to be; `None` once something is wrong.
    pub(crate) fn draft(&mut self, given: Option<wire::Webhook>, targets: &Targets) -> Option<Draft> {
        let Some(given) = given else {
            self.violations.add("webhook", "is required");
            return None;
        };
        let kind = self.kind(given.kind);
        let display_name = self.display_name(&given.display_name);
        let endpoint = self.endpoint(&given.endpoint_url, targets);
        let authentication = self.authentication(given.authentication);
        let subscription = self.subscription(given.subscription);
        let state = if given.state == 0 { Some(State::Enabled) } else { self.state(given.state) };
        let max_in_flight = self.max_in_flight(given.max_in_flight);
        let rate = self.rate(given.rate);
        let ordering = if given.ordering == 0 { Some(Ordering::None) } else { self.ordering(given.ordering) };
        if let (Some(kind), Some(subscription)) = (kind, &subscription) {
            check_subscription(kind, subscription.as_ref(), &mut self.violations);
        }
        Some(Draft {
            kind: kind?,
            display_name: display_name?,
            endpoint: endpoint?,
            authentication: authentication?,
            subscription: subscription?,
            state: state?,
            limits: ReceiverLimits { max_in_flight: max_in_flight?, rate: rate? },
            ordering: ordering?,
        })
    }

    /// What is to change; the mask says which fields of `given` count.
    pub(crate) fn change(
        &mut self,
        given: wire::Webhook,
        mask: Option<prost_types::FieldMask>,
        targets: &Targets,
    ) -> Change {
        let mut change = Change::default();
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.is_empty() {
            self.violations.add("update_mask", "is required and must name at least one field");
        }
        if paths.len() > MAX_PATHS {
            self.violations.add("update_mask", format!("must name at most {MAX_PATHS} fields"));
            return change;
        }
        let named = |field: &str| paths.iter().any(|path| path == field);
        if named("display_name") {
            change.display_name = self.display_name(&given.display_name);
        }
        if named("endpoint_url") {
            change.endpoint = self.endpoint(&given.endpoint_url, targets);
        }
        if named("authentication") {
            change.authentication = self.authentication(given.authentication);
        }
        if named("subscription") {
            change.subscription = self.subscription(given.subscription);
        }
        if named("state") {
            change.state = self.state(given.state);
        }
        if named("max_in_flight") {
            change.max_in_flight = self.max_in_flight(given.max_in_flight);
        }
        if named("rate") {
            change.rate = self.rate(given.rate);
        }
        if named("ordering") {
            change.ordering = self.ordering(given.ordering);
        }
        for path in &paths {
            match path.as_str() {
                "display_name" | "endpoint_url" | "authentication" | "subscription" | "state"
                | "max_in_flight" | "rate" | "ordering" => {}
                "name" | "kind" | "owner" | "owner_is_admin" | "create_time" | "update_time" | "etag" => {
                    self.violations.add("update_mask", format!("`{path}` can't be changed"));
                }
                _ => self.violations.add(
                    "update_mask",
                    format!(
                        "`{}` is not one of display_name, endpoint_url, authentication, subscription, state, \
                         max_in_flight, rate, ordering",
                        path.chars().take(64).collect::<String>()
                    ),
                ),
            }
        }
        change
    }

    /// The name of a plan that there is.
    pub(crate) fn plan(&mut self, name: String, catalogue: &Catalogue) -> Option<String> {
        if catalogue.get(&name).is_some() {
            return Some(name);
        }
        let names: Vec<_> = catalogue.names().collect();
        self.violations.add("plan", format!("must be a plan of the catalogue: {}", names.join(", ")));
        None
    }

    /// A signing secret, if one is given.
    pub(crate) fn signing(&mut self, text: &str) -> Option<sluice_signing::Secret> {
        if text.is_empty() {
            return None;
        }
        self.violations.keep("signing_secret", sluice_signing::Secret::parse(text))
    }

    /// A request id, if one is given.
    pub(crate) fn request_id(&mut self, text: &str) -> Option<RequestId> {
        if text.is_empty() {
            return None;
        }
        self.violations.keep("request_id", text.parse())
    }
}

fn kind(number: i32) -> Option<Kind> {
    match wire::WebhookKind::try_from(number) {
        Ok(wire::WebhookKind::Automation) => Some(Kind::Automation),
        Ok(wire::WebhookKind::Event) => Some(Kind::Event),
        _ => None,
    }
}

fn action(number: i32) -> Option<Action> {
    match event::Action::try_from(number) {
        Ok(event::Action::Added) => Some(Action::Added),
        Ok(event::Action::Updated) => Some(Action::Updated),
        Ok(event::Action::Deleted) => Some(Action::Deleted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Targets {
        Targets { policy: Policy::default(), disclosure: Disclosure::Tenant }
    }

    fn good() -> wire::Webhook {
        wire::Webhook {
            display_name: "Won".into(),
            kind: wire::WebhookKind::Event.into(),
            endpoint_url: "https://hooks.example.com/in".into(),
            subscription: Some(event::Subscription { object: "deal".into(), actions: vec![2, 2, 1] }),
            ..wire::Webhook::default()
        }
    }

    fn fields(reading: Reading) -> Vec<String> {
        match reading.end() {
            Err(Error::Invalid(violations)) => violations.into_iter().map(|v| v.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_good_request_becomes_a_draft_with_its_defaults() {
        let mut reading = Reading::default();
        let draft = reading.draft(Some(good()), &targets()).unwrap();
        reading.end().unwrap();
        assert_eq!((draft.kind, draft.state), (Kind::Event, State::Enabled));
        let subscription = draft.subscription.unwrap();
        assert_eq!(subscription.actions, [Action::Updated, Action::Added]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let mut reading = Reading::default();
        let bad = wire::Webhook {
            display_name: String::new(),
            kind: 9,
            endpoint_url: "https://127.0.0.1/".into(),
            authentication: Some(wire::Authentication {
                kind: Some(wire::authentication::Kind::Bearer(wire::BearerAuthentication::default())),
            }),
            subscription: Some(event::Subscription { object: "Deal".into(), actions: vec![0] }),
            state: 7,
            ordering: 7,
            ..wire::Webhook::default()
        };
        assert!(reading.draft(Some(bad), &targets()).is_none());
        assert!(reading.signing("whsec_short").is_none());
        assert!(reading.request_id(&"x".repeat(129)).is_none());
        assert_eq!(
            fields(reading),
            [
                "webhook.kind",
                "webhook.display_name",
                "webhook.authentication.bearer.token",
                "webhook.subscription.object",
                "webhook.subscription.actions[0]",
                "webhook.state",
                "webhook.ordering",
                "signing_secret",
                "request_id",
                "webhook.endpoint_url",
            ]
        );
    }

    #[test]
    fn limits_are_read_whole_and_each_number_out_of_bounds_is_named() {
        let per = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        let limited = |units, max_in_flight| wire::Webhook {
            max_in_flight: Some(max_in_flight),
            rate: Some(wire::Rate { units, per, burst: 5 }),
            ..good()
        };
        let mut reading = Reading::default();
        let limits = reading.draft(Some(limited(10, 3)), &targets()).unwrap().limits;
        assert_eq!((limits.max_in_flight, limits.rate.unwrap().units), (Some(3), 10));
        let mut reading = Reading::default();
        assert!(reading.draft(Some(limited(0, 0)), &targets()).is_none());
        assert_eq!(fields(reading), ["webhook.max_in_flight", "webhook.rate.units"]);
        let mut reading = Reading::default();
        let mask = prost_types::FieldMask { paths: vec!["rate".to_owned()] };
        let change = reading.change(good(), Some(mask), &targets());
        assert_eq!(
            (change.rate, change.max_in_flight),
            (Some(None), None),
            "what is not given is taken away"
        );
    }

    #[test]
    fn an_endpoint_that_alone_is_wrong_has_its_own_reason() {
        let mut reading = Reading::default();
        let bad = wire::Webhook { endpoint_url: "https://10.0.0.1/".into(), ..good() };
        assert!(reading.draft(Some(bad), &targets()).is_none());
        assert!(matches!(reading.end(), Err(Error::TargetForbidden(_))));
    }

    #[test]
    fn a_subscription_must_fit_the_kind() {
        for bad in [
            wire::Webhook { subscription: None, ..good() },
            wire::Webhook { kind: wire::WebhookKind::Automation.into(), ..good() },
        ] {
            let mut reading = Reading::default();
            reading.draft(Some(bad), &targets());
            assert_eq!(fields(reading), ["webhook.subscription"]);
        }
    }

    fn masked(paths: &[&str]) -> (Reading, Change) {
        let mut reading = Reading::default();
        let mask = prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        let given = wire::Webhook { state: wire::WebhookState::Disabled.into(), ..good() };
        let change = reading.change(given, Some(mask), &targets());
        (reading, change)
    }

    #[test]
    fn only_what_the_mask_names_is_taken() {
        let (reading, change) = masked(&["state"]);
        reading.end().unwrap();
        assert_eq!(change.state, Some(State::Disabled));
        assert!(change.display_name.is_none() && change.endpoint.is_none() && change.subscription.is_none());
    }

    #[test]
    fn a_list_that_is_too_long_is_one_fault_however_long_it_is() {
        let mut reading = Reading::default();
        let subscription = event::Subscription { object: "deal".into(), actions: vec![9; 500_000] };
        reading.draft(Some(wire::Webhook { subscription: Some(subscription), ..good() }), &targets());
        assert_eq!(fields(reading), ["webhook.subscription.actions"]);
        let (reading, change) = masked(&["state"; 21]);
        assert_eq!((fields(reading), change.state), (vec!["update_mask".to_owned()], None));
    }

    #[test]
    fn a_mask_of_unknown_and_fixed_fields_is_refused_field_by_field() {
        let (reading, _) = masked(&["kind", "state", "colour", "name", "*", "authentication.basic.password"]);
        assert_eq!(fields(reading), ["update_mask"; 5]);
        let (reading, _) = masked(&[]);
        assert_eq!(fields(reading), ["update_mask"]);
    }
}
