"""A page in headless Chromium, driven over a pipe. Knows nothing of MLflow.

Chromium's own --screenshot takes its picture by a virtual clock, before MLflow's charts are drawn;
here a test waits for what it wants to see. The DevTools protocol speaks JSON, a zero byte after
each message, over the descriptors 3 and 4 of the browser.
"""

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# What Chromium reads its orders from is 3 and what it answers to is 4, by its own convention.
_START = 'orders=$1; answers=$2; shift 2; exec "$@" 3<&"$orders" 4>&"$answers"'
WAIT_SECONDS, POLL_SECONDS = 60.0, 0.1


@dataclass(slots=True)
class Page:
    """An open tab. Each method waits for the browser's answer."""

    _orders: IO[bytes]
    _answers: IO[bytes]
    _session: str = ""
    _number: int = field(default=0)

    def open(self, url: str, *, until: str) -> None:
        """Go to `url` and wait until the JavaScript expression `until` is true there."""
        # From another page of one application only the part after # would change.
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)
        self.wait(until)

    def wait(self, until: str) -> None:
        """Wait until the JavaScript expression `until` is true."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.value(f"Boolean({until})"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {WAIT_SECONDS:g} s: {until}\n{self.text()}")
            time.sleep(POLL_SECONDS)

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression, as JSON; None where it cannot be had yet."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def text(self) -> str:
        """What a person can read, as rendered."""
        return str(self.value("document.body.innerText"))

    def picture(self, path: Path) -> Path:
        """Write what a person sees to `path`, a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        return path

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """The result of one order of the DevTools protocol."""
        self._number += 1
        order: dict[str, object] = {"id": self._number, "method": method, "params": params}
        if self._session:
            order["sessionId"] = self._session
        self._orders.write(json.dumps(order).encode() + b"\0")
        self._orders.flush()
        while True:
            answer: dict[str, Any] = json.loads(self._message())
            if answer.get("id") == self._number:
                break
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def attach(self) -> None:
        """Open the tab that every later order is for."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.call("Page.enable")

    def _message(self) -> bytes:
        """The bytes up to the next zero byte; events between the answers are passed over."""
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            if not byte:
                raise EOFError("Chromium has ended")
            message += byte
        return bytes(message)


@contextmanager
def page(chromium: str, profile: Path, *, width: int = 1500, height: int = 1100) -> Iterator[Page]:
    """A tab of a browser of its own, which ends with the block."""
    orders_in, orders = os.pipe()
    answers, answers_out = os.pipe()
    window = f"--window-size={width},{height}"
    browser = [chromium, *FLAGS, f"--user-data-dir={profile}", window, "about:blank"]
    command = ["bash", "-c", _START, "bash", str(orders_in), str(answers_out), *browser]
    with (profile.parent / f"{profile.name}.log").open("wb") as log:
        process = subprocess.Popen(command, pass_fds=(orders_in, answers_out), stderr=log)
    os.close(orders_in)
    os.close(answers_out)
    with os.fdopen(orders, "wb") as to_browser, os.fdopen(answers, "rb") as from_browser:
        try:
            opened = Page(to_browser, from_browser)
            opened.attach()
            yield opened
            opened.call("Browser.close")
            with suppress(subprocess.TimeoutExpired):  # nobody waits for a slow farewell
                process.wait(30)
        finally:
            process.kill()
            process.wait(60)
