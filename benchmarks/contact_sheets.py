"""Contact sheets of the phantoms for docs/phantoms.md: docs/images/phantom-<modality>.png.

Rows: the classes of the diffuse task; the classes of the focal task; a lesion of each size stratum, outlined; and
the second site. Images are those of the test splits of phantom-v1.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from PIL import Image
from scipy import ndimage

from bench.phantoms._fields import N
from bench.phantoms.base import SIZE_BINS, Modality
from bench.phantoms.generate import PhantomPlan, modalities, one

COLUMNS, SEED, LEVELS = 4, 1, 96
FOLDER = Path(__file__).resolve().parents[1] / "docs/images"


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with a yellow line just outside the lesion."""
    edge = ndimage.binary_dilation(mask > 0, iterations=2) & ~ndimage.binary_dilation(mask > 0)
    return np.where(edge[..., None], np.array([255, 220, 60], np.uint8), image)


def row(modality: Modality, aim: str, split: str, wanted: list) -> np.ndarray:
    """One image of the split for each wanted label (for dense tasks: size stratum), side by side, padded in white."""
    tiles: list[np.ndarray] = []
    for target in wanted[:COLUMNS]:
        for index in range(400):
            image, label, _, strata = one(PhantomPlan(modality.name, aim, SEED), split, index)
            low_high = SIZE_BINS[target] if aim == "dense" else (0, 1)
            if low_high[0] <= strata["lesion_area"] <= low_high[1] and (aim == "dense" or strata[aim] == target):
                colour = np.repeat(image, 3, 2) if image.shape[2] == 1 else image
                tiles.append(outlined(colour, label) if aim == "dense" else colour)
                break
    tiles += [np.full((N, N, 3), 255, np.uint8)] * (COLUMNS - len(tiles))
    return np.concatenate(tiles, 1)


def sheet(modality: Modality) -> Image.Image:
    """The contact sheet of one modality, (4 * 128, 4 * 128)."""
    findings = [1, 2, 4, 8] if modality.multi_label else list(range(len(modality.focal)))
    rows = [
        row(modality, "diffuse", "test", list(range(len(modality.diffuse)))),
        row(modality, "focal", "test", findings),
        row(modality, "dense", "test", list(range(len(SIZE_BINS)))),
        row(modality, "diffuse", "test-shift", list(range(len(modality.diffuse)))),
    ]
    return Image.fromarray(np.concatenate(rows, 0)).quantize(LEVELS, dither=Image.Dither.NONE)


@click.command()
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Draw the sheets of NAMES, or of every modality."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or modalities():
        path = FOLDER / f"phantom-{name}.png"
        sheet(modalities()[name]).save(path, optimize=True)
        click.echo(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
