"""Drive a headless Chromium over its DevTools protocol, the network off: load a page, watch it, look at it.

``python tests/bench/chromium.py FILE.html OUT.png [WIDTH]`` saves a picture of the whole page, prints what went wrong.
"""

import base64
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import websocket

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run --no-default-browser-check --disable-default-apps --disable-extensions "
    "--disable-dev-shm-usage --mute-audio --hide-scrollbars --force-color-profile=srgb --remote-allow-origins=*"
)
LIMIT = 60.0  # [s] for a page to load and draw, on a busy machine
PAUSE = 0.05  # [s] between two looks

FIGURES = """(() => {
  const count = (value) => {
    if (value === null || value === undefined) return 0;
    if (typeof value === 'number') return Number.isFinite(value) ? 1 : 0;
    if (typeof value === 'string') return 1;
    if (typeof value === 'object' && value.length !== undefined) {
      let n = 0; for (const item of value) n += count(item); return n;
    }
    return 0;
  };
  return [...document.querySelectorAll('.js-plotly-plot')].map((plot) => ({
    id: plot.id,
    points: (plot._fullData || []).reduce((n, t) => n + count(t.z || t.y || t.x || t.values), 0),
    box: (() => { const b = plot.getBoundingClientRect();
      return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}; })(),
    area: (() => { const s = plot._fullLayout && plot._fullLayout._size;
      return s ? {l: s.l, t: s.t, w: s.w, h: s.h} : null; })(),
  }));
})()"""


def binary() -> str | None:
    """Return the Chromium on this machine, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for path in map(shutil.which, names) if path), None)


@dataclass
class Seen:
    """What a page did while it was open.

    Attributes
    ----------
    errors : list of str
        Console errors and uncaught exceptions.
    requests : list of str
        Addresses asked for that are not files.
    figures : list of dict
        Drawn plots: id, finite points, box [px], plot area [px], spread of grey inside the plot area.
    expected : int
        Places for figures in the page.
    overflow : float
        How far the page is wider than its window [px].
    """

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    figures: list[dict] = field(default_factory=list)
    expected: int = 0
    overflow: float = 0.0


class Browser:
    """One Chromium process with one tab; use as a context manager."""

    def __init__(self):
        self._folder = tempfile.mkdtemp(prefix="chromium-")
        command = [
            binary(),
            *FLAGS.split(),
            "--remote-debugging-port=0",
            f"--user-data-dir={self._folder}",
            "about:blank",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._number, self._events = 0, []
        port = self._wait_for(self._port, "a debugging port")
        self._socket = websocket.create_connection(self._wait_for(lambda: self._target(port), "a tab"), timeout=LIMIT)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.call("Network.emulateNetworkConditions", **offline)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_for(self, look, what: str, limit: float = LIMIT):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            found = look()
            if found:
                return found
            if self._process.poll() is not None:
                raise RuntimeError(f"Chromium ended with code {self._process.returncode} before there was {what}")
            time.sleep(PAUSE)
        raise TimeoutError(f"no {what} after {limit:.0f} s")

    def _port(self) -> str | None:
        path = Path(self._folder) / "DevToolsActivePort"
        lines = path.read_text().splitlines() if path.exists() else []
        return lines[0] if len(lines) > 1 else None

    @staticmethod
    def _target(port: str) -> str | None:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
        with direct.open(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
            pages = [target for target in json.load(answer) if target["type"] == "page"]
        return pages[0]["webSocketDebuggerUrl"] if pages else None

    def call(self, method: str, **parameters) -> dict:
        """Send a command and return its result; events that arrive meanwhile are kept."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message.get("result", {})
            if "method" in message:
                self._events.append(message)

    def evaluate(self, expression: str):
        """Return the value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    def open(self, page: Path, width: int = 1280, height: int = 900, dark: bool = False) -> Seen:
        """Open a file, wait until it is loaded and drawn, and return what it did."""
        self._events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=theme)
        address = Path(page).resolve().as_uri()
        self.call("Page.navigate", url=address)
        loaded = f"document.readyState === 'complete' && location.href.startsWith({json.dumps(address)})"
        self._wait_for(lambda: self.evaluate(loaded), f"loaded page {Path(page).name}")
        figures = "[...document.querySelectorAll('.plotly-figure')]"
        drawn = f"{figures}.every((place) => ['drawn', 'failed'].includes(place.dataset.state))"
        self._wait_for(lambda: self.evaluate(drawn), f"drawn figures in {Path(page).name}")
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        return self._seen()

    def _seen(self) -> Seen:
        seen = Seen()
        seen.expected = self.evaluate("document.querySelectorAll('.plotly-figure').length")
        seen.overflow = self.evaluate(
            "(() => { const root = document.documentElement;"
            "return Math.max(root.scrollWidth, document.body.scrollWidth) - root.clientWidth; })()"
        )
        seen.figures = self.evaluate(FIGURES)
        for figure in seen.figures:
            figure["spread"] = self._spread(figure)
        for event in self._events:
            parameters = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                seen.errors.append(details.get("exception", {}).get("description", details["text"]))
            elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in {"error", "assert"}:
                seen.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in parameters["args"]))
            elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
                seen.errors.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
            elif event["method"] == "Network.requestWillBeSent":
                address = parameters["request"]["url"]
                if not address.startswith(("file:", "data:", "about:", "blob:")):
                    seen.requests.append(address)
        return seen

    def _spread(self, figure: dict) -> float:
        """Return the standard deviation of grey [0..255] inside a figure's plot area: 0 for a blank one."""
        box, area = (
            figure["box"],
            figure["area"] or {"l": 0, "t": 0, "w": figure["box"]["width"], "h": figure["box"]["height"]},
        )
        clip = {"x": box["x"] + area["l"] + 2, "y": box["y"] + area["t"] + 2, "width": max(area["w"] - 4, 1)}
        clip |= {"height": max(area["h"] - 4, 1), "scale": 1}
        picture = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)["data"]
        # the browser itself decodes its picture, so that no imaging library is needed
        return self.evaluate(
            "(async () => { const i = new Image(); i.src = 'data:image/png;base64," + picture + "'; await i.decode();"
            "const c = document.createElement('canvas'); c.width = i.width; c.height = i.height;"
            "const g = c.getContext('2d'); g.drawImage(i, 0, 0);"
            "const d = g.getImageData(0, 0, i.width, i.height).data;"
            "let n = 0, s = 0, q = 0; for (let k = 0; k < d.length; k += 4) {"
            "const v = (d[k] + d[k + 1] + d[k + 2]) / 3; n += 1; s += v; q += v * v; }"
            "return Math.sqrt(Math.max(q / n - (s / n) ** 2, 0)); })()"
        )

    def screenshot(self, target: Path, full: bool = True) -> None:
        """Save a picture of the whole page, or of what the window shows."""
        options = {}
        if full:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            options = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
            options["captureBeyondViewport"] = True
        picture = self.call("Page.captureScreenshot", format="png", **options)["data"]
        Path(target).write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    with Browser() as browser:
        seen = browser.open(
            Path(sys.argv[1]), width=int(sys.argv[3]) if len(sys.argv) > 3 else 1280, dark="dark" in sys.argv
        )
        browser.screenshot(Path(sys.argv[2]))
        print(json.dumps(seen.__dict__, indent=1, default=str))
