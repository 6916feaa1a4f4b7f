"""A server between the search and MLflow's, which loses answers or gives none at all."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DROPPED = {"connection", "transfer-encoding", "content-length", "server", "date"}


@dataclass
class Proxy:
    """Where it listens, and what it does: while `hangs` is set nothing is answered.

    Of the calls that change something every `nth` is carried out and answered with an error.
    """

    port: int
    target: int
    nth: int = 0
    hangs: threading.Event = field(default_factory=threading.Event)
    num_changes: int = 0
    num_lost: int = 0


@contextmanager
def proxy(port: int, target: int, *, nth: int = 0) -> Iterator[Proxy]:
    """Answer at `port` what the server at `target` of this machine does, but for the faults."""
    state = Proxy(port, target, nth)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Silent."""

        def handle_one_request(self) -> None:
            """Whatever the method is."""
            self.raw_requestline = self.rfile.readline(1 << 16)
            if self.raw_requestline and self.parse_request():
                _forward(self, state)
            self.close_connection = True

    listening = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        state.hangs.clear()
        listening.shutdown()
        thread.join()
        listening.server_close()


def _forward(asked: BaseHTTPRequestHandler, state: Proxy) -> None:
    body = asked.rfile.read(int(asked.headers.get("Content-Length", 0)))
    while state.hangs.is_set():
        time.sleep(0.05)
    headers = {key: value for key, value in asked.headers.items() if key.lower() not in DROPPED}
    headers["Host"] = f"127.0.0.1:{state.target}"
    request = urllib.request.Request(
        f"http://127.0.0.1:{state.target}{asked.path}",
        data=body or None,
        headers=headers,
        method=asked.command,
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            status, content, kind = answer.status, answer.read(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        status, content, kind = error.code, error.read(), error.headers["Content-Type"]
    if asked.command != "GET" and not asked.path.endswith("/search"):
        state.num_changes += 1
        if state.nth and state.num_changes % state.nth == 0:
            state.num_lost += 1
            status, content, kind = 500, b"the answer is lost", "text/plain"
    asked.send_response(status)
    asked.send_header("Content-Type", kind or "application/octet-stream")
    asked.send_header("Content-Length", str(len(content)))
    asked.end_headers()
    asked.wfile.write(content)
