//! What is refused says what to do next, and ends with the exit code that fits.

use crate::shell::{AUTOMATION, Shell, Told, token};

fn refused(told: &Told, code: i32, words: &[&str]) {
    assert_eq!(told.code, code, "{told:?}");
    assert_eq!(told.out, "", "{told:?}");
    for word in words {
        assert!(told.err.contains(word), "{word}\nin {}", told.err);
    }
}

#[test]
fn nobody_there_and_nothing_to_call_with_say_so() {
    let shell = Shell::empty();
    let told = shell.run(&["webhook", "list", "--account", "acme"]);
    refused(&told, 1, &["no token", "start `sluice up` here", "--token-file"]);
    assert!(!shell.path("sluice-data").exists(), "a client command makes no data directory");
    let there = ["webhook", "list", "--account", "acme", "--server", "127.0.0.1:1"];
    let told = shell.run_with(&there, &[("SLUICE_TOKEN", "a.b.c")], b"");
    refused(&told, 1, &["can't reach http://127.0.0.1:1", "is `sluice up` running there?", "--server"]);
    let elsewhere = ["webhook", "list", "--account", "acme", "--server", "http://sluice.example.com"];
    refused(&shell.run_with(&elsewhere, &[("SLUICE_TOKEN", "a.b.c")], b""), 2, &["in clear"]);
    std::fs::create_dir(shell.path("sluice-data")).unwrap();
    token(&shell.path("sluice-data"), &["--account", "a", "--user", "u", "--role", "member"]);
    let elsewhere = ["webhook", "list", "--account", "acme", "--server", "https://sluice.example.com"];
    refused(&shell.run(&elsewhere), 1, &["Tokens are minted only for a server on this machine"]);
}

#[test]
fn a_command_line_that_can_not_be_carried_out_is_a_usage_error() {
    let shell = Shell::with_suite();
    shell.write("bad.json", r#"{"steps": [{"request": {"webhok": "x"}}]}"#);
    shell.write("secret", "canary-7713");
    for (arguments, words) in [
        (
            &["automation", "create", "-f", "bad.json"][..],
            &["steps[0].request.webhok: no such field", "webhook, method"][..],
        ),
        (&["automation", "create", "-f", "secret"], &["is not JSON: line 1, column 1"]),
        (&["automation", "update", "-f", "bad.json"], &["steps[0]"]),
        (
            &["webhook", "create", "x", "--kind", "both", "--url", "https://a.dev/"],
            &["must be one of automation, event"],
        ),
        (
            &[
                "webhook",
                "create",
                "x",
                "--kind",
                "event",
                "--url",
                "https://a.dev/",
                "--credentials",
                "secret",
            ],
            &["is not JSON"],
        ),
        (&["webhook", "update", "x"], &["--name"]),
        (&["execution", "get", "evt-1"], &["ex_"]),
        (
            &["execution", "get", "accounts/acme/webhooks/ex_1"],
            &["accounts/{account}/executions/{execution}"],
        ),
        (&["event", "send"], &["--object"]),
        (&["account", "put", "a/b", "--plan", "advanced"], &["a/b"]),
    ] {
        let told = shell.run(arguments);
        refused(&told, 2, words);
        assert!(!told.err.contains("canary"), "{told:?}");
    }
    let told = shell.run_with(&["webhook", "list"], &[("SLUICE_ACCOUNT", "")], b"");
    assert_eq!(told.code, 2, "{told:?}");
}

#[test]
fn each_refusal_of_the_server_leads_to_the_next_command() {
    let shell = Shell::with_flags(&[]);
    let create =
        ["webhook", "create", "Won deals", "--kind", "automation", "--url", "https://erp.example.com/crm/"];
    refused(&shell.run(&create), 1, &["ACCOUNT_UNKNOWN", "next: ", "sluice account put acme --plan"]);
    shell.done(&["account", "put", "acme", "--plan", "essential"]);
    refused(&shell.run(&create), 1, &["PLAN_REQUIRED", "sluice account put acme --plan advanced"]);
    shell.done(&["account", "put", "acme", "--plan", "advanced"]);
    shell.done(&create);
    refused(&shell.run(&create), 1, &["NAME_TAKEN", "sluice webhook update 'Won deals'"]);
    let here = ["webhook", "create", "Here", "--kind", "automation", "--url", "http://127.0.0.77:8099/"];
    refused(&shell.run(&here), 1, &["TARGET_FORBIDDEN", "sluice up --dev", "egress.allow"]);
    let events = [
        "webhook",
        "create",
        "Regular",
        "--kind",
        "event",
        "--url",
        "https://a.example.com/",
        "--object",
        "deal",
    ];
    shell.done(&events);
    shell.write("regular.json", &AUTOMATION.replace("Won deals", "Regular"));
    let regular = shell.run(&["automation", "create", "-f", "regular.json"]);
    refused(&regular, 1, &["WEBHOOK_KIND_MISMATCH", "sluice webhook create … --kind automation"]);
    shell.write("unknown.json", &AUTOMATION.replace("Won deals", "Nobody"));
    let unknown = shell.run(&["automation", "create", "-f", "unknown.json"]);
    refused(&unknown, 1, &["steps[0].request.webhook", "no webhook called `Nobody`", "sluice webhook list"]);
    let gone = shell.run(&["webhook", "get", "wh_01h455vb4pex5vsknk084sn02q"]);
    refused(&gone, 1, &["NOT_FOUND", "sluice webhook list --account acme"]);
    refused(
        &shell.run(&["account", "put", "acme", "--plan", "advanced", "--version", "1"]),
        1,
        &["VERSION_OUTDATED", "version 2"],
    );

    shell.write(
        "two.json",
        r#"{"displayName": "", "steps": [{"request": {"webhook": "Won deals", "path": "{% x %}"}}]}"#,
    );
    let two = shell.run(&["automation", "create", "-f", "two.json"]);
    refused(
        &two,
        1,
        &[
            "INVALID_ARGUMENT",
            "\n  automation.display_name: ",
            "\n  automation.steps[0].request.path: ",
            "\nnext: mend",
        ],
    );
}

#[test]
fn an_event_id_that_is_taken_and_an_execution_that_has_not_ended_are_told() {
    let shell = Shell::furnished("http://127.0.0.77:8099/crm/");
    let execution = shell.deal_won("evt-1");
    let other =
        ["event", "send", "--id", "evt-1", "--object", "deal", "--action", "updated", "--record-id", "43"];
    let records = [
        "--current",
        r#"{"id": 43, "title": "b", "value": 1, "stage": "won"}"#,
        "--previous",
        r#"{"stage": "x"}"#,
    ];
    refused(&shell.run(&[&other[..], &records].concat()), 1, &["EVENT_ID_REUSED", "--id"]);
    let early = shell.run(&["execution", "retry", &execution]);
    refused(&early, 1, &["EXECUTION_STATE", "next: it is ", "can be cancelled"]);
}

#[test]
fn a_token_that_does_not_open_says_which_one_would() {
    let mut shell = Shell::with_suite();
    shell.done(&["account", "put", "acme", "--plan", "advanced"]);
    let data = shell.path("sluice-data");
    let member = token(&data, &["--account", "acme", "--user", "mia", "--role", "member"]);
    let stranger = token(&data, &["--account", "other", "--user", "eve", "--role", "global_admin"]);
    let forged =
        token(&shell.path("other-data"), &["--account", "acme", "--user", "eve", "--role", "global_admin"]);
    let create = ["webhook", "create", "A", "--kind", "automation", "--url", "https://a.example.com/"];
    for (token, arguments, words) in [
        (&member, &create[..], &["GLOBAL_ADMIN_REQUIRED", "--role global_admin"][..]),
        (&member, &["execution", "list"], &["PERMISSION_DENIED", "--account acme", "--role global_admin"]),
        (
            &member,
            &["account", "put", "--plan", "advanced", "--version", "9"],
            &["PERMISSION_DENIED", "--scope entitlements.write"],
        ),
        (&stranger, &["webhook", "list"], &["PERMISSION_DENIED", "for account acme"]),
        (&forged, &["webhook", "list"], &["UNAUTHENTICATED", "sluice token --account acme"]),
    ] {
        let told = shell.run_with(arguments, &[("SLUICE_TOKEN", token)], b"");
        refused(&told, 1, words);
        assert!(!told.err.contains(token.as_str()), "{told:?}");
        shell.write("token", token);
        refused(&shell.run(&[arguments, &["--token-file", "token"]].concat()), 1, words);
    }
    let minted = shell.run(&["webhook", "list", "--data", "other-data"]);
    refused(&minted, 1, &["UNAUTHENTICATED", "takes no tokens of the data directory other-data", "--data"]);
    assert_eq!(shell.run_with(&["webhook", "list"], &[("SLUICE_TOKEN", &member)], b"").code, 0);
    shell.stop();
    refused(&shell.run(&["webhook", "list"]), 1, &["can't reach", "sluice up"]);
}
