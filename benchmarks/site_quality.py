"""Measure the site and write docs/site-quality.md.

    npm install --prefix /tmp/site-tools axe-core lighthouse
    python -m benchmarks.site_quality --site public --tools /tmp/site-tools

Needs Chromium, Playwright and Node. Accessibility: axe-core in both themes on every kind of page. Lighthouse: the front
page, an encoder, a task. Speed: made-up boards of up to 1,000 encoders x 200 tasks, built and then used in Chromium.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from bench.files import write_atomic
from bench.publish.writer import write_site
from bench.version import __version__
from tests.publish.synthetic import synthetic_site

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
FLAGS = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
ARGUMENTS = [f"--{flag}" for flag in (*FLAGS.split(), "disable-sync")]
OPEN = "document.querySelectorAll('main details').forEach(d => { if (!d.closest('form')) d.open = true; })"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SLIDE = """const s = document.querySelector('[type=range]'); s.value = s.value === '2' ? '3' : '2';
  s.dispatchEvent(new Event('input', { bubbles: true }));"""
SEARCH = """const q = document.querySelector('[name=q]'); q.value = q.value ? '' : '17';
  q.dispatchEvent(new Event('input', { bubbles: true }));"""
SHOWN = ("index", "boards/", "encoders/", "tasks/", "claims", "compare", "advisor")
"""Kinds of page that Lighthouse looks at."""
MADE_UP = ((60, 40), (1000, 200))
"""Boards of made-up numbers: encoders, tasks."""
DEBOUNCE = 40
"""Milliseconds the page waits for the next key or movement of a slider before it acts."""
VIEWS = {"light": (1440, "light"), "dark": (1440, "dark"), "360 px": (360, "light")}
"""Views that axe sees: width and theme."""
EACH = {"cases": 1, "numbers": 2, "archive": 2}
"""Pages looked at in each folder of these kinds, which hold many alike; of every other kind all are looked at."""


class Compressed(SimpleHTTPRequestHandler):
    """Static files with gzip, as hosts of static pages serve them."""

    def do_GET(self) -> None:
        """Answer a request."""
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            self.send_error(404)
            return
        body = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        if path.suffix in (".html", ".css", ".js", ".svg", ".json"):
            body = gzip.compress(body, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        with suppress(BrokenPipeError):  # the browser left for another page
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address of a server of `folder`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Compressed, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def kind(address: str) -> str:
    """Kind of a page: its first folder, or its own name at the top."""
    return address.split("/")[0].removesuffix(".html")


def chosen_pages(site: Path) -> list[str]:
    """Every page of the site, but of kinds with many alike (`EACH`) the first few of each folder."""
    by_folder: dict[Path, list[str]] = {}
    for path in sorted(site.rglob("*.html")):
        by_folder.setdefault(path.parent, []).append(path.relative_to(site).as_posix())
    return [page for pages in by_folder.values() for page in pages[: EACH.get(kind(pages[0]))]]


def axe(browser: Browser, base: str, pages: list[str], source: str) -> dict[str, dict[str, int]]:
    """Page -> view -> number of violations (nodes), every rule axe runs by default."""
    found: dict[str, dict[str, int]] = {}
    for view, (width, theme) in VIEWS.items():
        size = {"width": width, "height": 900}
        context = browser.new_context(color_scheme=theme, bypass_csp=True, viewport=size)
        page = context.new_page()
        for address in pages:
            page.goto(base + address)
            page.evaluate(OPEN)
            page.evaluate(source)
            result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
            for v in result["violations"]:
                print(f"  axe {address} {view}: {v['id']} x{len(v['nodes'])}: {v['nodes'][0]['html'][:140]}")
                print(f"      {v['nodes'][0].get('failureSummary', '')[:300]}")
            found.setdefault(address, {})[view] = sum(len(v["nodes"]) for v in result["violations"])
        context.close()
    return found


def narrow(browser: Browser, base: str, pages: list[str], width: int = 360) -> dict[str, int]:
    """Page -> pixels by which it is wider than a small phone's screen."""
    context = browser.new_context(viewport={"width": width, "height": 780})
    page, found = context.new_page(), {}
    for address in pages:
        page.goto(base + address)
        found[address] = page.evaluate(WIDER)
    context.close()
    return found


def lighthouse(tools: Path, address: str) -> dict[str, float]:
    """Category -> score in percent (default settings: a phone, simulated slow network)."""
    command = [
        "node", str(tools / "node_modules/lighthouse/cli/index.js"), address, "--output=json", "--quiet",
        "--only-categories=performance,accessibility,best-practices",
        f"--chrome-flags={' '.join(['--headless=new', *ARGUMENTS])}",
    ]  # fmt: skip
    environment = {**os.environ, "CHROME_PATH": CHROMIUM}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    for audit in report["audits"].values():
        counted = audit["scoreDisplayMode"] in ("binary", "numeric")
        if counted and audit.get("score") is not None and audit["score"] < 0.9:
            print(f"  lighthouse {address}: {audit['id']} {audit['score']} {audit.get('displayValue', '')}")
    return {name: round(100 * c["score"], 1) for name, c in report["categories"].items()}


def first_view(browser: Browser, base: str, address: str) -> tuple[int, int]:
    """(bytes transferred with gzip, bytes unpacked) until the page has loaded."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(base + address, wait_until="networkidle")
    sizes = page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map(e => [e.encodedBodySize, e.decodedBodySize])"
    )
    context.close()
    return sum(s[0] for s in sizes), sum(s[1] for s in sizes)


def milliseconds(page: Page, action: str, repeat: int = 9) -> float:
    """Median time of a page action until the next frame is painted."""
    script = f"""async () => {{
      const start = performance.now(); const done = new Promise(r => document.getElementById('board')
        .addEventListener('shown', r, {{ once: true }})); {action}; await done;
      document.body.offsetHeight; return performance.now() - start; }}"""
    return statistics.median(page.evaluate(script) for _ in range(repeat))


def made_up(browser: Browser, encoders: int, tasks: int) -> dict[str, float]:
    """Seconds to build a board of made-up numbers, MB of it, and milliseconds to filter, weigh, sort and compare."""
    scratch = Path(tempfile.mkdtemp())
    try:
        view, site = synthetic_site(encoders, tasks), scratch / "site"
        start, cpu = time.perf_counter(), time.process_time()
        write_site(view, site)
        found = {"build": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        found["pages"] = sum(1 for _ in site.rglob("*.html"))
        found["megabytes"] = sum(p.stat().st_size for p in site.rglob("*") if p.is_file()) / 1e6
        with served(site) as base:
            found["first"] = first_view(browser, base, "index.html")[0] / 1000
            found["task"] = (
                first_view(browser, base, f"tasks/synthetic-v0/{next(iter(view.suites[0].tasks))}.html")[0] / 1000
            )
            found["cost"] = first_view(browser, base, "boards/synthetic-v0/cost.html")[0] / 1000
            found |= clicked(browser, base)
        return found
    finally:
        shutil.rmtree(scratch)


def clicked(browser: Browser, base: str) -> dict[str, float]:
    """Milliseconds of what a reader does on a board, and of comparing two encoders found by their names."""
    page, found = browser.new_page(viewport={"width": 1440, "height": 900}, bypass_csp=True), {}
    page.goto(base + "boards/synthetic-v0/overall.html")
    page.wait_for_selector("#board[data-view]")
    tick = "document.querySelector('[name=p][value={}]').click()"
    page.evaluate(tick.format("hybrid"))
    page.wait_for_selector('#board[data-view="filtered"]')
    found["filter"] = milliseconds(page, tick.format("generative"))
    found["sort"] = milliseconds(page, "document.querySelectorAll('#board thead button')[3].click()")
    page.evaluate("document.getElementById('reset').click()")
    found["weigh"] = milliseconds(page, SLIDE) - DEBOUNCE
    found["search"] = milliseconds(page, SEARCH) - DEBOUNCE
    page.goto(base + "compare.html")
    page.fill("[name=e0]", "Synthetic encoder 7")
    start = time.perf_counter()
    page.fill("[name=e1]", "Synthetic encoder 12")
    page.press("[name=e1]", "Enter")
    page.wait_for_selector("#result table")
    found["compare"] = 1000 * (time.perf_counter() - start)
    page.close()
    return found


MEASURES = (
    ("Build, one process", "s", 60, "build"), ("Processor time of it", "s", None, "cpu"), ("Pages", "", None, "pages"),
    ("Size", "MB", None, "megabytes"), ("First view, gzip", "KB", 300, "first"), ("A task, gzip", "KB", 300, "task"),
    ("Cost, gzip", "KB", 300, "cost"), ("Filter, ranks and tiers redone", "ms", 100, "filter"),
    ("Sort", "ms", 100, "sort"), ("Search", "ms", 100, "search"),
    ("Weigh a modality: means, intervals, ranks, tiers", "ms", 100, "weigh"),
    ("Compare two encoders by name, data loaded", "ms", 1000, "compare"),
)  # fmt: skip
"""Measure, its unit, its aim, and how it is called in `made_up`."""


def made_up_rows(found: dict[tuple[int, int], dict[str, float]]) -> list[str]:
    """The table of made-up boards, one column a size."""
    heads = " | ".join(f"{encoders:,} x {tasks}" for encoders, tasks in found)
    rows = [f"| Measure | {heads} | Aim |", "|---|" + "---|" * (len(found) + 1)]
    for words, unit, aim, key in MEASURES:
        values = " | ".join(f"{board[key]:,.0f} {unit}".strip() for board in found.values())
        rows.append(f"| {words} | {values} | {f'{aim} {unit}' if aim else '–'} |")
    return rows


def report(site: Path, tools: Path) -> str:
    """The whole table as Markdown."""
    source = (tools / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
    pages = chosen_pages(site)
    with sync_playwright() as playwright, served(site) as base:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        violations = axe(browser, base, pages, source)
        wide = narrow(browser, base, pages)
        shown = [next(p for p in pages if p.startswith(k)) for k in SHOWN]
        scores = {p: lighthouse(tools, base + p) for p in shown}
        transfer = {p: first_view(browser, base, p) for p in shown}
        boards = {size: made_up(browser, *size) for size in MADE_UP}
        version = browser.version
        browser.close()
    axe_version = json.loads((tools / "node_modules/axe-core/package.json").read_text())["version"]
    lighthouse_version = json.loads((tools / "node_modules/lighthouse/package.json").read_text())["version"]
    total = sum(1 for _ in site.rglob("*.html"))
    lines = [
        "# Quality of the site, measured", "",
        "Written by `python -m benchmarks.site_quality`; nothing here is typed in by hand.", "",
        f"medssl-bench {__version__}, Chromium {version}, axe-core {axe_version}, Lighthouse {lighthouse_version} "
        "(its default phone on a simulated slow network), a server with gzip on the same machine.", "",
        "## Accessibility and small screens", "",
        f"axe-core, all its default rules, details opened, both themes and 360 px, on {len(pages)} of the {total} "
        "pages of the site: every one of each kind, but of cases the first of each suite, and of other metrics two.",
        "",
        "| Kind of page | Pages | Violations, light | Violations, dark | Violations, 360 px | Wider than 360 px |",
        "|---|---|---|---|---|---|",
        *_kind_rows(violations, wide), "",
        "## Lighthouse and first view", "",
        "| Page | Performance | Accessibility | Best practices | First view, gzip | Unpacked |",
        "|---|---|---|---|---|---|",
        *[_lighthouse_row(p, s, transfer[p]) for p, s in scores.items()], "",
        "## Made-up boards, encoders x tasks", "",
        *made_up_rows(boards), "",
        "Times are medians of nine, until the table is laid out again; the first filter also loads the replicates. "
        "Keyboard, print, no JavaScript, file:// and hostile texts are tests in `tests/publish`.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _kind_rows(violations: dict[str, dict[str, int]], wide: dict[str, int]) -> list[str]:
    rows = []
    for name in sorted({kind(p) for p in violations}):
        mine = [p for p in violations if kind(p) == name]
        counts = " | ".join(str(sum(violations[p][view] for p in mine)) for view in VIEWS)
        rows.append(f"| {name} | {len(mine)} | {counts} | {sum(wide[p] > 0 for p in mine)} |")
    return rows


def _lighthouse_row(page: str, scores: dict[str, float], size: tuple[int, int]) -> str:
    marks = " | ".join(f"{scores[k]:.0f}" for k in ("performance", "accessibility", "best-practices"))
    return f"| `{page}` | {marks} | {size[0] / 1000:.0f} KB | {size[1] / 1000:.0f} KB |"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, required=True, help="a site built by `medssl site build`")
    parser.add_argument("--tools", type=Path, required=True, help="folder with node_modules of axe-core and lighthouse")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "site-quality.md")
    chosen = parser.parse_args()
    text = report(chosen.site.resolve(), chosen.tools)
    write_atomic(chosen.out, text)
    print(text)


if __name__ == "__main__":
    main()
