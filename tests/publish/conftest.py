"""A made-up site built once, and a browser to look at it with."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.publish.model import SiteView
from bench.publish.writer import write_site
from tests.publish.synthetic import synthetic_site

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
ARGUMENTS = [f"--{flag}" for flag in (*FLAGS.split(), "disable-sync")]


@pytest.fixture(scope="session")
def view() -> SiteView:
    return synthetic_site(encoders=20, tasks=24, replicates=400, seed=3)


@pytest.fixture(scope="session")
def built(view: SiteView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "public"
    write_site(view, out)
    return out


@pytest.fixture(scope="session")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("needs Chromium at /usr/bin/chromium")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A page that fails the test on any script error, console error or request to the network."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page, problems = context.new_page(), []
    page.on("pageerror", lambda e: problems.append(f"script: {e}"))
    page.on("console", lambda m: problems.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("request", lambda r: problems.append(f"network: {r.url}") if r.url.startswith("http") else None)
    yield page
    context.close()
    assert not problems, problems
