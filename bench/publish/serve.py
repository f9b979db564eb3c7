"""Serving the site on one's own machine; pages reload when records, templates or styles change."""

import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.errors import RunError, UserError
from bench.leaderboard.collect import default_roots
from bench.locate import shipped
from bench.publish.site import build_from

PERIOD = 1.0
"""Seconds between looks at the files."""
HOSTS = ("127.0.0.1", "localhost", "[::1]")
RELOAD = b'<script src="/reload.js"></script></body>'
SCRIPT = b"""let seen = null;
setInterval(async () => {
  try {
    const now = await (await fetch("/version", { cache: "no-store" })).text();
    if (seen !== null && seen !== now) location.reload();
    seen = now;
  } catch { /* the server is gone; wait for it */ }
}, 1000);
"""


class Handler(SimpleHTTPRequestHandler):
    """Static files; pages get the reload script, `/version` tells how often the site was built."""

    def __init__(self, *args: Any, version: list[int], **kwargs: Any) -> None:
        self.version = version
        super().__init__(*args, **kwargs)

    def parse_request(self) -> bool:
        """Refuse a request that names another host (a page elsewhere could make a browser ask for unpublished results),
        and a path that no file can have."""
        if not super().parse_request():
            return False
        if re.sub(r":\d+$", "", self.headers.get("Host", "").lower()) not in HOSTS:
            self.send_error(403, "Serves this machine alone")
            return False
        if not _possible(self.translate_path(self.path)):
            self.send_error(400, "No such path")
            return False
        return True

    def do_GET(self) -> None:
        """Answer a request."""
        if self.path == "/version":
            self._send(str(self.version[0]).encode(), "text/plain")
        elif self.path == "/reload.js":
            self._send(SCRIPT, "text/javascript")
        elif (
            page := Path(
                self.translate_path(self.path.rstrip("/") + ("/index.html" if self.path.endswith("/") else ""))
            )
        ).suffix == ".html" and page.is_file():
            self._send(page.read_bytes().replace(b"</body>", RELOAD), "text/html; charset=utf-8")
        else:
            super().do_GET()

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet: the terminal is for builds."""


def _possible(path: str) -> bool:
    """Whether a file can be called so: none is named by a NUL, half a character, or more than the system takes."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return True
    except (OSError, ValueError):
        return False
    return True


def server(out: Path, port: int, version: list[int]) -> ThreadingHTTPServer:
    """A server of `out` on the loopback address. Raises RunError when the port is taken."""
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=str(out), version=version))
    except OSError as error:
        raise RunError(f"port {port} cannot be used: {error.strerror}", fix="choose another with --port") from None


def serve(out: Path, port: int, inputs: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Build, serve, and build again on every change until interrupted."""
    watched = watch_list(inputs)
    _build(out, inputs, say)
    version = [0]
    with server(out, port, version) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        say(f"Serving http://127.0.0.1:{http.server_port}/  (Ctrl+C stops)")
        before = stamps(watched)
        waiting = threading.Event()
        while not waiting.wait(PERIOD):
            now = stamps(watched)
            if now != before:
                before = now
                _rebuild(out, inputs, version, say)


def _build(out: Path, inputs: Mapping[str, Any], say: Callable[[str], None]) -> None:
    for folder, why in build_from(out, **inputs).left_out.items():
        say(f"Left out: {folder}: {why}")


def _rebuild(out: Path, inputs: Mapping[str, Any], version: list[int], say: Callable[[str], None]) -> None:
    try:
        _build(out, inputs, say)
    except UserError as error:
        say(f"Not built: {error}")
        return
    version[0] += 1
    say("Built again.")


def watch_list(inputs: Mapping[str, Any]) -> list[Path]:
    """Folders whose files make the site."""
    submissions, runs = default_roots()
    given = [*(inputs.get("submissions") or submissions), *(inputs.get("records") or runs)]
    return [*given, *([inputs["tasks"]] if inputs.get("tasks") else []), shipped("site")]


def stamps(folders: Iterable[Path]) -> frozenset[tuple[str, int, int]]:
    """(path, size, time) of every card, record, badge, template, style and script below the folders."""
    kinds = {".toml", ".jsonl", ".bz2", ".json", ".html", ".css", ".js"}
    found = set()
    for folder in folders:
        for path in folder.rglob("*"):
            if path.suffix in kinds and "units" not in path.parts and path.is_file():
                stat = path.stat()
                found.add((str(path), stat.st_size, stat.st_mtime_ns))
    return frozenset(found)
