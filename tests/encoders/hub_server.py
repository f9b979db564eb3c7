"""A small hub on this machine that speaks the protocol of the real one: listing, resolve, redirect, range, refusals."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = 1000
"""Bytes from which a file is kept outside the repository, behind a redirect, as the real hub keeps its large files."""


@dataclass
class Repo:
    """One repository: the files of each commit, and the commit its main branch is at."""

    commits: dict[str, dict[str, bytes]]
    main: str
    refusal: tuple[int, str] | None = None
    """Status and X-Error-Code of every answer about a file."""
    hidden: bool = False
    """The listing too is refused, as the hub does for a repository that you may not know of."""
    busy: bool = False
    licence: str = "mit"
    spoilt: bool = False
    """Large files arrive with other bytes than the listing says."""
    cuts: int = 0
    """How many times the connection breaks in the middle of a large file."""


@dataclass
class Hub:
    """Repositories by name, and the requests that came, as "METHOD path"."""

    repos: dict[str, Repo] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    """Authorization headers of the requests that had one."""

    def __enter__(self) -> Hub:
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def store(self) -> str:
        """The host of large files, which is another one than the hub."""
        return f"http://localhost:{self._server.server_port}"

    def stop(self) -> None:
        """No network from now on."""
        self._server.shutdown()
        self._server.socket.close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        self.hub.requests.append(f"{self.command} {path}")
        if (token := self.headers.get("Authorization")) is not None:
            self.hub.tokens.append(token)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._listing(parts[2:])
        elif parts[0] == "cdn":
            self._blob("/".join(parts[1:3]), parts[3], body)
        elif parts[2:3] != ["resolve"]:
            self._refuse(404, "")
        else:
            self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]), body)

    def _listing(self, parts: list[str]) -> None:
        repo = self.hub.repos.get("/".join(parts[:2]))
        if repo is None or repo.hidden:
            return self._refuse(401, "RepoNotFound")
        if repo.busy:
            return self._refuse(503, "")
        sha = parts[3] if len(parts) > 2 else repo.main
        if sha not in repo.commits:
            return self._refuse(404, "RevisionNotFound")
        siblings = [_sibling(name, data) for name, data in repo.commits[sha].items()]
        about = {"id": "/".join(parts[:2]), "sha": sha, "siblings": siblings, "cardData": {"license": repo.licence}}
        return self._send(200, json.dumps(about).encode(), {"Content-Type": "application/json"}, True)

    def _file(self, name: str, sha: str, file: str, body: bool) -> None:
        repo = self.hub.repos.get(name)
        if repo is None:
            return self._refuse(401, "RepoNotFound")
        if repo.refusal is not None:
            return self._refuse(*repo.refusal)
        if sha not in repo.commits:
            return self._refuse(404, "RevisionNotFound")
        data = repo.commits[sha].get(file)
        if data is None:
            return self._refuse(404, "EntryNotFound", {"X-Repo-Commit": sha})
        digest = hashlib.sha256(data).hexdigest()
        if len(data) < LARGE:
            return self._send(200, data, {"ETag": f'"{digest[:40]}"', "X-Repo-Commit": sha}, body)
        about = {"X-Repo-Commit": sha, "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        return self._send(302, b"", about | {"Location": f"{self.hub.store}/cdn/{name}/{digest}"}, body)

    def _blob(self, name: str, digest: str, body: bool) -> None:
        repo = self.hub.repos[name]
        held = {hashlib.sha256(d).hexdigest(): d for files in repo.commits.values() for d in files.values()}
        data = held[digest]
        data = data[::-1] if repo.spoilt else data
        start, asked = 0, self.headers.get("Range")
        if asked:
            self.hub.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").split("-")[0])
        headers = {"ETag": f'"{digest}"', "Content-Length": str(len(data) - start)}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if body and repo.cuts:
            repo.cuts -= 1
            self._send(206 if asked else 200, data[start : start + (len(data) - start) // 2], headers, True)
            self.wfile.flush()
            self.connection.shutdown(2)
            return
        self._send(206 if asked else 200, data[start:], headers, body)

    def _refuse(self, status: int, code: str, more: dict[str, str] | None = None) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": code} | (more or {}), True)

    def _send(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body and self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def _sibling(name: str, data: bytes) -> dict[str, Any]:
    about: dict[str, Any] = {"rfilename": name, "size": len(data)}
    if len(data) >= LARGE:
        about["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return about
