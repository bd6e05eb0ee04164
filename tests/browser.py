"""A headless Chromium, driven over its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from numpy.typing import NDArray
from PIL import Image

TIME_LIMIT_S = 60


def find() -> str | None:
    """The program, or ``None`` where there is none."""
    named = os.environ.get("PGFRS_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """One page of the browser."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._loop = loop
        self._socket = socket
        self._number = 0
        self.problems: list[str] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        return self._loop.run_until_complete(asyncio.wait_for(self._call(method, parameters), TIME_LIMIT_S))

    async def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = json.loads((await self._socket.receive()).data)
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.problems.append(json.dumps(message["params"]))
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def open(self, address: str) -> None:
        """Load a page and wait until it stands still."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.settle()

    def evaluate(self, script: str) -> Any:
        """The value of a script; of a promise, what it comes to."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def settle(self) -> None:
        """Wait until the page says that everything is drawn."""
        self.evaluate(
            """new Promise((done, failed) => {
                const limit = performance.now() + 40000;
                const look = () => {
                    if (document.body && document.body.dataset.settled === "true" && window.pgfrs) done(true);
                    else if (performance.now() > limit) failed(new Error("the page does not settle"));
                    else setTimeout(look, 20);
                };
                setTimeout(look, 60);
            })"""
        )

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """A mouse event: ``mousePressed``, ``mouseMoved``, ``mouseReleased`` or ``mouseWheel``."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def screenshot(self) -> NDArray[np.uint8]:
        """What is on the screen, uint8 (H, W, 3)."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))


@contextmanager
def browsing(width: int, height: int) -> Iterator[Page]:
    """A page in a window of a size; the browser ends with it."""
    program = find()
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="pgfrs-browser-", ignore_cleanup_errors=True) as profile:
        command = [
            program,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--mute-audio",
        ]
        command += ["--no-first-run", "--hide-scrollbars", "--force-device-scale-factor=1", "--remote-debugging-port=0"]
        command += [f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        loop = asyncio.new_event_loop()
        try:
            yield from _page(loop, Path(profile), width, height)
        finally:
            loop.close()
            browser.terminate()
            try:
                browser.wait(20)
            except subprocess.TimeoutExpired:
                browser.kill()
                browser.wait()


def _page(loop: asyncio.AbstractEventLoop, profile: Path, width: int, height: int) -> Iterator[Page]:
    async def start() -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
        port_file = profile / "DevToolsActivePort"
        for _ in range(50 * TIME_LIMIT_S):
            if port_file.exists() and port_file.read_text().count("\n") >= 1:
                break
            await asyncio.sleep(0.02)
        port = int(port_file.read_text().splitlines()[0])
        session = aiohttp.ClientSession()
        async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            targets = await answer.json(content_type=None)
        target = next(t for t in targets if t["type"] == "page")
        socket = await session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=1 << 28)
        return session, socket

    session, socket = loop.run_until_complete(start())
    try:
        page = Page(loop, socket)
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        yield page
    finally:
        loop.run_until_complete(socket.close())
        loop.run_until_complete(session.close())
        loop.run_until_complete(asyncio.sleep(0.05))
