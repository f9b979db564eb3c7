"""Writing the site: templates, addresses, and a folder that is replaced whole or not at all."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.discover import members
from bench.errors import RunError
from bench.files import canonical_json, exchange
from bench.locate import shipped
from bench.publish import svg, text
from bench.publish.beside import beside
from bench.publish.model import BOARD_TITLES, Estimate, SiteView
from bench.publish.told import Told, silent
from bench.words import SIZES, size_class

MARKER = "site.json"
PART = "being-built"
GROWING = 3600.0
"""Seconds after its last new file or folder for which another build may still be writing a site."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Content security policy of every page: no inline script or style, nothing from elsewhere, no eval."""


@dataclass(frozen=True, slots=True)
class Page:
    """One kind of page: a module of `bench/publish/pages` with `PAGE = Page(...)`.

    `title` and `order` place it in the navigation (no title: not there); `path` is the address the entry leads to.
    """

    name: str
    write: Callable[[Site], None]
    title: str = ""
    order: int = 0
    path: str = ""
    many: bool = False
    """Whether it grows with the number of encoders: such pages are written beside the others."""


class Site:
    """The site being written: what it shows (`view`), and where (`folder`)."""

    def __init__(self, view: SiteView, folder: Path) -> None:
        self.view, self.folder = view, folder
        self.pages = sorted(members("bench.publish.pages", "PAGE").values(), key=lambda p: (p.order, p.name))
        self._environment = _environment()
        self._templates: dict[str, Any] = {}

    def page(self, path: str, template: str, **context: Any) -> None:
        """Render `template` to the address `path` ("encoders/x.html"); `root` leads back to the top."""
        if template not in self._templates:
            self._templates[template] = self._environment.get_template(template)
        page = self._templates[template].render(
            site=self.view, pages=self.pages, path=path, root="../" * path.count("/"), policy=POLICY, **context
        )
        self.file(path, page)

    def file(self, path: str, data: bytes | str) -> None:
        """Write a file of the site; raises RunError when the disk does not take it."""
        target = self.folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data.encode() if isinstance(data, str) else data)
        except OSError as error:
            raise RunError(f"cannot be written: {error.strerror}", where=target) from None

    def json(self, path: str, value: Any) -> None:
        """Write canonical JSON: same value, same bytes."""
        self.file(path, canonical_json(value))

    def script(self, path: str, call: str, value: Any) -> None:
        """Write data as a script that calls `medssl.<call>(...)`: loads from file:// too, where fetch does not."""
        self.file(path, f"medssl.{call}({json.dumps(value, separators=(',', ':'), sort_keys=True)});\n")


def write_site(
    view: SiteView,
    out: Path,
    *,
    files: Mapping[str, bytes] | None = None,
    jobs: int = 1,
    told: Told = silent,
) -> None:
    """Write every page of `view` to `out`, replacing an earlier site there.

    files: address within the site -> bytes beside the pages (records, pictures). jobs: processes at
    work. The folder appears whole or not at all; where `out` is a link, the one it leads to. Raises RunError when `out`
    is a folder that holds something else than a site, and when the disk does not take it.
    """
    out = out.resolve()
    _refuse_foreign(out)
    try:
        _write(view, out, files or {}, jobs, told)
    except OSError as error:
        fix = "free some space and build again" if error.errno == errno.ENOSPC else "choose another --out"
        raise RunError(f"the site cannot be written: {error.strerror}", where=out, fix=fix) from None


def _write(view: SiteView, out: Path, files: Mapping[str, bytes], jobs: int, told: Told) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep(out)
    partial = Path(tempfile.mkdtemp(dir=out.parent, prefix=_prefix(out)))
    try:
        site = Site(view, partial)
        _copy_assets(partial)
        for address, data in sorted(files.items()):
            site.file(address, data)
        many = [page for page in site.pages if page.many]
        with beside(lambda: [page.write(site) for page in many], jobs) as written:
            for page in site.pages:
                if not page.many:
                    told(f"pages: {page.name}")
                    page.write(site)
            told(f"pages: {', '.join(page.name for page in many)}")
            written()
        site.json(MARKER, {"made_by": f"medssl {view.version}", "data": view.fingerprint, "date": view.date})
        partial.chmod(0o755)
        exchange(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _prefix(out: Path) -> str:
    return f".{out.name}-{PART}."


def sweep(out: Path) -> None:
    """Remove what builds of `out` that were killed have left beside it, unless it is young enough to be growing."""
    for left in out.parent.glob(f"{_prefix(out)}*"):
        if time.time() - left.stat().st_mtime > GROWING:
            shutil.rmtree(left, ignore_errors=True)


def _refuse_foreign(out: Path) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / MARKER).is_file()):
        raise RunError(
            "holds something else than a site, and would be replaced", where=out, fix="choose another folder with --out"
        )


def _copy_assets(folder: Path) -> None:
    source = shipped("site")
    styles = sorted((source / "styles").glob("*.css"))
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "site.css").write_text(
        "".join(s.read_text(encoding="utf-8") for s in styles), encoding="utf-8"
    )
    for pattern in ("scripts/*.js", "fonts/*", "images/*"):
        for path in sorted(source.glob(pattern)):
            shutil.copyfile(path, folder / "assets" / path.name)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(shipped("site") / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for module in (svg, text):
        own = {n: f for n, f in vars(module).items() if getattr(f, "__module__", "") == module.__name__}
        helpers = {n: f for n, f in own.items() if n[0] != "_" and n.islower()}
        environment.globals |= helpers
        environment.filters |= helpers  # long tables use these: a filter is called without Jinja's call context
    environment.globals["BOARD_TITLES"] = BOARD_TITLES
    environment.globals |= {"SIZES": SIZES, "size_class": size_class, "estimate": Estimate}
    return environment
