"""What a host's programmer would do first, written against reflection alone.

Reads a JSON object from standard input: `reflection` (the version), `listeners` (the public addresses), `tokens` (by who has
them). Prints a line for each step: its name, a space, and what was seen as JSON.
"""

import base64
import json
import sys
import time

from grpc_health.v1 import health_pb2, health_pb2_grpc

from receiver import Receiver, is_signed
from reflected import Listener, Refused, Suite

ACCOUNT = "accounts/acme"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLERS_SPAN = "00f067aa0ba902b7"
CREDENTIAL = "canary-of-the-python-client"
# What passes by itself once a service has heard of what another one was told.
NOT_HEARD_YET = {"ACCOUNT_UNKNOWN", "PLAN_REQUIRED", "WEBHOOK_UNKNOWN", "UNAVAILABLE"}

AUTOMATION = {
    "display_name": "Tell the ERP",
    "trigger": {"object": "deal", "actions": ["ACTION_UPDATED"]},
    "condition": {
        "comparison": {
            "path": "deal.stage",
            "operator": "OPERATOR_HAS_CHANGED_TO",
            "operands": [{"text": "won"}],
        }
    },
}


def tell(step, seen):
    print(step, json.dumps(seen, sort_keys=True), flush=True)


def until(look):
    """Looks until there is something to see, for half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        seen = look()
        if seen:
            return seen
        time.sleep(0.02)
    raise TimeoutError(look.__name__)


def ours(services):
    return [name for name in services if name.startswith("sluice.")]


def refusal(call, *arguments, **headers):
    """The refusal of a call that must be refused."""
    try:
        answer = call(*arguments, **headers)
    except Refused as refused:
        return refused.told()
    raise AssertionError(f"{arguments} was not refused: {answer}")


def won(identity, **fields):
    """An event that sets the automation off."""
    record = {"id": 42, "title": "Größter Auftrag", "value": 1.10}

    def as_bytes(stage):
        return base64.b64encode(json.dumps(record | {"stage": stage}).encode()).decode()

    return {
        "id": identity,
        "object": "deal",
        "action": "ACTION_UPDATED",
        "record_id": "42",
        "current": as_bytes("won"),
        "previous": as_bytes("open"),
    } | fields


class Host:
    """The host's programs: each step of its day."""

    def __init__(self, given):
        self.version = given["reflection"]
        self.suite = Suite(given["listeners"], self.version)
        self.tokens = given["tokens"]
        # The first request is to be tried again.
        self.receiver = Receiver(first=[503])

    def looks_around(self):
        for listener in self.suite.listeners:
            # Both versions of reflection tell the same services, beside themselves.
            others = Listener(listener.address, "v1" if self.version == "v1alpha" else "v1alpha").services
            assert ours(others) == ours(listener.services), others
            tell("services", listener.services)
            health = health_pb2_grpc.HealthStub(listener.channel)
            statuses = {
                name: health_pb2.HealthCheckResponse.ServingStatus.Name(
                    health.Check(health_pb2.HealthCheckRequest(service=name)).status
                )
                for name in ["", *ours(listener.services)]
            }
            tell("health", statuses)

    def puts_the_account_on_a_plan(self):
        answer = self.suite.call(
            "sluice.registry.v1.AccountService/PutEntitlements",
            {"name": ACCOUNT, "plan": "advanced", "version": 7},
            self.tokens["billing"],
        )
        tell("entitlements", answer["account"]["entitlements"])

    def registers_a_webhook(self):
        webhook = {
            "display_name": "ERP",
            "kind": "WEBHOOK_KIND_AUTOMATION",
            "endpoint_url": self.receiver.url("/erp/"),
            "authentication": {"bearer": {"token": CREDENTIAL}},
        }
        answer = self.suite.call(
            "sluice.registry.v1.WebhookService/CreateWebhook",
            {"parent": ACCOUNT, "webhook": webhook},
            self.tokens["admin"],
        )
        self.webhook, self.secret = answer["webhook"]["name"], answer["signing_secret"]
        tell("webhook", answer["webhook"])

    def registers_an_automation(self):
        step = {
            "webhook": self.webhook,
            "path": "deals/{{ deal.id }}",
            "raw": {
                "content_type": "application/json",
                "template": '{"title": "{{ deal.title }}", "value": {{ deal.value }}}',
            },
        }
        request = {"parent": ACCOUNT, "automation": AUTOMATION | {"steps": [{"request": step}]}}

        def is_created():
            try:
                return self.suite.call(
                    "sluice.evaluator.v1.AutomationService/CreateAutomation", request, self.tokens["admin"]
                )
            except Refused as refused:
                if refused.reason not in NOT_HEARD_YET:
                    raise

        self.automation = until(is_created)["automation"]["name"]
        answer = self.suite.call(
            "sluice.evaluator.v1.AutomationService/ActivateAutomation",
            {"name": self.automation},
            self.tokens["admin"],
        )
        tell("automation", answer["automation"])

    def sends_events(self):
        self.first = self.suite.call(
            "sluice.evaluator.v1.EventService/IngestEvent",
            {"parent": ACCOUNT, "event": won("e-1")},
            self.tokens["producer"],
            traceparent=f"00-{TRACE}-{CALLERS_SPAN}-01",
        )
        tell("event", self.first["outcome"])
        self.takes_requests(2)
        events = [won("e-2"), won("e-3", object=""), won("e-1"), won("e-4", suppress=True)]
        batch = self.suite.call(
            "sluice.evaluator.v1.EventService/BatchIngestEvents",
            {"parent": ACCOUNT, "events": events},
            self.tokens["producer"],
        )
        for result in batch["results"]:
            tell("of_batch", result.get("error") or result["response"]["outcome"])
        self.takes_requests(1)

    def takes_requests(self, count):
        for _ in range(count):
            path, headers, body = self.receiver.next()
            tell(
                "request",
                {
                    "path": path,
                    "body": json.loads(body),
                    "signed": is_signed(self.secret, headers, body),
                    "signed_by_another": is_signed("whsec_" + base64.b64encode(bytes(32)).decode(), headers, body),
                    "signed_with_another_body": is_signed(self.secret, headers, body + b" "),
                    "attempt": headers["sluice-attempt"],
                    "credential": headers["authorization"] == f"Bearer {CREDENTIAL}",
                    "in_the_trace": headers["traceparent"].split("-")[1] == TRACE,
                },
            )

    def reads_the_history(self):
        [name] = self.first["executions"]

        def is_over():
            execution = self.suite.call(
                "sluice.dispatcher.v1.ExecutionService/GetExecution", {"name": name}, self.tokens["admin"]
            )["execution"]
            return execution if "end" in execution or execution["state"] == "EXECUTION_STATE_SUCCEEDED" else None

        execution = until(is_over)
        [delivery] = execution["deliveries"]
        tell(
            "execution",
            {
                "state": execution["state"],
                "automation": execution["automation"] == self.automation,
                "webhook": delivery["webhook"] == self.webhook,
                "trace_id": execution["trace_id"],
                "attempts": [
                    [attempt["number"], attempt["outcome"], attempt["answer"]["status"]]
                    for attempt in delivery["attempts"]
                ],
                "tells_the_credential": CREDENTIAL in json.dumps(execution),
            },
        )
        pages, token = [], ""
        while True:
            page = self.suite.call(
                "sluice.dispatcher.v1.ExecutionService/ListExecutions",
                {"parent": ACCOUNT, "page_size": 1, "page_token": token},
                self.tokens["admin"],
            )
            pages.append([execution["event"]["id"] for execution in page["executions"]])
            token = page["next_page_token"]
            if not token:
                break
        tell("pages", [event for page in pages for event in page])

    def watches(self):
        """From the oldest change on, until both executions are over."""
        seen, over = {}, 0
        for answer in self.suite.watch(
            "sluice.dispatcher.v1.ExecutionService/WatchExecutions",
            {"parent": ACCOUNT, "oldest": True},
            self.tokens["admin"],
        ):
            if "change" not in answer:
                continue
            change = answer["change"]
            execution = change["execution"]
            seen.setdefault(execution["event"]["id"], []).append(change["kind"])
            over += execution["state"] == "EXECUTION_STATE_SUCCEEDED"
            if over == 2:
                break
        tell("watched", seen)

    def is_refused(self):
        webhooks = "sluice.registry.v1.WebhookService"
        wrong = {"display_name": "", "kind": "WEBHOOK_KIND_AUTOMATION", "endpoint_url": "ftp://receiver.example.com/"}
        calls = {
            "fields": ("CreateWebhook", {"parent": ACCOUNT, "webhook": wrong}, self.tokens["admin"]),
            "stranger": ("GetWebhook", {"name": self.webhook}, self.tokens["stranger"]),
            "producer": ("DeleteWebhook", {"name": self.webhook}, self.tokens["producer"]),
            "nobody": ("GetWebhook", {"name": self.webhook}, None),
        }
        for who, (method, request, token) in calls.items():
            tell(f"refused_{who}", refusal(self.suite.call, f"{webhooks}/{method}", request, token))


def main():
    host = Host(json.load(sys.stdin))
    host.looks_around()
    host.puts_the_account_on_a_plan()
    host.registers_a_webhook()
    host.registers_an_automation()
    host.sends_events()
    host.reads_the_history()
    host.watches()
    host.is_refused()
    tell("left_over", not host.receiver.is_empty())


main()
