//! An account with something of everything in it, and all that can be read of it.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use proto::dispatcher::v1 as dispatcher;
use proto::evaluator::v1 as evaluator;
use proto::event::v1::{Action, Event, Subscription, Visibility};
use proto::registry::v1 as registry;
use sluice_auth::Role;
use sluice_tests::requests::{delay, step};
use sluice_tests::until;

use super::contract::ids_in;
use super::door::Listener::{Public, RegistryInternal};
use super::house::House;
use super::names::unique;

/// The account that is spied on. An id is random, and may hold any word of letters by chance; none holds a dot.
pub(crate) const THEIRS: &str = "a.me";
/// The account of whoever spies.
pub(crate) const MINE: &str = "globex";
/// Stands in every text of [`THEIRS`].
pub(crate) const CANARY: &str = "canary";

pub(crate) const CREATE_WEBHOOK: &str = "/sluice.registry.v1.WebhookService/CreateWebhook";
pub(crate) const DELETE_WEBHOOK: &str = "/sluice.registry.v1.WebhookService/DeleteWebhook";
pub(crate) const LIST_WEBHOOKS: &str = "/sluice.registry.v1.WebhookService/ListWebhooks";
pub(crate) const CREATE_AUTOMATION: &str = "/sluice.evaluator.v1.AutomationService/CreateAutomation";
pub(crate) const LIST_AUTOMATIONS: &str = "/sluice.evaluator.v1.AutomationService/ListAutomations";
pub(crate) const INGEST_EVENT: &str = "/sluice.evaluator.v1.EventService/IngestEvent";
pub(crate) const GET_EXECUTION: &str = "/sluice.dispatcher.v1.ExecutionService/GetExecution";
pub(crate) const LIST_EXECUTIONS: &str = "/sluice.dispatcher.v1.ExecutionService/ListExecutions";
const RETRY_EXECUTIONS: &str = "/sluice.dispatcher.v1.ExecutionService/RetryExecutions";
const CANCEL_EXECUTIONS: &str = "/sluice.dispatcher.v1.ExecutionService/CancelExecutions";
const WATCH_EXECUTIONS: &str = "/sluice.dispatcher.v1.ExecutionService/WatchExecutions";

/// An account and the ids of what it has.
#[derive(Debug)]
pub(crate) struct Account {
    /// Its name.
    pub(crate) name: &'static str,
    /// Stands in every text of it.
    pub(crate) word: &'static str,
    /// Where its requests go.
    pub(crate) endpoint: String,
    /// A webhook for automations.
    pub(crate) webhook: String,
    /// A webhook for events, the member `max`'s.
    pub(crate) event_webhook: String,
    /// A webhook that is gone.
    pub(crate) deleted_webhook: String,
    /// An active automation: sends at once.
    pub(crate) automation: String,
    /// An active automation: waits an hour first.
    pub(crate) slow_automation: String,
    /// An automation that is gone.
    pub(crate) deleted_automation: String,
    /// An execution that waits.
    pub(crate) waiting: String,
    /// The etag of `webhook`; not that of anything new.
    pub(crate) etag: String,
    /// Texts of its own choice: names of webhooks, request ids, ids of events.
    pub(crate) keys: [String; 3],
    /// Where its first pages ended, by RPC.
    pub(crate) page_tokens: BTreeMap<&'static str, String>,
}

/// Something new that a request is about, for requests that use it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing.
    Nothing,
    /// A webhook for automations.
    Webhook,
    /// A webhook for events, the member `max`'s.
    EventWebhook,
    /// An automation, inactive.
    Automation,
    /// An execution that waits.
    Waiting,
    /// An execution that was cancelled.
    Cancelled,
}

/// What a request is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Whose things it names.
    pub(crate) account: &'a Account,
    /// The id of what it [`Needs`].
    pub(crate) fresh: &'a str,
}

impl Account {
    /// Puts the account on a plan and fills it.
    pub(crate) async fn furnish(
        house: &House,
        name: &'static str,
        word: &'static str,
        endpoint: String,
    ) -> Self {
        house.admit(name).await;
        let key = |of: &str| format!("{word}-{of}-{}", unique());
        let mut account = Self {
            name,
            word,
            endpoint,
            webhook: String::new(),
            event_webhook: String::new(),
            deleted_webhook: String::new(),
            automation: String::new(),
            slow_automation: String::new(),
            deleted_automation: String::new(),
            waiting: String::new(),
            etag: String::new(),
            keys: [key("a"), key("b"), key("c")],
            page_tokens: BTreeMap::new(),
        };
        account.webhook = account.registered(house, true, &account.keys[0]).await;
        account.event_webhook = account.registered(house, false, &account.keys[1]).await;
        account.registered(house, true, &account.keys[2]).await;
        account.deleted_webhook = account.fresh(house, Needs::Webhook).await;
        account.delete_webhook(house).await;
        account.etag = account.changed_twice(house).await;
        account.automation = account.automated(house, &account.keys[0], "deal").await;
        account.slow_automation = account.automated(house, "", "slow").await;
        account.deleted_automation = account.fresh(house, Needs::Automation).await;
        account.delete_automation(house).await;
        for key in &account.keys {
            account.happened(house, key, "deal").await;
        }
        account.waiting = account.fresh(house, Needs::Waiting).await;
        account.happened(house, &unique(), "note").await;
        account.settled(house).await;
        account.page_tokens = account.first_pages(house).await;
        account
    }

    /// `accounts/{account}`.
    pub(crate) fn parent(&self) -> String {
        format!("accounts/{}", self.name)
    }

    /// The name of something of it.
    pub(crate) fn named(&self, collection: &str, id: &str) -> String {
        format!("accounts/{}/{collection}/{id}", self.name)
    }

    /// The name of a kind of record that is the account's own.
    pub(crate) fn object(&self, of: &str) -> String {
        format!("{}_{of}", self.word)
    }

    /// A webhook as it is to be registered.
    pub(crate) fn new_webhook(&self, for_automations: bool, display_name: &str) -> registry::Webhook {
        use registry::authentication::Kind;
        let key = registry::ApiKeyAuthentication {
            header: format!("x-{}", self.word),
            key: format!("{}-secret", self.word),
        };
        let subscription = Subscription { object: self.object("note"), actions: vec![Action::Added.into()] };
        registry::Webhook {
            display_name: display_name.to_owned(),
            kind: if for_automations {
                registry::WebhookKind::Automation
            } else {
                registry::WebhookKind::Event
            }
            .into(),
            endpoint_url: self.endpoint.clone(),
            authentication: Some(registry::Authentication { kind: Some(Kind::ApiKey(key)) }),
            subscription: (!for_automations).then_some(subscription),
            ..registry::Webhook::default()
        }
    }

    /// An automation as it is to be created: one for `deal` sends at once, others wait an hour first.
    pub(crate) fn new_automation(&self, display_name: &str, of: &str) -> evaluator::Automation {
        use evaluator::{
            Comparison, Condition, KeyValueBody, NamedTemplate, Operand, Operator, Pair, RequestStep,
        };
        let object = self.object(of);
        let text = Operand { kind: Some(evaluator::operand::Kind::Text(self.word.to_owned())) };
        let comparison = Comparison {
            path: format!("{object}.title"),
            operator: Operator::Contains.into(),
            operands: vec![text],
            ignore_case: false,
        };
        let named =
            |name: &str| NamedTemplate { name: name.to_owned(), template: format!("{}-{name}", self.word) };
        let pair = Pair {
            name: self.word.to_owned(),
            value: Some(evaluator::pair::Value::Field(format!("{object}.title"))),
        };
        let body = KeyValueBody { encoding: 0, pairs: vec![pair] };
        let request = RequestStep {
            webhook: self.named("webhooks", &self.webhook),
            path: format!("{}-path", self.word),
            query: vec![named("q")],
            headers: vec![named("x-own")],
            body: Some(evaluator::request_step::Body::KeyValue(body)),
            ..RequestStep::default()
        };
        let mut steps = vec![step(request)];
        if of != "deal" {
            steps.insert(0, delay(3_600));
        }
        evaluator::Automation {
            display_name: display_name.to_owned(),
            trigger: Some(Subscription { object, actions: vec![Action::Added.into()] }),
            condition: Some(Condition { kind: Some(evaluator::condition::Kind::Comparison(comparison)) }),
            steps,
            ..evaluator::Automation::default()
        }
    }

    /// An event that sets something off: `deal` at once, `slow` in an hour, `note` for the event webhook.
    pub(crate) fn new_event(&self, id: &str, of: &str) -> Event {
        let record = serde_json::json!({ "title": format!("{} title", self.word), "price": 3 });
        Event {
            id: id.to_owned(),
            object: self.object(of),
            action: Action::Added.into(),
            record_id: self.keys[0].clone(),
            actor: format!("{}-actor", self.word),
            current: record.to_string().into(),
            visible_to: Some(Visibility { everyone: true, users: Vec::new() }),
            ..Event::default()
        }
    }

    /// Makes something new, and says its id.
    pub(crate) async fn fresh(&self, house: &House, needs: Needs) -> String {
        match needs {
            Needs::Nothing => String::new(),
            Needs::Webhook => self.registered(house, true, &unique()).await,
            Needs::EventWebhook => self.registered(house, false, &unique()).await,
            Needs::Automation => {
                let answer = self.created(house, self.new_automation(&unique(), "idle"), "").await;
                last_of(&answer.name)
            }
            Needs::Waiting => self.happened(house, &unique(), "slow").await,
            Needs::Cancelled => {
                let id = self.happened(house, &unique(), "slow").await;
                let request = dispatcher::CancelExecutionRequest { name: self.named("executions", &id) };
                let rpc = "/sluice.dispatcher.v1.ExecutionService/CancelExecution";
                self.as_admin::<_, dispatcher::CancelExecutionResponse>(house, rpc, &request).await;
                id
            }
        }
    }

    async fn as_admin<Q: Message, A: Message + Default>(&self, house: &House, rpc: &str, request: &Q) -> A {
        house.door(Public).ask(rpc, &house.mint.admin(self.name), request).await
    }

    async fn registered(&self, house: &House, for_automations: bool, display_name: &str) -> String {
        let request = registry::CreateWebhookRequest {
            parent: self.parent(),
            webhook: Some(self.new_webhook(for_automations, display_name)),
            request_id: display_name.to_owned(),
            ..registry::CreateWebhookRequest::default()
        };
        let token = if for_automations {
            house.mint.admin(self.name)
        } else {
            house.mint.token(Some(self.name), "max", &[Role::Member], &[])
        };
        let answer: registry::CreateWebhookResponse =
            house.door(Public).ask(CREATE_WEBHOOK, &token, &request).await;
        last_of(&answer.webhook.expect("the webhook").name)
    }

    async fn delete_webhook(&self, house: &House) {
        let name = self.named("webhooks", &self.deleted_webhook);
        let request = registry::DeleteWebhookRequest { name, etag: String::new() };
        self.as_admin::<_, registry::DeleteWebhookResponse>(house, DELETE_WEBHOOK, &request).await;
    }

    async fn delete_automation(&self, house: &House) {
        let name = self.named("automations", &self.deleted_automation);
        let request = evaluator::DeleteAutomationRequest { name, etag: String::new() };
        let rpc = "/sluice.evaluator.v1.AutomationService/DeleteAutomation";
        self.as_admin::<_, evaluator::DeleteAutomationResponse>(house, rpc, &request).await;
    }

    /// Changes the webhook to and fro; its etag then.
    async fn changed_twice(&self, house: &House) -> String {
        let mut etag = String::new();
        for state in [registry::WebhookState::Disabled, registry::WebhookState::Enabled] {
            let webhook = registry::Webhook {
                name: self.named("webhooks", &self.webhook),
                state: state.into(),
                ..registry::Webhook::default()
            };
            let update_mask = Some(prost_types::FieldMask { paths: vec!["state".to_owned()] });
            let request = registry::UpdateWebhookRequest { webhook: Some(webhook), update_mask };
            let rpc = "/sluice.registry.v1.WebhookService/UpdateWebhook";
            let answer: registry::UpdateWebhookResponse = self.as_admin(house, rpc, &request).await;
            etag = answer.webhook.expect("the webhook").etag;
        }
        etag
    }

    async fn created(
        &self,
        house: &House,
        automation: evaluator::Automation,
        request_id: &str,
    ) -> evaluator::Automation {
        let request = evaluator::CreateAutomationRequest {
            parent: self.parent(),
            automation: Some(automation),
            request_id: request_id.to_owned(),
        };
        let bearer = [format!("Bearer {}", house.mint.admin(self.name))];
        let made = until("the evaluator has heard of the account", async || {
            let reply = house.door(Public).call(CREATE_AUTOMATION, &bearer, request.encode_to_vec()).await;
            let refused =
                |reason: &str| ["ACCOUNT_UNKNOWN", "PLAN_REQUIRED", "WEBHOOK_UNKNOWN"].contains(&reason);
            match reply.answer {
                Ok(answer) => Some(answer),
                Err(refusal) if refused(&refusal.reason) => None,
                Err(refusal) => panic!("the automation should be taken: {refusal:?}"),
            }
        });
        let answer = evaluator::CreateAutomationResponse::decode(made.await).expect("the answer");
        answer.automation.expect("the automation")
    }

    async fn automated(&self, house: &House, request_id: &str, of: &str) -> String {
        let automation = self.new_automation(&format!("{} {of}", self.word), of);
        let name = self.created(house, automation, request_id).await.name;
        let request = evaluator::ActivateAutomationRequest { name: name.clone() };
        let rpc = "/sluice.evaluator.v1.AutomationService/ActivateAutomation";
        self.as_admin::<_, evaluator::ActivateAutomationResponse>(house, rpc, &request).await;
        last_of(&name)
    }

    /// Sends an event; the id of the one execution that it sets off.
    async fn happened(&self, house: &House, id: &str, of: &str) -> String {
        let request =
            evaluator::IngestEventRequest { parent: self.parent(), event: Some(self.new_event(id, of)) };
        let answer: evaluator::IngestEventResponse =
            house.door(Public).ask(INGEST_EVENT, &house.mint.producer(self.name), &request).await;
        let [execution] = &answer.executions[..] else { panic!("one execution: {answer:?}") };
        last_of(execution)
    }

    async fn executions(&self, house: &House) -> Vec<dispatcher::Execution> {
        let request = dispatcher::ListExecutionsRequest {
            parent: self.parent(),
            page_size: 1_000,
            ..dispatcher::ListExecutionsRequest::default()
        };
        let page: dispatcher::ListExecutionsResponse = self.as_admin(house, LIST_EXECUTIONS, &request).await;
        page.executions
    }

    /// Waits until nothing is under way.
    async fn settled(&self, house: &House) {
        use dispatcher::ExecutionState::{Cancelled, Failed, Stopped, Succeeded, Waiting};
        until("nothing is under way", async || {
            let all = self.executions(house).await;
            let rests = |state| matches!(state, Cancelled | Failed | Stopped | Succeeded) || state == Waiting;
            all.iter().all(|execution| rests(execution.state())).then_some(())
        })
        .await;
    }

    async fn first_pages(&self, house: &House) -> BTreeMap<&'static str, String> {
        let parent = self.parent();
        let webhooks =
            registry::ListWebhooksRequest { parent: parent.clone(), page_size: 1, ..Default::default() };
        let webhooks: registry::ListWebhooksResponse = self.as_admin(house, LIST_WEBHOOKS, &webhooks).await;
        let automations =
            evaluator::ListAutomationsRequest { parent: parent.clone(), page_size: 1, ..Default::default() };
        let automations: evaluator::ListAutomationsResponse =
            self.as_admin(house, LIST_AUTOMATIONS, &automations).await;
        let watch = dispatcher::WatchExecutionsRequest { parent: parent.clone(), ..Default::default() };
        let watch: dispatcher::WatchExecutionsResponse = self.as_admin(house, WATCH_EXECUTIONS, &watch).await;
        let executions = dispatcher::ListExecutionsRequest { parent, page_size: 1, ..Default::default() };
        let executions: dispatcher::ListExecutionsResponse =
            self.as_admin(house, LIST_EXECUTIONS, &executions).await;
        let pages = [
            (LIST_WEBHOOKS, webhooks.next_page_token),
            (LIST_AUTOMATIONS, automations.next_page_token),
            // Nobody here has so much that a call of these leaves some: what tells whose a token is, is the same as in a listing.
            (RETRY_EXECUTIONS, executions.next_page_token.clone()),
            (CANCEL_EXECUTIONS, executions.next_page_token.clone()),
            (LIST_EXECUTIONS, executions.next_page_token),
            (WATCH_EXECUTIONS, watch.cursor),
        ];
        assert!(pages.iter().all(|(_, token)| !token.is_empty()), "more than a page of each");
        pages.into()
    }

    /// All that can be read of the account, its secrets too, in lines.
    pub(crate) async fn read_back(&self, house: &House) -> Vec<String> {
        let (parent, page_size) = (self.parent(), 1_000);
        let mut lines = Vec::new();
        let account = registry::GetAccountRequest { name: parent.clone() };
        let rpc = "/sluice.registry.v1.AccountService/GetAccount";
        let account: registry::GetAccountResponse = self.as_admin(house, rpc, &account).await;
        lines.push(format!("{account:?}"));
        let webhooks =
            registry::ListWebhooksRequest { parent: parent.clone(), page_size, ..Default::default() };
        let webhooks: registry::ListWebhooksResponse = self.as_admin(house, LIST_WEBHOOKS, &webhooks).await;
        for webhook in &webhooks.webhooks {
            let target = registry::ResolveTargetRequest { name: webhook.name.clone() };
            let rpc = "/sluice.registry.v1.FeedService/ResolveTarget";
            let inner = house.door(RegistryInternal);
            let target: registry::ResolveTargetResponse =
                inner.ask(rpc, &house.mint.service(), &target).await;
            lines.push(format!("{webhook:?} {target:?}"));
        }
        let automations = evaluator::ListAutomationsRequest { parent, page_size, ..Default::default() };
        let automations: evaluator::ListAutomationsResponse =
            self.as_admin(house, LIST_AUTOMATIONS, &automations).await;
        lines.extend(automations.automations.iter().map(|automation| format!("{automation:?}")));
        for execution in self.executions(house).await {
            let request = dispatcher::GetExecutionRequest { name: execution.name };
            let whole: dispatcher::GetExecutionResponse = self.as_admin(house, GET_EXECUTION, &request).await;
            lines.push(format!("{whole:?}"));
        }
        lines
    }

    /// What no stranger may be told: all ids, the account's name, the word in its texts.
    pub(crate) async fn secrets(&self, house: &House) -> BTreeSet<String> {
        let all = self.read_back(house).await.join("\n");
        let words = [self.name.to_owned(), self.word.to_owned()];
        ids_in(&all).into_iter().chain(words).chain([self.deleted_webhook.clone()]).collect()
    }
}

impl Asked<'_> {
    /// `accounts/{account}`.
    pub(crate) fn parent(&self) -> String {
        self.account.parent()
    }

    /// The name of one of the account's own.
    pub(crate) fn named(&self, collection: &str, id: &str) -> String {
        self.account.named(collection, id)
    }

    /// What is new, or else this one.
    pub(crate) fn fresh_or<'b>(&'b self, known: &'b str) -> &'b str {
        if self.fresh.is_empty() { known } else { self.fresh }
    }
}

fn last_of(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_owned()
}
