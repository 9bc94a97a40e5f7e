"""A headless Chromium that opens pages, spoken to by its DevTools protocol (websocket of tornado, which dask brings along).

As a script it writes screenshots of pages at several widths, light and dark, and the page printed to PDF::

    python tests/browser.py FOLDER PAGE.html ...
"""

import asyncio
import base64
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

WIDTHS = (400, 900, 1400)
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)
PATIENCE = 60.0
"""Seconds that one answer may take on a busy machine."""


class Tab:
    """An open tab: its page, what its console and its log say, and the answers of scripts."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: WebSocketClientConnection) -> None:
        self._loop, self._socket, self._number = loop, socket, 0
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def call(self, method: str, **parameters: Any) -> dict:
        """The result of a command; events that arrive before it are kept where they are complaints."""
        self._number += 1
        self._socket.write_message(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                assert "error" not in message, (method, message["error"])
                return message["result"]

    def open(self, page: Path, width: int = 900, *, dark: bool = False) -> None:
        """Load a page at a width (CSS pixels) and wait until its figures are there."""
        self.complaints.clear()
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.call("Page.navigate", url=page.resolve().as_uri())
        while self._receive().get("method") != "Page.loadEventFired":
            pass
        self.ask("Promise.all([...document.images].map(i => i.decode().catch(() => null))).then(() => 0)")

    def ask(self, script: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        return base64.b64decode(shot["data"])

    def printed(self) -> bytes:
        """The page as PDF, A4."""
        return base64.b64decode(self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)["data"])

    def _receive(self) -> dict:
        text = self._loop.run_until_complete(asyncio.wait_for(_next(self._socket), PATIENCE))
        message = json.loads(text)
        about = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(about["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif message.get("method") == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in about["args"]))
        elif message.get("method") == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url', '')[:80]}")
        return message


async def _next(socket: WebSocketClientConnection) -> str:
    text = await socket.read_message()
    assert isinstance(text, str), "the browser closed the connection"
    return text


@contextmanager
def browser() -> Iterator[Tab]:
    """A tab of a Chromium that ends with the block."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        quiet = ["--no-first-run", "--disable-background-networking", "--disable-extensions", "--disable-sync"]
        port = ["--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            [CHROMIUM, *options, *quiet, *port], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        loop = asyncio.new_event_loop()
        try:
            assert process.stderr is not None
            address = next(line.split()[-1] for line in process.stderr if "DevTools listening on" in line)
            socket = loop.run_until_complete(_connected(address))
            yield Tab(loop, socket)
            socket.close()
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


async def _connected(address: str) -> WebSocketClientConnection:
    """The socket of the one page of the browser at this address."""
    main = await websocket_connect(address, max_message_size=2**30)
    main.write_message(json.dumps({"id": 1, "method": "Target.getTargets"}))
    targets = json.loads(await _next(main))["result"]["targetInfos"]
    (page,) = (target["targetId"] for target in targets if target["type"] == "page")
    main.close()
    return await websocket_connect(address.partition("/devtools/")[0] + f"/devtools/page/{page}", max_message_size=2**30)


def main(folder: str, *pages: str) -> None:
    """Screenshots and PDFs of pages, in a folder."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    with browser() as tab:
        for page in map(Path, pages):
            for width in WIDTHS:
                for shade in ("light", "dark"):
                    tab.open(page, width, dark=shade == "dark")
                    (out / f"{page.parent.name}-{width}-{shade}.png").write_bytes(tab.screenshot())
                    wide = tab.ask("document.documentElement.scrollWidth")
                    said = "; ".join(tab.complaints) or "no complaint"
                    print(f"{page.parent.name} {width} {shade}: {said}; content {wide} px wide")
            tab.open(page, 900)
            (out / f"{page.parent.name}.pdf").write_bytes(tab.printed())


if __name__ == "__main__":
    main(*sys.argv[1:])
