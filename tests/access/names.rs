//! What stands in the fields of requests that name something of an account: one's own, another account's, nobody's, one that is
//! gone, and what is no name at all.

use sluice_domain::{AutomationId, Cursor, ExecutionId, WebhookId};
use sluice_runtime::{Clock, Entropy};

use super::accounts::Account;

/// An account that does not exist; its name is as long as the one of the account that is spied on.
pub(crate) const NOBODY: &str = "nope";

/// A field of a request that names something of an account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    /// Where it stands: `automation.steps[0].request.webhook`.
    pub(crate) field: &'static str,
    /// What it names.
    pub(crate) what: What,
    /// How a refusal names the field: in an item of a batch from the item.
    pub(crate) told: &'static str,
    /// Whether it may be left out.
    pub(crate) optional: bool,
    /// Whether it is for answers only, and not read in requests.
    pub(crate) ignored: bool,
    /// Whether it is kept as it was sent and shown to whoever sent it.
    pub(crate) kept: bool,
}

/// What a field names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// `accounts/{account}`.
    Account,
    /// `accounts/{account}/quota`.
    Quota,
    /// `accounts/{account}/webhooks/{webhook}`, one for automations.
    Webhook,
    /// The same, one for events.
    EventWebhook,
    /// `accounts/{account}/automations/{automation}`.
    Automation,
    /// `accounts/{account}/executions/{execution}`.
    Execution,
    /// The account's name alone.
    BareAccount,
    /// A webhook's id alone.
    BareWebhook,
    /// An automation's id alone.
    BareAutomation,
    /// An execution's id alone.
    BareExecution,
    /// Where a page of this RPC's listing ended.
    PageToken,
    /// The version of a webhook or automation.
    Etag,
    /// A text of the account's own choice that means something there: a name, a request id, an event's id; the number says
    /// which of [`Account::keys`], since each can be used once.
    Key(usize),
}

/// Something of another account beside something of nobody's.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// What is of the other account, or gone.
    pub(crate) theirs: String,
    /// What never was.
    pub(crate) random: String,
    /// What is to be put in the place of what, to compare the answers.
    pub(crate) swaps: Vec<(String, String)>,
}

impl Name {
    /// A field that names this.
    pub(crate) const fn of(field: &'static str, what: What) -> Self {
        Self {
            field,
            what,
            told: field,
            optional: false,
            ignored: false,
            kept: matches!(what, What::Key(_) | What::BareExecution),
        }
    }

    /// The same, in refusals called this.
    pub(crate) const fn told(self, told: &'static str) -> Self {
        Self { told, ..self }
    }

    /// The same, where it may be left out.
    pub(crate) const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same, where nothing is read from it.
    pub(crate) const fn ignored(self) -> Self {
        Self { ignored: true, ..self }
    }

    /// The path of the field without indices.
    pub(crate) fn path(&self) -> String {
        self.field.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
    }
}

impl What {
    /// Things of `theirs` beside nobody's, as somebody of `mine` may try them; whoever serves any account can't be a stranger to
    /// an account, but to a thing under the wrong account's name.
    pub(crate) fn foreign(self, rpc: &str, theirs: &Account, mine: &Account, any: bool) -> Vec<Pair> {
        let stray = self.stray();
        match self {
            Self::Account | Self::Quota | Self::BareAccount if any => Vec::new(),
            Self::Account => vec![Pair {
                theirs: format!("accounts/{}", theirs.name),
                random: format!("accounts/{NOBODY}"),
                swaps: vec![(theirs.name.to_owned(), NOBODY.to_owned())],
            }],
            Self::Quota => vec![Pair {
                theirs: format!("accounts/{}/quota", theirs.name),
                random: format!("accounts/{NOBODY}/quota"),
                swaps: vec![(theirs.name.to_owned(), NOBODY.to_owned())],
            }],
            Self::BareAccount => vec![pair(theirs.name.to_owned(), NOBODY.to_owned())],
            Self::Webhook | Self::EventWebhook | Self::Automation | Self::Execution => {
                let id = self.id_of(theirs);
                let mut pairs = vec![pair(self.name(mine.name, id), self.name(mine.name, &stray))];
                if !any {
                    pairs.push(pair(self.name(theirs.name, id), self.name(theirs.name, &stray)));
                    pairs.push(pair(self.name(theirs.name, id), self.name(NOBODY, &stray)));
                }
                for (pair, account) in pairs.iter_mut().zip([mine.name, theirs.name, NOBODY]) {
                    pair.swaps =
                        vec![(id.to_owned(), stray.clone()), (theirs.name.to_owned(), account.to_owned())];
                }
                pairs
            }
            Self::BareWebhook | Self::BareAutomation | Self::BareExecution => {
                vec![pair(self.id_of(theirs).to_owned(), stray)]
            }
            Self::PageToken => {
                vec![pair(theirs.page_tokens.get(rpc).expect("a page's token").clone(), stray)]
            }
            // A number is not to be replaced wherever it stands, and no answer repeats it.
            Self::Etag => {
                vec![Pair { theirs: theirs.etag.clone(), random: stray, swaps: Vec::new() }]
            }
            Self::Key(which) => vec![pair(theirs.keys[which].clone(), stray)],
        }
    }

    /// Something of `mine` that is gone beside what never was; nothing of some kinds goes by request.
    pub(crate) fn deleted(self, mine: &Account) -> Option<Pair> {
        let gone = match self {
            Self::Webhook | Self::EventWebhook | Self::BareWebhook => &mine.deleted_webhook,
            Self::Automation | Self::BareAutomation => &mine.deleted_automation,
            _ => return None,
        };
        let stray = self.stray();
        let (theirs, random) = if self.collection().is_some() {
            (self.name(mine.name, gone), self.name(mine.name, &stray))
        } else {
            (gone.clone(), stray.clone())
        };
        Some(Pair { theirs, random, swaps: vec![(gone.clone(), stray)] })
    }

    /// Texts that are no such name.
    pub(crate) fn malformed(self, mine: &Account) -> Vec<String> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        match self {
            Self::Account => {
                texts(&["nonsense", "accounts/", "accounts/a b", "accounts/globex/x", "Accounts/globex"])
            }
            Self::Quota => texts(&[
                "nonsense",
                "accounts/globex",
                "accounts//quota",
                "accounts/a b/quota",
                "accounts/globex/quotas",
            ]),
            Self::BareAccount => texts(&["a b", "accounts/globex"]),
            Self::Webhook | Self::EventWebhook | Self::Automation | Self::Execution => {
                let good = self.name(mine.name, self.id_of(mine));
                vec![
                    "nonsense".to_owned(),
                    format!("accounts/{}", mine.name),
                    self.name(mine.name, "1"),
                    self.name("a b", self.id_of(mine)),
                    self.name(mine.name, &self.id_of(mine).to_uppercase()),
                    format!("{good}/x"),
                    format!("/{good}"),
                ]
            }
            Self::BareWebhook | Self::BareAutomation | Self::BareExecution => {
                vec!["nonsense".to_owned(), format!("dl_{}", &self.id_of(mine)[3..])]
            }
            Self::PageToken => texts(&["!", "AAAA"]),
            Self::Key(_) => vec!["x".repeat(200)],
            Self::Etag => Vec::new(),
        }
    }

    /// The resource's name in an account.
    fn name(self, account: &str, id: &str) -> String {
        format!("accounts/{account}/{}/{id}", self.collection().unwrap_or_default())
    }

    const fn collection(self) -> Option<&'static str> {
        match self {
            Self::Webhook | Self::EventWebhook => Some("webhooks"),
            Self::Automation => Some("automations"),
            Self::Execution => Some("executions"),
            _ => None,
        }
    }

    fn id_of(self, account: &Account) -> &str {
        match self {
            Self::Webhook | Self::BareWebhook => &account.webhook,
            Self::EventWebhook => &account.event_webhook,
            Self::Automation | Self::BareAutomation => &account.automation,
            Self::Execution | Self::BareExecution => &account.waiting,
            _ => panic!("{self:?} has no id"),
        }
    }

    /// What never was.
    fn stray(self) -> String {
        let (now, random) = (Clock::system().now(), Entropy::system().bytes());
        match self {
            Self::Account | Self::Quota | Self::BareAccount => NOBODY.to_owned(),
            Self::Webhook | Self::EventWebhook | Self::BareWebhook => {
                WebhookId::mint(now, random).to_string()
            }
            Self::Automation | Self::BareAutomation => AutomationId::mint(now, random).to_string(),
            Self::Execution | Self::BareExecution => ExecutionId::mint(now, random).to_string(),
            Self::PageToken => {
                Cursor::after(WebhookId::mint(now, random).to_bytes()).to_token("another listing")
            }
            Self::Etag => "9999".to_owned(),
            // As long as the keys of an account are.
            Self::Key(_) => format!("random-z-{}", unique()),
        }
    }
}

/// A text that nobody has used before.
pub(crate) fn unique() -> String {
    sluice_domain::DeliveryId::mint(Clock::system().now(), Entropy::system().bytes()).to_string()
}

fn pair(theirs: String, random: String) -> Pair {
    Pair { swaps: vec![(theirs.clone(), random.clone())], theirs, random }
}
