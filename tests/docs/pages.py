"""The documentation as a reader would follow it: its fenced blocks and the commands between backticks, in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$|`(medssl [^`\n]+)`", re.MULTILINE | re.DOTALL)
PROGRAMS = ("medssl ", "python ", "python3 ", "make ", "pip ")
SKETCH = re.compile(r"\.\.\.|…|\||\b[A-Z]{4,}\b")
"""A line that is only sketched: an ellipsis, a choice, a placeholder."""

EXEMPT = {
    "medssl run mine --tasks tiny": "typed by benchmarks/layouts.py",
    "medssl submit my-encoder --store weights/": "typed by tests/submissions/test_stored.py",
    "medssl verify submissions/my-encoder --sample --store https://example.org/weights": "no such host",
    "medssl run mine --tasks tiny --trust-code": "typed by benchmarks/layouts.py",
    "make demo": "installs packages; its command `medssl demo` runs here",
    "make test": "is what runs this",
    "python3 -m venv .venv && . .venv/bin/activate": "installs packages",
    "pip install -c constraints.txt -e .": "installs packages",
    "pip install -c constraints.txt -e '.[all,test]' && python -m pytest": "installs packages",
    "pip wheel -w wheels -c constraints.txt '.[all]'": "network",
    "pip install --no-index --find-links wheels 'medssl-bench[all]'": "installs packages",
    "medssl data new chest": "needs a folder of scans; tests/data/test_propose.py runs these three",
    "medssl run raw-pixels --tasks chest": "needs what the line above writes",
    "medssl leaderboard --suite chest": "needs what the lines above make",
    "medssl data fetch medmnist2d-v1": "network; tests/data fetch from a local server",
    "medssl data fetch medmnist2d-v1 --from-folder /media/stick": "gigabytes of files; tests/data use small ones",
    "medssl data fetch breastmnist-28 kvasir-256": "network",
    "medssl data prepare breastmnist-28 kvasir-256": "needs what the line above fetches",
    "medssl data fetch open-v1": "network; tests/data fetch from a repository made there",
    "medssl data prepare open-v1": "needs what the line above fetches",
    "medssl run my-encoder --suite open-v1": "needs what the lines above prepare",
    "medssl data fetch open-v1 --from-folder /media/clones": "gigabytes of clones; tests/data use small ones",
    "medssl data fetch medseg-v1 --from-folder /transfer": "gigabytes of files",
    "medssl run my-encoder --suite phantom-v1 --executor processes --workers 4": "tests/runs/test_run.py runs a pool",
    "medssl run my-encoder --suite phantom-v1 --executor ray --address auto": "tests/runs run a real cluster",
    "medssl run my-encoder --suite phantom-v1 --executor slurm --workers 32": "tests/runs run its jobs",
    "medssl pretrain --objective simclr": "trains for minutes; tests/pretrain train smaller",
    "medssl pretrain --track": "trains for hours",
    "medssl pretrain --pack open-v1-training.npz": "needs the prepared images of open-v1; tests/pretrain pack others",
    "medssl pretrain --track open-small-v1 --device cuda --minutes 9": "GPU; tests/pretrain/test_comparison.py",
    "medssl pretrain --track open-small-v1 --device cuda --minutes 9 --data open-v1-training.npz "
    "--done first/ledger.json --out second": "GPU",
    "medssl pretrain --merge first --merge second --out encoders": "needs both runs; tests/pretrain/test_results.py",
    "medssl pretrain --track open-small-cpu-v1": "trains for hours",
    "medssl pretrain --objective simclr --recipe open-tiny --track --data open-v1-training.npz --out encoders": "data",
    "medssl run encoders/open-tiny-vit-simclr --suite open-v1": "needs what the line above trains",
    "medssl pretrain --objective simclr --recipe open-small-cpu": "needs the packed images and minutes",
    "medssl pretrain --objective simclr --recipe open-small --corpus phantom-v1 --device cuda": "GPU",
    "medssl pretrain --objective mae --data my-images/ --recipe base --device cuda": "GPU",
    "medssl pretrain --objective simclr --data brainmri.npz --threads 1": "needs that data set and minutes",
    "medssl run pretrained/brainmri-npz-tiny-vit-simclr --tasks tasks": "needs what the line above trains",
    "medssl compare brainmri-npz-tiny-vit-simclr tiny-vit-random-init --tasks tasks": "needs both runs",
    "medssl pretrain --report docs/controlled-track.md": "needs the trained encoders",
    "python benchmarks/diagnostics.py": "needs minutes; tests/analysis check the parts",
    "python -m benchmarks.fuzz --seconds 60 --examples 500": "minutes; tests/submissions fuzz for moments",
    "medssl run dinov2-small --suite phantom-v1": "downloads weights; tests/encoders load names from a local hub",
    "medssl run timm:vit_small_patch14_dinov2.lvd142m --suite phantom-v1": "downloads the same weights",
    "medssl run hf:facebook/dinov2-small --suite phantom-v1": "downloads weights",
    "medssl run --encoders catalogue:small+histology --suite phantom-v1 --dry-run": "asks the hub",
    "medssl run --encoders catalogue:small+histology --suite phantom-v1": "downloads weights; tests/runs/test_many.py",
    "medssl run --encoders dinov2-small,mae-vit-b16,my-encoder --suite phantom-v1 --disk 40": "downloads weights",
    "medssl run lunit-dino-vit-s16 --suite phantom-v1": "downloads weights",
    "python benchmarks/catalogue.py": "minutes; tests/encoders/test_catalogue.py tries a few cards",
    "medssl analyze --suite phantom-v1 --report docs/findings.md": "needs results",
    "medssl analyze --suite open-v1 --report docs/findings-open.md": "needs results",
    "python benchmarks/diagnostics.py --suite open-v1": "needs the images of the suite and minutes",
    "medssl data labels open-v1 --out labels": "needs prepared data; tests/submissions/test_labels.py writes some",
}
"""Commands that cannot run in a test, each with its reason. They are parsed; a new one has to be added here by name."""


@dataclass(frozen=True)
class Block:
    """A fenced block, or one command between backticks (language "inline")."""

    page: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Command lines of the block without prompt and comment; [] for another kind of block."""
        if self.language not in ("", "sh", "bash", "console", "inline"):
            return []
        lines = (re.sub(r"\s+#.*", "", line).strip().removeprefix("$ ") for line in self.text.splitlines())
        return [line for line in lines if line.startswith(PROGRAMS) and not SKETCH.search(line)]


def blocks(page: Path) -> Iterator[Block]:
    """Blocks of a page, in order."""
    for language, text, inline in FENCE.findall(page.read_text(encoding="utf-8")):
        name = str(page.relative_to(ROOT))
        yield Block(name, "inline", inline) if inline else Block(name, language, text)
