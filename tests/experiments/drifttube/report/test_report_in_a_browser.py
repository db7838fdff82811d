"""The report in a real browser: headless Chromium, told what to do over a pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from townsend.experiments.drifttube.report.report import report

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
)


class Browser:
    """One page of a browser: commands out, answers and events in, a zero byte behind each."""

    def __init__(self, send: int, receive: int) -> None:
        self.send, self.receive = os.fdopen(send, "wb", buffering=0), os.fdopen(receive, "rb")
        self.events: list[dict[str, Any]] = []
        self.number, self.session = 0, ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.send.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self.receive.read(1)) != b"\0":
            assert byte, "the browser ended"
            text += byte
        return dict(json.loads(text))

    def run(self, script: str) -> Any:
        """Return the value of JavaScript run in the page; the page's own policy holds for the page, not for this."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, path: Path, width: int, height: int = 900) -> None:
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.ask("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def named(self, *methods: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event.get("method") in methods]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        missing = "no Chromium here: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    theirs, ours = os.pipe(), os.pipe()  # the browser reads from file 3 and writes to file 4
    line = f'exec "$0" "$@" 3<&{theirs[0]} 4>&{ours[1]}'
    command = ["bash", "-c", line, CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, pass_fds=(theirs[0], ours[1]), **quiet)  # type: ignore[call-overload]
    os.close(theirs[0])
    os.close(ours[1])
    page = Browser(theirs[1], ours[0])
    yield page
    page.send.close()
    page.receive.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def page(whole_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(whole_run, tmp_path_factory.mktemp("browser") / "report.html")


FIRST_TRACE = "document.querySelector('.trace-frame')"


def view(browser: Browser) -> tuple[float, float]:
    low, high = browser.run(f"{FIRST_TRACE}.dataset.view").split()
    return float(low), float(high)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_whole_quiet_and_as_wide_as_the_screen(
    browser: Browser, page: Path, width: int, tmp_path: Path
) -> None:
    browser.open(page, width)
    assert browser.named("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []
    asked = {event["request"]["url"].partition(":")[0] for event in browser.named("Network.requestWillBeSent")}
    assert asked <= {"file", "data"}
    sizes = browser.run("[...document.images].map(i => i.complete ? i.naturalWidth : 0)")
    assert len(sizes) == 27
    assert min(sizes) > 100
    assert browser.run("document.documentElement.scrollWidth") <= width
    wide = (
        "[...document.querySelectorAll('main > section > *')].filter(e => e.getBoundingClientRect().right > innerWidth)"
    )
    assert browser.run(f"{wide}.length") == 0
    assert browser.run("document.querySelectorAll('.trace-frame > svg .wave').length") == 6
    shot = tmp_path / "screen.png"
    shot.write_bytes(base64.b64decode(browser.ask("Page.captureScreenshot")["data"]))
    assert shot.stat().st_size > 20_000


@pytest.mark.slow
def test_a_waveform_can_be_zoomed_by_wheel_buttons_keys_and_dragged(browser: Browser, page: Path) -> None:
    browser.open(page, 1000)
    start = view(browser)
    browser.run(f"{FIRST_TRACE}.scrollIntoView({{block: 'center'}})")
    box = browser.run(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({FIRST_TRACE}.getBoundingClientRect())")
    place = {"x": box[0], "y": box[1]}

    def mouse(kind: str, **more: Any) -> None:
        browser.ask("Input.dispatchMouseEvent", type=kind, **{**place, **more})

    def wheel() -> None:
        mouse("mouseWheel", deltaX=0, deltaY=-120)
        browser.run("new Promise(done => setTimeout(done, 300))")

    wheel()
    assert view(browser) == start  # the page scrolls until the waveform is chosen
    browser.run(f"{FIRST_TRACE}.focus(); {FIRST_TRACE}.scrollIntoView({{block: 'center'}})")
    wheel()
    zoomed = view(browser)
    assert zoomed[1] - zoomed[0] == pytest.approx(0.8 * (start[1] - start[0]), abs=0.02)
    assert start[0] < zoomed[0] < zoomed[1] < start[1]

    mouse("mousePressed", button="left", clickCount=1)
    mouse("mouseMoved", button="left", buttons=1, x=box[0] - 100)
    mouse("mouseReleased", button="left", x=box[0] - 100)
    dragged = view(browser)
    assert dragged[0] > zoomed[0]
    assert dragged[1] - dragged[0] == pytest.approx(zoomed[1] - zoomed[0], abs=0.02)

    for key, expected in (("+", 0.5), ("-", 1.0)):
        browser.ask("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        now = view(browser)
        assert now[1] - now[0] == pytest.approx(expected * (dragged[1] - dragged[0]), abs=0.02)

    browser.run("document.querySelector('[data-action=whole]').click()")
    assert view(browser) == (0.0, 1023.0)
    browser.run("document.querySelector('[data-action=in]').click()")
    assert view(browser) == (255.75, 767.25)
    browser.run("document.querySelector('[data-action=drift]').click()")
    assert view(browser) == start


@pytest.mark.slow
def test_two_fingers_zoom_a_waveform(browser: Browser, page: Path) -> None:
    browser.open(page, 390)
    before = view(browser)
    browser.run(f"{FIRST_TRACE}.scrollIntoView({{block: 'center'}})")
    x, y = browser.run(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({FIRST_TRACE}.getBoundingClientRect())")

    def touch(kind: str, apart: float) -> None:
        points = [{"x": x + side * apart, "y": y, "id": number} for number, side in enumerate((-1, 1))]
        browser.ask("Input.dispatchTouchEvent", type=kind, touchPoints=[] if kind == "touchEnd" else points)

    browser.ask("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    touch("touchStart", 30)
    for apart in (40, 50, 60):
        touch("touchMove", apart)
    touch("touchEnd", 60)
    after = view(browser)
    assert after[1] - after[0] == pytest.approx(0.5 * (before[1] - before[0]), rel=0.1)


@pytest.mark.slow
def test_without_scripts_the_waveforms_are_still_seen(browser: Browser, page: Path) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    browser.ask("Page.navigate", url=page.as_uri())
    while not any(event.get("method") == "Page.loadEventFired" for event in browser.events):
        browser.events.append(browser._next())
    browser.ask("DOM.enable")
    root = browser.ask("DOM.getDocument")["root"]["nodeId"]
    waves = browser.ask("DOM.querySelectorAll", nodeId=root, selector=".trace-frame > svg .wave")["nodeIds"]
    assert len(waves) == 6
    controls = browser.ask("DOM.querySelector", nodeId=root, selector=".zooming")["nodeId"]
    assert controls == 0


@pytest.mark.slow
def test_a_script_that_slipped_in_would_not_run(browser: Browser, page: Path, tmp_path: Path) -> None:
    """The policy is the second wall, behind the escaping."""
    broken = tmp_path / "broken.html"
    attack = '<script>document.title = "taken"</script><img src="https://example.org/x.png">'
    broken.write_text(page.read_text().replace("<header>", f"{attack}<header>", 1))
    browser.open(broken, 1000)
    assert browser.run("document.title") != "taken"
    refusals = " ".join(entry["entry"]["text"] for entry in browser.named("Log.entryAdded"))
    assert "Content Security Policy" in refusals


@pytest.mark.slow
def test_the_page_can_be_printed(browser: Browser, page: Path) -> None:
    browser.open(page, 1280)
    printed = base64.b64decode(browser.ask("Page.printToPDF", printBackground=True)["data"])
    assert printed.startswith(b"%PDF")
    browser.ask("Emulation.setEmulatedMedia", media="print")
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.run("getComputedStyle(document.querySelector('.trace-controls')).display") == "none"
