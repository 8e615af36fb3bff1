"""What a page in a browser would do: gRPC-Web over HTTP/1.1, with the standard library's client.

Reads a JSON object from standard input: `listeners` (the public addresses), `tokens` (by who has them), `origins` (by whether
their pages may call). Prints a line for each call: its name, a space, and what was seen as JSON.
"""

import base64
import http.client
import json
import sys
import urllib.parse

from reflected import TIMEOUT, Refused, Suite

# The first byte of a frame: a message, or the trailers.
MESSAGE, TRAILERS = 0x00, 0x80

METHOD = "sluice.registry.v1.AccountService/GetAccount"


def tell(step, seen):
    print(step, json.dumps(seen, sort_keys=True), flush=True)


def framed(message):
    return bytes([MESSAGE]) + len(message).to_bytes(4) + message


def frames(body):
    """The frames of an answer: kind and content."""
    while body:
        length = int.from_bytes(body[1:5])
        yield body[0], body[5 : 5 + length]
        body = body[5 + length :]


def from_text(body):
    """Out of base64, which may be padded in the middle, where one piece ended."""
    pieces = [body[at : at + 4] for at in range(0, len(body), 4)]
    return b"".join(base64.b64decode(piece, validate=True) for piece in pieces)


class Page:
    """A page of this origin."""

    def __init__(self, suite, origin):
        self.suite, self.origin = suite, origin

    def sends(self, verb, path, body, headers):
        connection = http.client.HTTPConnection(self.suite.at(path).address, timeout=TIMEOUT)
        connection.request(verb, f"/{path}", body, {"origin": self.origin} | headers)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()

    def asks_beforehand(self, path):
        """The preflight: what a browser asks before it sends a header such as a token."""
        wanted = {
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,x-grpc-web",
        }
        status, headers, _ = self.sends("OPTIONS", path, None, wanted)
        return {
            "status": status,
            "origin": headers.get("access-control-allow-origin"),
            "methods": headers.get("access-control-allow-methods"),
            "headers": sorted(headers.get("access-control-allow-headers", "").split(",")),
        }

    def calls(self, path, request, token, text=False):
        """Calls, and tells how it came out; `text` is for browsers that can't read bytes as they come."""
        kind = "application/grpc-web-text" if text else "application/grpc-web+proto"
        body = framed(self.suite.at(path).encode(path, request))
        headers = {"content-type": kind, "accept": kind, "x-grpc-web": "1", "authorization": f"Bearer {token}"}
        status, headers, answer = self.sends("POST", path, base64.b64encode(body) if text else body, headers)
        seen = {
            "status": status,
            "kind": headers["content-type"],
            "origin": headers.get("access-control-allow-origin"),
            "readable": sorted(headers.get("access-control-expose-headers", "").split(",")),
        }
        # A refusal has no message, and its trailers stand among the headers.
        trailers = headers
        for kind, content in frames(from_text(answer) if text else answer):
            if kind == MESSAGE:
                seen["plan"] = self.suite.at(path).decode(path, content)["account"]["entitlements"]["plan"]
            else:
                assert kind == TRAILERS, kind
                lines = content.decode().split("\r\n")
                trailers = dict(line.split(":", 1) for line in lines if line)
        seen["code"] = int(trailers["grpc-status"])
        if seen["code"] != 0:
            details = trailers["grpc-status-details-bin"].strip()
            details = base64.b64decode(details + "=" * (-len(details) % 4))
            message = urllib.parse.unquote(trailers["grpc-message"].strip())
            refused = Refused(seen["code"], message, details)
            seen["refused"] = {"reason": refused.reason, "fields": refused.fields, "message": message}
        return seen


def main():
    given = json.load(sys.stdin)
    suite = Suite(given["listeners"], "v1")
    ours = {"name": "accounts/acme"}
    for whose, origin in given["origins"].items():
        page = Page(suite, origin)
        tell(f"{whose}_asks", page.asks_beforehand(METHOD))
        tell(f"{whose}_calls", page.calls(METHOD, ours, given["tokens"]["admin"]))
    page = Page(suite, given["origins"]["allowed"])
    tell("in_text", page.calls(METHOD, ours, given["tokens"]["admin"], text=True))
    for text in (False, True):
        tell("refused", page.calls(METHOD, {"name": "accounts/a b"}, given["tokens"]["admin"], text))
    tell("stranger", page.calls(METHOD, ours, given["tokens"]["stranger"]))


main()
