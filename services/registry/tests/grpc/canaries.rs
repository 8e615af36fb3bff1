//! Canaries: a unique secret in every credential field turns up in no answer and in no byte of the database.

use std::fmt::Debug;

use proto::registry::v1 as wire;
use proto::registry::v1::WebhookKind::Event;
use proto::registry::v1::authentication::Kind;

use super::house::{House, create, update, webhook};

const CANARIES: [&str; 4] =
    ["canary-password-5f1d", "canary-token-77aa", "canary-key-c0de", "Y2FuYXJ5LXNpZ25pbmctc2VjcmV0LWJlZWY="];

/// What the decoded signing secret reads, since it is stored decoded.
const SIGNING_BYTES: &str = "canary-signing-secret-beef";

fn authentications() -> [Kind; 3] {
    let [password, token, key, _] = CANARIES.map(str::to_owned);
    [
        Kind::Basic(wire::BasicAuthentication { username: "ann".into(), password }),
        Kind::Bearer(wire::BearerAuthentication { token }),
        Kind::ApiKey(wire::ApiKeyAuthentication { header: "X-Key".into(), key }),
    ]
}

fn with(kind: Kind, name: &str) -> wire::Webhook {
    wire::Webhook { authentication: Some(wire::Authentication { kind: Some(kind) }), ..webhook(Event, name) }
}

/// Everything that was answered, as text.
#[derive(Default)]
struct Heard(String);

impl Heard {
    fn hear<T: Debug>(&mut self, answer: Result<tonic::Response<T>, tonic::Status>) -> Option<T> {
        match answer {
            Ok(answer) => {
                let answer = answer.into_inner();
                self.0.push_str(&format!("{answer:?}\n"));
                Some(answer)
            }
            Err(status) => {
                let details = String::from_utf8_lossy(status.details()).into_owned();
                self.0.push_str(&format!("{status:?} {details}\n"));
                None
            }
        }
    }
}

#[tokio::test]
async fn secrets_are_in_no_answer_and_in_no_byte_of_the_database() {
    let house = House::open().await.with("acme", "advanced").await;
    let mut admin = house.admin("acme");
    let mut heard = Heard::default();
    let mut names = Vec::new();
    for (at, kind) in authentications().into_iter().enumerate() {
        let request = wire::CreateWebhookRequest {
            signing_secret: format!("whsec_{}", CANARIES[3]),
            request_id: format!("r{at}"),
            ..create("acme", with(kind.clone(), &format!("w{at}")))
        };
        // The answer to a creation is the one that gives the signing secret; nothing else of it is secret.
        let mut answer = admin.create_webhook(request.clone()).await.unwrap().into_inner();
        assert_eq!(std::mem::take(&mut answer.signing_secret), request.signing_secret);
        names.push(answer.webhook.as_ref().unwrap().name.clone());
        heard.hear(Ok(tonic::Response::new(answer)));

        let reused = wire::CreateWebhookRequest { parent: "accounts/acme".into(), ..request.clone() };
        let reused = wire::CreateWebhookRequest { webhook: Some(with(kind.clone(), "other")), ..reused };
        heard.hear(admin.create_webhook(reused).await);
        let taken = wire::CreateWebhookRequest { request_id: String::new(), ..request };
        heard.hear(admin.create_webhook(taken).await);
        heard.hear(house.member("acme", "ann").create_webhook(create("acme", with(kind.clone(), ""))).await);
        heard.hear(house.admin("other").create_webhook(create("acme", with(kind, "x"))).await);
    }
    for (at, kind) in authentications().into_iter().enumerate() {
        let name = names[(at + 1) % names.len()].clone();
        let given = wire::Webhook { name: name.clone(), ..with(kind, "ignored") };
        heard.hear(admin.update_webhook(update(given.clone(), &["authentication", "colour"])).await);
        let stale = wire::Webhook { etag: "99".into(), ..given.clone() };
        heard.hear(admin.update_webhook(update(stale, &["authentication"])).await);
        heard.hear(admin.update_webhook(update(given, &["authentication"])).await);
        heard.hear(admin.get_webhook(wire::GetWebhookRequest { name }).await);
    }
    let broken = Kind::Basic(wire::BasicAuthentication {
        username: "a:b".into(),
        password: format!("{}\n", CANARIES[0]),
    });
    heard.hear(admin.create_webhook(create("acme", with(broken, "b"))).await);
    let broken = Kind::Bearer(wire::BearerAuthentication { token: format!("{} x", CANARIES[1]) });
    heard.hear(admin.create_webhook(create("acme", with(broken, "b"))).await);
    let broken = wire::CreateWebhookRequest {
        signing_secret: format!("whsec_{}!", CANARIES[3]),
        ..create("acme", webhook(Event, "b"))
    };
    heard.hear(admin.create_webhook(broken).await);
    let all = wire::ListWebhooksRequest { parent: "accounts/acme".into(), ..Default::default() };
    heard.hear(admin.list_webhooks(all).await);

    let mut stream =
        house.feed().watch_changes(wire::WatchChangesRequest { cursor: 0 }).await.unwrap().into_inner();
    loop {
        let told = stream.message().await.unwrap().unwrap();
        heard.0.push_str(&format!("{told:?}\n"));
        if matches!(told.change, Some(wire::watch_changes_response::Change::Synced(_))) {
            break;
        }
    }
    let last = names.pop().unwrap();
    heard.hear(admin.delete_webhook(wire::DeleteWebhookRequest { name: last, etag: String::new() }).await);

    // That the canaries are there at all shows in the one answer that is made for them.
    let target =
        house.feed().resolve_target(wire::ResolveTargetRequest { name: names[0].clone() }).await.unwrap();
    let target = format!("{:?}", target.into_inner());
    assert!(CANARIES.iter().any(|canary| target.contains(canary)), "{target}");

    assert!(heard.0.lines().count() >= 30, "too little was heard:\n{}", heard.0);
    let files: Vec<_> = std::fs::read_dir(house.folder()).unwrap().map(|file| file.unwrap().path()).collect();
    let kept: Vec<u8> = files.iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    let is_kept = |text: &str| kept.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(is_kept("hooks.example.com"), "the search has to find what is there in clear");
    for canary in CANARIES.iter().chain([&SIGNING_BYTES]) {
        assert!(!heard.0.contains(canary), "{canary} was answered");
        assert!(!is_kept(canary), "{canary} is in {files:?}");
    }
}
