//! What the demo does, done by hand with the client commands.

use sluice_testkit::{Answer, Receiver};

use crate::shell::{AUTOMATION, Shell};

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_folder_to_the_history_of_a_request() {
    let receiver = Receiver::start().await;
    let shell = Shell::with_suite();
    let account = shell.done(&["account", "put", "acme", "--plan", "essential", "--version", "1"]);
    assert!(account.contains("plan          essential (version 1)"), "{account}");
    let account = shell.done(&["account", "put", "acme", "--plan", "advanced"]);
    assert!(account.contains("plan          advanced (version 2)"), "{account}");

    let endpoint = receiver.url("/crm/");
    let create =
        ["webhook", "create", "Won deals", "--kind", "automation", "--url", &endpoint, "--credentials", "-"];
    let created = shell.run_with(&create, &[], br#"{"bearer": {"token": "canary-7713"}}"#);
    assert_eq!((created.code, created.err.as_str()), (0, ""), "{}", created.out);
    assert_eq!(created.out.matches("whsec_").count(), 1, "{}", created.out);
    let seen = shell.done(&["webhook", "get", "Won deals"]);
    assert!(seen.contains("credentials   bearer\n") && !seen.contains("whsec_"), "{seen}");

    shell.write("automation.json", AUTOMATION);
    let automation = shell.done(&["automation", "create", "-f", "automation.json"]);
    assert!(automation.contains("state         INACTIVE"), "{automation}");
    assert!(automation.contains(r#"deal.stage HAS_CHANGED_TO "won""#), "{automation}");
    assert!(shell.done(&["automation", "activate", "Tell the ERP"]).contains("state         ACTIVE"));

    let execution = shell.deal_won("evt-1");
    let hits = receiver.wait_for(1).await;
    assert_eq!(hits[0].header("authorization"), "Bearer canary-7713");
    let history = shell.until_state(&execution, "SUCCEEDED").await;
    for line in [
        "event         evt-1 (deal 42 updated)",
        "  {\"title\": \"Big one\", \"value\": 1.10}",
        "  > POST /crm/deals/42/won",
        "  > webhook-signature: (kept back)",
        "  < 200",
    ] {
        assert!(history.contains(line), "{line}\nin {history}");
    }
    for arguments in [
        &["execution", "get", &execution][..],
        &["execution", "get", &execution, "--json"],
        &["webhook", "list", "--json"],
    ] {
        assert!(!shell.done(arguments).contains("canary-7713"), "{arguments:?}");
    }
    assert_eq!(shell.deal_won("evt-1"), execution, "sent again, it has its effect once");
    assert_eq!(receiver.hits().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_followed_from_the_oldest_change_or_from_a_cursor() {
    let receiver = Receiver::start().await;
    let shell = Shell::furnished(&receiver.url("/crm/"));
    let execution = shell.deal_won("evt-1");
    shell.until_state(&execution, "SUCCEEDED").await;
    let text = shell.done(&["execution", "watch", "--oldest", "--limit", "2"]);
    let lines: Vec<&str> = text.lines().collect();
    let [accepted, ended] = lines[..] else { panic!("two lines: {text}") };
    assert!(accepted.contains(&format!("{execution}  ACCEPTED 1: RUNNING (evt-1)")), "{text}");
    assert!(
        ended.contains(&format!("{execution}  ATTEMPT_ENDED 1, answered 200: SUCCEEDED (evt-1)")),
        "{text}"
    );
    let told = shell.objects(&["execution", "watch", "--oldest", "--limit", "1"]);
    let cursor = told.iter().find(|told| told["change"].is_object()).unwrap()["cursor"].as_str().unwrap();
    let on = shell.objects(&["execution", "watch", "--cursor", cursor, "--limit", "1"]);
    let change = &on.iter().find(|told| told["change"].is_object()).unwrap()["change"];
    assert_eq!(
        (&change["kind"], &change["attempt"]["number"]),
        (&"EXECUTION_CHANGE_KIND_ATTEMPT_ENDED".into(), &1.into())
    );
    let refused = shell.run(&["execution", "watch", "--cursor", "nonsense"]);
    assert!(refused.code == 1 && refused.err.contains("cursor"), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_answers_can_not_act_on_the_terminal() {
    let receiver = Receiver::start().await;
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\u{202e}";
    receiver.answer_with(move |_| Answer::status(400).body(hostile).header("x-note", "caf\u{e9}"));
    let shell = Shell::furnished(&receiver.url("/crm/"));
    let execution = shell.deal_won("evt-1");
    let history = shell.until_state(&execution, "FAILED, REFUSED_BY_RECEIVER").await;
    assert!(history.contains(r"\u{1b}]0;owned\u{7}"), "{history}");
    assert!(!history.contains(|letter: char| letter != '\n' && letter.is_control()), "{history:?}");
    assert!(!history.contains('\u{202e}'), "{history:?}");
    let json = shell.done(&["execution", "get", &execution, "--json"]);
    assert!(!json.trim_end().contains(char::is_control), "{json:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_are_found_cancelled_and_retried() {
    let receiver = Receiver::start().await;
    receiver.script("/crm/deals/42/won", [Answer::status(400), Answer::status(200), Answer::status(503)]);
    let shell = Shell::furnished(&receiver.url("/crm/"));
    let failed = shell.deal_won("evt-1");
    shell.until_state(&failed, "FAILED").await;
    shell.done(&["execution", "retry", &failed]);
    let history = shell.until_state(&failed, "SUCCEEDED").await;
    assert!(
        history.contains("attempt 1     FAILED") && history.contains("attempt 2     SUCCEEDED"),
        "{history}"
    );

    let waiting = shell.deal_won("evt-2");
    let history = shell.until_state(&waiting, "WAITING until 20").await;
    assert!(history.contains("  < 503"), "{history}");
    assert!(shell.done(&["execution", "cancel", &waiting]).contains("state         CANCELLED\n"));

    let trace = shell.object(&["execution", "get", &waiting])["traceId"].as_str().unwrap().to_owned();
    for (filter, found) in [
        (&["--trace-id", &trace][..], &[&waiting][..]),
        (&["--state", "succeeded"], &[&failed]),
        (&["--state", "CANCELLED"], &[&waiting]),
        (&["--state", "paused"], &[]),
        (&["--automation", "Tell the ERP"], &[&waiting, &failed]),
        (&["--webhook", "Won deals", "--limit", "1"], &[&waiting]),
    ] {
        let listed = shell.objects(&[&["execution", "list"], filter].concat());
        let ids: Vec<_> =
            listed.iter().map(|one| one["name"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
        assert_eq!(ids, found, "{filter:?}");
    }
    let first = shell.run(&["execution", "list", "--limit", "1"]);
    assert!(first.err.contains("--limit 0 shows all"), "{first:?}");
    assert_eq!((first.out.lines().count(), first.out.contains(&waiting)), (2, true), "{first:?}");
}

#[test]
fn an_event_is_explained_by_an_automation_and_by_a_draft_of_one() {
    let shell = Shell::furnished("http://127.0.0.77:8099/crm/");
    let still = r#"{"id": 42, "title": "Big\u001b[2J", "value": 1.10, "stage": "won"}"#;
    let was = r#"{"stage": "open"}"#;
    let event =
        ["--object", "deal", "--action", "updated", "--record-id", "42", "--current", still, "--previous"];
    let explained = shell.done(&[&["event", "explain", "Tell the ERP"], &event[..], &[was]].concat());
    for line in [
        "fires         yes",
        r#"  yes  deal.stage HAS_CHANGED_TO "won": is "won", was "open""#,
        "request 1     POST deals/42/won to webhook wh_",
    ] {
        assert!(explained.contains(line), "{line}\nin {explained}");
    }
    assert!(!explained.contains('\u{1b}'), "{explained:?}");
    let explained =
        shell.done(&[&["event", "explain", "--draft", "automation.json"], &event[..], &[still]].concat());
    for line in
        ["fires         no", "(CONDITION)", "version       a draft", r#"  no   deal.stage"#, "(UNCHANGED)"]
    {
        assert!(explained.contains(line), "{line}\nin {explained}");
    }
    let answer = shell.object(&[&["event", "explain", "Tell the ERP"], &event[..], &[still]].concat());
    assert_eq!(
        (answer.get("fires"), &answer["obstacles"][0]["reason"]),
        (None, &"OBSTACLE_REASON_CONDITION".into())
    );
    assert_eq!(shell.objects(&["execution", "list"]), [] as [serde_json::Value; 0], "nothing was sent");
    assert_eq!(shell.run(&[&["event", "explain"], &event[..], &[was]].concat()).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_and_automations_are_changed_and_deleted_by_name() {
    let shell = Shell::furnished("http://127.0.0.77:8099/crm/");
    let hook = shell.object(&[
        "webhook",
        "update",
        "Won deals",
        "--name",
        "Deals",
        "--url",
        "http://127.0.0.77:8099/erp/",
        "--state",
        "disabled",
    ]);
    assert_eq!((&hook["displayName"], &hook["state"]), (&"Deals".into(), &"WEBHOOK_STATE_DISABLED".into()));
    shell.write("basic.json", r#"{"basic": {"username": "ada", "password": "canary-7713"}}"#);
    let hook =
        shell.done(&["webhook", "update", "Deals", "--credentials", "basic.json", "--state", "enabled"]);
    assert!(hook.contains("basic, user ada") && !hook.contains("canary"), "{hook}");
    assert!(!shell.done(&["webhook", "update", "Deals", "--no-credentials"]).contains("credentials"));
    let limits = ["--max-in-flight", "3", "--rate", "600/1m", "--burst", "20", "--ordering", "record"];
    let spared = shell.done(&[&["webhook", "update", "Deals"][..], &limits].concat());
    for line in [
        "in flight     at most 3 at once",
        "rate          600 in 1m, at most 20 at once",
        "ordering      by record",
    ] {
        assert!(spared.contains(line), "{line}\nin {spared}");
    }
    let free = shell.done(&["webhook", "update", "Deals", "--no-max-in-flight", "--no-rate"]);
    assert!(!free.contains("in flight") && !free.contains("rate"), "{free}");

    // What was read can be changed and sent back: the condition goes, the rest stays.
    let read = shell.object(&["automation", "get", "Tell the ERP"]);
    let mut changed = read.clone();
    changed["displayName"] = "Tell them".into();
    changed["condition"] = serde_json::Value::Null;
    shell.write("changed.json", &changed.to_string());
    let now = shell.object(&["automation", "update", "-f", "changed.json"]);
    assert_eq!((&now["displayName"], now.get("condition")), (&"Tell them".into(), None));
    assert_eq!(now["steps"], read["steps"]);
    let late = shell.run(&["automation", "update", "-f", "changed.json"]);
    assert!(
        late.code == 1 && late.err.contains("ETAG_MISMATCH") && late.err.contains("read it again"),
        "{late:?}"
    );

    let id = now["name"].as_str().unwrap();
    assert_eq!(
        shell.objects(&["automation", "list", "--webhook", "Deals", "--state", "active"])[0]["name"],
        id
    );
    assert!(shell.done(&["automation", "deactivate", id]).contains("state         INACTIVE"));
    assert!(shell.done(&["automation", "delete", "Tell them"]).starts_with("deleted au_"));
    assert!(shell.done(&["webhook", "delete", "Deals"]).starts_with("deleted wh_"));
    assert_eq!(shell.objects(&["webhook", "list"]), [] as [serde_json::Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_prints_one_object_for_programs_or_one_a_line() {
    let receiver = Receiver::start().await;
    let shell = Shell::with_suite();
    assert_eq!(shell.object(&["account", "put", "acme", "--plan", "advanced"])["name"], "accounts/acme");
    assert_eq!(shell.object(&["account", "get"])["entitlements"]["version"], "1");
    let endpoint = receiver.url("/crm/");
    let hook = shell.object(&["webhook", "create", "Won deals", "--kind", "automation", "--url", &endpoint]);
    assert!(hook["signingSecret"].as_str().unwrap().starts_with("whsec_"));
    let name = hook["webhook"]["name"].as_str().unwrap();
    assert_eq!(shell.object(&["webhook", "get", name]), hook["webhook"]);
    let events = [
        "webhook", "create", "All", "--kind", "event", "--url", &endpoint, "--object", "*", "--action",
        "added",
    ];
    assert_eq!(shell.object(&events)["webhook"]["subscription"]["actions"][0], "ACTION_ADDED");
    assert_eq!(shell.objects(&["webhook", "list"]).len(), 2);
    assert_eq!(shell.objects(&["webhook", "list", "--kind", "event"]).len(), 1);
    shell.write("automation.json", AUTOMATION);
    let made = shell.object(&["automation", "create", "-f", "automation.json", "--activate"]);
    assert_eq!(made["state"], "AUTOMATION_STATE_ACTIVE");
    assert_eq!(shell.objects(&["automation", "list"]), [made]);
    shell.write(
        "event.json",
        r#"{"object": "deal", "action": "ACTION_ADDED", "recordId": "7", "current": {"id": 7}}"#,
    );
    let sent = shell.run(&["event", "send", "-f", "event.json", "--json"]);
    assert!(sent.err.starts_with("sluice: the event's id is evt_"), "{sent:?}");
    assert_eq!(
        sent.out,
        "{\"outcome\":\"INGEST_OUTCOME_ACCEPTED\",\"executions\":[".to_owned()
            + sent.out.split_once('[').unwrap().1
    );
    receiver.wait_for(1).await;
    assert_eq!(shell.objects(&["execution", "list"]).len(), 1);
    assert_eq!(shell.object(&["webhook", "delete", "All"]), serde_json::json!({}));
}
