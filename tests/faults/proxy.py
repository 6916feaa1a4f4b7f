"""A server between the search and MLflow's, which loses answers or gives none at all."""

import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DROPPED = {"connection", "transfer-encoding", "content-length", "server", "date"}


@dataclass
class Proxy:
    """The server behind it, and its faults: while `hangs` is set nothing is answered.

    It is set by itself when a file whose name ends with `hangs_after` was uploaded; `uploads`
    counts them. Where it `loses` answers, every second call of each kind that changes what is
    tracked is carried out, and answered with an error. Where it is `late_seconds` late, the
    request for the first trial's run is carried out only then; nobody may wait for it any more.
    """

    target: int
    loses: bool = False
    late_seconds: float = 0.0
    num_asked: int = 0
    hangs_after: str = ""
    uploads: Counter[str] = field(default_factory=Counter)
    hangs: threading.Event = field(default_factory=threading.Event)
    changes: Counter[str] = field(default_factory=Counter)
    num_lost: int = 0


@contextmanager
def proxy(port: int, target: int, *, loses: bool = False) -> Iterator[Proxy]:
    """Answer at `port` what the server at `target` of this machine does, but for the faults."""
    state = Proxy(target, loses)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Silent."""

        def handle_one_request(self) -> None:
            """Whatever the method is."""
            self.raw_requestline = self.rfile.readline(1 << 16)
            if self.raw_requestline and self.parse_request():
                with suppress(ConnectionError):  # whoever asked does not wait any longer
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
    body = _body(asked)
    if asked.path.endswith("/runs/create"):
        state.num_asked += 1
        if state.num_asked == 2:  # the first is the study's own
            time.sleep(state.late_seconds)
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
    if asked.command == "PUT":
        state.uploads[asked.path] += 1
        if state.hangs_after and asked.path.endswith(state.hangs_after):
            state.hangs.set()
    is_change = asked.command == "POST" and not asked.path.endswith("/search")
    state.changes[asked.path] += is_change
    if is_change and state.loses and state.changes[asked.path] % 2 == 0:
        state.num_lost += 1
        status, content, kind = 500, b"the answer is lost", "text/plain"
    asked.send_response(status)
    asked.send_header("Content-Type", kind or "application/octet-stream")
    asked.send_header("Content-Length", str(len(content)))
    asked.end_headers()
    asked.wfile.write(content)


def _body(asked: BaseHTTPRequestHandler) -> bytes:
    if asked.headers.get("Transfer-Encoding", "") != "chunked":
        return asked.rfile.read(int(asked.headers.get("Content-Length", 0)))
    whole = b""
    while size := int(asked.rfile.readline(), 16):
        whole += asked.rfile.read(size)
        asked.rfile.readline()
    asked.rfile.readline()
    return whole
