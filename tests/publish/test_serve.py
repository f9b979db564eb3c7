"""The server of one's own site answers this machine alone, and no path is an error of its own."""

from __future__ import annotations

import threading
from http.client import HTTPConnection
from pathlib import Path

import pytest

from bench.publish.serve import server


@pytest.fixture
def port(tmp_path: Path):
    (tmp_path / "index.html").write_text("<body>unpublished</body>")
    with server(tmp_path, 0, [0]) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield http.server_port
        http.shutdown()


def answer(port: int, path: str, host: str | None) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("GET", path, skip_host=True)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    found = connection.getresponse()
    return found.status, found.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LocalHost", "[::1]:80", "[::1]"])
def test_this_machine_is_answered(port: int, host: str) -> None:
    status, page = answer(port, "/", host)
    assert status == 200
    assert b"unpublished" in page


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", None])
def test_another_host_is_refused(port: int, host: str | None) -> None:
    for path in ("/", "/version", "/reload.js"):
        status, page = answer(port, path, host)
        assert status == 403
        assert b"unpublished" not in page


@pytest.mark.parametrize(
    "path",
    ["/%00", "/a%00.html", "/index.html%00", "/%ed%a0%80.html", "/" + 300 * "a" + ".html", 3000 * "/a" + "/"],
    ids=["nul", "nul within", "nul behind", "half a character", "long name", "long path"],
)
def test_a_path_that_no_file_can_have_is_a_bad_request(port: int, path: str) -> None:
    assert answer(port, path, "localhost")[0] == 400
