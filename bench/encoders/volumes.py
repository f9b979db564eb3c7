"""Volumes as a network takes them: resized, or brought to one spacing in millimetres and cut out in the centre."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.encoders.card import Preprocessing
from bench.errors import DataError, NotForThisEncoderError

MAX_SIDE = 4096
"""Voxels along an axis after resampling; more is a spacing in the wrong unit."""


def fit_volumes(x: Tensor, preprocessing: Preprocessing, spacing: Tensor | None) -> Tensor:
    """float32 (n, c, planes, h, w) made (n, c, depth, size, size).

    Without a spacing on the card volumes are resized, each axis on its own. With one, they are brought to it, and the
    centre is cut out or filled up with black. spacing: (n, 3), mm of each volume. Raises NotForThisEncoderError where
    it is needed and not known, DataError where it cannot be meant.
    """
    assert preprocessing.depth is not None, "flat images take another road"
    target = (preprocessing.depth, preprocessing.size, preprocessing.size)
    if preprocessing.spacing is None:
        return resize_volumes(x, target, preprocessing)
    if spacing is None:
        raise NotForThisEncoderError("asks for volumes of a known spacing, and the task does not say any")
    sides = _sides(x.shape[2:], preprocessing, spacing)
    if int(sides.max()) > MAX_SIDE:
        what = f"a volume of {[*x.shape[2:]]} voxels would become {sides.max(0).values.tolist()}"
        raise DataError(what, where="preprocessing", fix="is 'spacing' of card and task in mm?")
    parts = [
        _centred(resize_volumes(volume[None], (a, b, c), preprocessing), target)
        for volume, (a, b, c) in zip(x, sides.tolist(), strict=True)
    ]
    return torch.cat(parts)


def _sides(shape: Sequence[int], preprocessing: Preprocessing, spacing: Tensor) -> Tensor:
    """int64 (n, 3): voxels of each volume along each axis once it is brought to the spacing of the card."""
    wanted = torch.tensor(preprocessing.spacing, dtype=torch.float64)
    return (torch.tensor(shape) * spacing.cpu().double() / wanted).round().clamp_min(1).long()


def placed_volumes(shape: Sequence[int], preprocessing: Preprocessing, spacing: Tensor) -> Tensor:
    """Where volumes lie in the input of an encoder: float64 (n, 3, 2), their first and last edge along each axis.

    0 and 1 are the edges of the input: below 0 and above 1 something is cut off. shape: (planes, h, w).
    """
    if preprocessing.spacing is None:
        return torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(len(spacing), 3, 1)
    target = torch.tensor([preprocessing.depth, preprocessing.size, preprocessing.size])
    have = _sides(shape, preprocessing, spacing)
    before = torch.div(target - have, 2, rounding_mode="floor")
    return torch.stack([before, before + have], dim=-1) / target[:, None].double()


def lost(shape: Sequence[int], preprocessing: Preprocessing, spacing: np.ndarray | None) -> str | None:
    """In words, what an encoder of volumes does not see of them; None where it sees each voxel.

    shape: (planes, h, w). spacing: (n, 3), mm, or None where it is not known.
    """
    target = [preprocessing.depth or 0, preprocessing.size, preprocessing.size]
    wanted = " x ".join(map(str, target))
    if preprocessing.spacing is None:
        have, fate = list(shape), f"are shrunk to the {wanted} voxels that the encoder takes"
    elif spacing is None:
        return None
    else:
        have = _sides(shape, preprocessing, torch.from_numpy(spacing)).max(0).values.tolist()
        fate = f"at the encoder's spacing lose what lies outside the {wanted} in their centre"
    if all(a <= b for a, b in zip(have, target, strict=True)):
        return None
    return f"volumes of {' x '.join(map(str, have))} voxels {fate}: no window slides over them"


def resize_volumes(x: Tensor, size: tuple[int, int, int], preprocessing: Preprocessing) -> Tensor:
    """(n, c, planes, h, w) resized within each plane, then across the planes, with antialiasing, as flat images are."""
    n, c, planes, h, w = x.shape
    if (h, w) != size[1:]:
        x = resize(x.reshape(n, c * planes, h, w), size[1:], preprocessing).reshape(n, c, planes, *size[1:])
    if planes != size[0]:
        lines = x.reshape(n, c, planes, size[1] * size[2])
        x = resize(lines, (size[0], lines.shape[-1]), preprocessing).reshape(n, c, *size)
    return x


def resize(x: Tensor, size: tuple[int, int], preprocessing: Preprocessing) -> Tensor:
    """(n, c, h, w) resized with antialiasing; bicubic overshoot of 8 bits is cut at 0 and 255."""
    if preprocessing.interpolation == "nearest":
        return F.interpolate(x, size=size, mode="nearest-exact")
    out = F.interpolate(x, size=size, mode=preprocessing.interpolation, align_corners=False, antialias=True)
    return out.clamp_(0.0, 255.0) if preprocessing.input is None else out


def own_spacing(preprocessing: Preprocessing, n: int) -> Tensor | None:
    """(n, 3): the spacing an encoder asks for, as if `n` volumes had it; None where it asks for none."""
    wanted = preprocessing.spacing
    return None if wanted is None else torch.tensor([wanted] * n, dtype=torch.float64)


def _centred(x: Tensor, size: tuple[int, int, int]) -> Tensor:
    """The centre of (n, c, planes, h, w), filled up with 0; the odd voxel goes after it."""
    pads: list[int] = []
    for have, want in zip(x.shape[:1:-1], size[::-1], strict=True):
        before = (want - have) // 2
        pads += [before, want - have - before]
    return F.pad(x, pads)  # below 0 it cuts off
