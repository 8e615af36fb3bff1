"""A receiver of webhooks, as a customer would write one from the Standard Webhooks specification."""

import base64
import hashlib
import hmac
import http.server
import queue
import threading
import time

# How old or how far ahead a signature's time may be, in seconds.
TOLERANCE = 300


def is_signed(secret, headers, body):
    """Whether one of the signatures is the secret's, over this id, this time and this body."""
    identity, sent = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(time.time() - int(sent)) > TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    content = b".".join([identity.encode(), sent.encode(), body])
    expected = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    signatures = [part.partition(",") for part in headers["webhook-signature"].split()]
    return any(version == "v1" and hmac.compare_digest(value, expected) for version, _, value in signatures)


class Receiver:
    """Listens on loopback; answers 200, or first what it was told to."""

    def __init__(self, first=()):
        """`first` are the status codes of the first answers."""
        hits, answers = queue.Queue(), queue.Queue()
        for status in first:
            answers.put(status)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                hits.put((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200 if answers.empty() else answers.get())
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._hits = hits
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def next(self):
        """The next request: path, headers by lower-case name, body."""
        return self._hits.get(timeout=30)

    def is_empty(self):
        """Whether every request that came was taken."""
        return self._hits.empty()
