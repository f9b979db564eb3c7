"""Fetching against a local server that cuts connections, sends wrong bytes, and ignores ranges."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from bench.cli.data import COMMAND
from bench.data.fetch import BLOCK_BYTES, Coming, Fetcher
from bench.data.held import HeldFile, downloads
from bench.errors import DataError, RunError

DATA = bytes(range(256)) * 4096
MD5 = hashlib.md5(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves DATA for any path, as badly as it is told to."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.cut_after, self.ranges, self.status, self.once, self.seen = DATA, None, True, None, False, []
        self.head = 200

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/x.npz"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.send_response(self.server.head)
        self.send_header("Content-Length", str(len(self.server.data)))
        self.end_headers()

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.seen.append((self.path, wanted))
        if server.status:
            status, server.status = server.status, None if server.once else server.status
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start >= len(server.data) > 0 and wanted and server.ranges:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.data)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        body = server.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.data) - 1}/{len(server.data)}")
        self.end_headers()
        if server.cut_after is not None:
            self.wfile.write(body[: server.cut_after])
            return self.connection.close()
        return self.wfile.write(body)


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def wanted(server, **change):
    return HeldFile(**({"file": "x.npz", "task": "t", "url": server.url, "md5": MD5} | change))


def quick(**options):
    return Fetcher(pause=0.0, **options)


def test_a_good_server(server):
    seen = []
    done = quick(progress=lambda *step: seen.append(step)).fetch(wanted(server))
    assert (done.status, done.override) == ("downloaded", False)
    assert done.path.read_bytes() == DATA
    assert seen[-1] == ("x.npz", len(DATA), len(DATA))
    assert quick().fetch(wanted(server)).status == "present"
    assert len(server.seen) == 1
    assert sorted(p.name for p in downloads().iterdir() if not p.name.startswith(".")) == ["x.npz"]


def test_cut_connections_are_resumed(server):
    server.cut_after = 10 * BLOCK_BYTES
    done = quick().fetch(wanted(server))
    assert done.path.read_bytes() == DATA
    assert [r for _, r in server.seen] == [None, "bytes=327680-", "bytes=655360-", "bytes=983040-"]


def test_a_server_that_ignores_ranges_sends_all_again(server):
    server.ranges = False
    downloads().mkdir(parents=True)
    (downloads() / "x.npz.part").write_bytes(b"?" * 500)
    done = quick().fetch(wanted(server))
    assert done.path.read_bytes() == DATA
    assert [r for _, r in server.seen] == ["bytes=500-"]


def test_an_interrupted_fetch_goes_on_in_the_next_call(server):
    server.cut_after = 3 * BLOCK_BYTES
    with pytest.raises(DataError, match=r"cannot be downloaded from .*cut.*bytes are kept in x\.npz\.part; run again"):
        quick(attempts=1).fetch(wanted(server))
    assert (downloads() / "x.npz.part").stat().st_size == 3 * BLOCK_BYTES
    assert not (downloads() / "x.npz").exists()
    server.cut_after = None
    assert quick().fetch(wanted(server)).path.read_bytes() == DATA
    assert server.seen[-1][1] == f"bytes={3 * BLOCK_BYTES}-"


def test_a_part_that_is_whole_needs_no_more_bytes(server):
    downloads().mkdir(parents=True)
    (downloads() / "x.npz.part").write_bytes(DATA)
    assert quick().fetch(wanted(server)).path.read_bytes() == DATA


def test_a_part_of_another_version_is_fetched_anew(server):
    downloads().mkdir(parents=True)
    (downloads() / "x.npz.part").write_bytes(b"?" * 500)
    assert quick().fetch(wanted(server)).path.read_bytes() == DATA
    assert [r for _, r in server.seen] == ["bytes=500-", None]
    (downloads() / "x.npz").unlink()
    (downloads() / "x.npz.part").write_bytes(DATA + b"more")
    assert quick().fetch(wanted(server)).path.read_bytes() == DATA


def test_wrong_bytes_are_kept_aside(server):
    server.data = DATA[:-1] + b"!"
    with pytest.raises(DataError, match=rf"has md5 \w+, the card says {MD5}; the file is kept as .*x\.npz\.bad"):
        quick().fetch(wanted(server))
    assert (downloads() / "x.npz.bad").read_bytes() == server.data
    assert not (downloads() / "x.npz").exists()
    accepted = quick(accept_checksum=True).fetch(wanted(server))
    assert accepted.override
    with pytest.raises(DataError, match="the card says"):
        quick().fetch(wanted(server))
    assert not (downloads() / "x.npz").exists(), "a file that is there is checked too"


def test_the_server_says_no(server):
    server.status = 404
    with pytest.raises(DataError, match="answers 404"):
        quick().fetch(wanted(server))
    assert len(server.seen) == 1, "a missing file is not asked for again"
    server.status = 503
    with pytest.raises(DataError, match="503"):
        quick(attempts=3).fetch(wanted(server))
    assert len(server.seen) == 4


def test_a_busy_server_is_asked_again_when_it_says(server, monkeypatch):
    waits = []
    monkeypatch.setattr("bench.data.fetch.time.sleep", waits.append)
    server.status, server.once = 429, True
    assert Fetcher(pause=50.0).fetch(wanted(server)).path.read_bytes() == DATA
    assert waits == [0.0, 0.0]


def test_nobody_answers(server):
    server.shutdown()  # first: while its loop still waits, a closed server takes connections and resets them
    server.server_close()
    with pytest.raises(DataError, match=r"refused|no connection can be made"):
        quick(attempts=2).fetch(wanted(server))


def test_mirror_and_folder(server, tmp_path):
    mirror = server.url.rsplit("/", 1)[0] + "/mirror/"
    quick(mirror=mirror).fetch(wanted(server, url="http://127.0.0.1:9/never"))
    assert server.seen == [("/mirror/x.npz", None)]
    (downloads() / "x.npz").unlink()
    (tmp_path / "x.npz").write_bytes(DATA)
    assert quick(folders=[tmp_path]).fetch(wanted(server)).status == "copied"
    (downloads() / "x.npz").unlink()
    with pytest.raises(DataError, match=r"is not in .*without --from-folder"):
        quick(folders=[tmp_path / "empty"]).fetch(wanted(server))
    (tmp_path / "x.npz").write_bytes(b"wrong")
    with pytest.raises(DataError, match="kept as"):
        quick(folders=[tmp_path]).fetch(wanted(server))
    assert (tmp_path / "x.npz").read_bytes() == b"wrong", "the folder itself is left as it was"


def test_a_full_disk_is_seen_before_the_first_byte(server, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("bench.data.space.shutil.disk_usage", lambda _: usage)
    with pytest.raises(RunError, match=r"needs 0\.00 GB more, 0\.00 GB are free"):
        quick().fetch(wanted(server))
    assert not (downloads() / "x.npz.part").exists()


def test_a_disk_that_fills_up_on_the_way_keeps_the_part(server, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bench.data.fetch.os.fsync", full)
    with pytest.raises(RunError, match=r"x\.npz\.part: cannot be written: No space.*goes on from here"):
        quick().fetch(wanted(server))
    assert (downloads() / "x.npz.part").exists()
    assert not (downloads() / "x.npz").exists()


def test_files_that_do_not_fit_together_are_refused_together(server, monkeypatch):
    usage = type("Usage", (), {"free": (256 << 20) + int(2.5 * len(DATA))})
    monkeypatch.setattr("bench.data.space.shutil.disk_usage", lambda _: usage)
    files = [wanted(server, file=f"f{i}.npz") for i in range(3)]
    with pytest.raises(RunError, match="GB more"):
        quick().fetch_all(files)
    assert not server.seen
    assert len(quick().fetch_all(files[:2])) == 2


def test_what_is_to_come_is_told_before_the_first_byte(server, tmp_path):
    files = [wanted(server), wanted(server, file="half.npz"), wanted(server, file="here.npz")]
    files += [wanted(server, file="copied.npz"), wanted(server, file="gone.npz", url="http://127.0.0.1:9/gone.npz")]
    downloads().mkdir(parents=True, exist_ok=True)
    (downloads() / "half.npz.part").write_bytes(DATA[:1000])
    (downloads() / "here.npz").write_bytes(DATA)
    (tmp_path / "copied.npz").write_bytes(DATA)
    assert quick(folders=[tmp_path]).coming(files) == [
        Coming("x.npz", len(DATA)), Coming("half.npz", len(DATA) - 1000), Coming("here.npz", 0, "is here"),
        Coming("copied.npz", 0, "is copied"), Coming("gone.npz", None, "no answer"),
    ]  # fmt: skip
    server.head = 404
    assert quick().coming([wanted(server)]) == [Coming("x.npz", None, "the server says 404 Not Found")]
    assert server.seen == []  # nothing was asked for but headers


def test_a_dry_run_of_a_whole_suite_says_its_bytes(server):
    mirror = server.url.removesuffix("/x.npz")
    done = CliRunner().invoke(COMMAND, ["fetch", "core-v1", "--mirror", mirror, "--dry-run"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "0.03 GB to download in 32 files; 0 are here\n" in done.output
    assert not list(downloads().glob("*.npz"))
    server.head = 403
    done = CliRunner().invoke(COMMAND, ["fetch", "core-v1", "--mirror", mirror, "--dry-run"], catch_exceptions=False)
    assert "403 Forbidden" in done.output
    assert "of 32 the size is not known beforehand" in done.output


def test_many_at_once_and_one_failure_stops_no_other(server):
    files = [wanted(server, file=f"f{i}.npz") for i in range(6)] + [wanted(server, file="bad.npz", md5="0" * 32)]
    done = quick().fetch_all(files, jobs=4)
    assert [d.status for d in done] == ["downloaded"] * 6 + ["failed"]
    assert "bad.npz: has md5" in done[-1].problem


def test_two_fetch_the_same_file_at_once(server):
    done = quick().fetch_all([wanted(server)] * 3, jobs=3)
    assert sorted(d.status for d in done) == ["downloaded", "present", "present"]
    assert len(server.seen) == 1
