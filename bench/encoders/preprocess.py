"""From uint8 images to what a network takes: one exact, documented road for every encoder.

The steps, in this order, all in float32 on the images' device:

1. channels    luminance (ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B) where the card asks for it or takes one channel;
2. resize      with antialiasing (the filter widens when shrinking, as in Pillow), pixel centres aligned at half
               pixels; to s x s, or, with `pad_to_square`, so that the longer side is s. An image that already has
               the size is not touched. Bicubic overshoot is cut at 0 and 255. With `shorter_side`, on global tasks:
               the shorter side becomes that long, the shape is kept;
3. pad, crop   with `pad_to_square`: zeros (black) around the centred image, the odd pixel at the bottom and right;
               with `shorter_side`: the s x s in the centre, where torchvision's CenterCrop takes it;
4. repeat      a single channel to the encoder's three;
5. scale       to [0, 1], dividing by 255;
6. normalise   (x - mean) / std.

s is `size`, or `dense_size` for dense tasks where the card has one.

Hounsfield units (`input = "hu"` on the card) take the same road: cut to the card's `window` where it has one, nothing
cut after resizing, padded with the window's low end or with air, not scaled; mean and std are in those units.

Volumes (`depth` on the card) take the same road in three dimensions (`bench.encoders.volumes`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.encoders.card import Preprocessing
from bench.encoders.volumes import fit_volumes, resize
from bench.errors import DataError
from bench.words import AIR

LUMINANCE = (0.299, 0.587, 0.114)


def prepare(
    images: Tensor, preprocessing: Preprocessing, *, dense: bool = False, spacing: Tensor | None = None
) -> Tensor:
    """Network input of `images`, on their device.

    images: uint8 (n, h, w, c), c in {1, 3}, or (n, planes, h, w, c) where the card says a depth; float32 with c = 1
    where it asks for Hounsfield units. spacing: float64
    (n, 3), mm between planes, rows and columns of each volume. Returns float32 (n, channels, s, s), or
    (n, channels, depth, s, s), normalised. Raises DataError for another shape or dtype.
    """
    _check(images, preprocessing)
    s = input_size(preprocessing, dense=dense)
    x = images.movedim(-1, 1).to(torch.float32)
    black = (preprocessing.window or [AIR])[0]
    if preprocessing.input is not None:  # from here on 0 is what padding is
        x = (x if preprocessing.window is None else x.clamp(*preprocessing.window)) - black
    if preprocessing.channels == 1 or preprocessing.grey == "luminance":
        x = _luminance(x)
    x = _fit(x, s, preprocessing, dense) if preprocessing.depth is None else fit_volumes(x, preprocessing, spacing)
    x = x.expand(-1, preprocessing.channels, *x.shape[2:])
    x = x / 255.0 if preprocessing.input is None else x + black
    each = (1, -1, *[1] * (x.ndim - 2))
    mean, std = (x.new_tensor(v).reshape(each) for v in (preprocessing.mean, preprocessing.std))
    return (x - mean) / std


def made_up(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Images uint8 that are drawn to look at an encoder, as it takes them: Hounsfield units from -1000 to 1040."""
    return images if preprocessing.input is None else images[..., :1].float() * 8 + AIR


def _check(images: Tensor, preprocessing: Preprocessing) -> None:
    layout = "(n, h, w, c)" if preprocessing.depth is None else "(n, planes, h, w, c)"
    kind, channels = (torch.uint8, (1, 3)) if preprocessing.input is None else (torch.float32, (1,))
    if images.dtype == kind and images.ndim == layout.count(",") + 1 and images.shape[-1] in channels:
        return
    wanted = f"uint8 {layout} with c = 1 or 3" if preprocessing.input is None else f"Hounsfield units, float32 {layout}"
    raise DataError(f"images are {images.dtype} {tuple(images.shape)}", where="preprocessing", fix=f"expected {wanted}")


def input_size(preprocessing: Preprocessing, *, dense: bool) -> int:
    """Side s of the square input."""
    return preprocessing.dense_size or preprocessing.size if dense else preprocessing.size


def placed(height: int, width: int, preprocessing: Preprocessing, *, dense: bool) -> tuple[int, int, int, int]:
    """Where an image lies in the square input: (top, left, height, width) in input pixels.

    Dense protocols need it to map a patch grid back on to a padded image; without `pad_to_square` it is the whole.
    Where `shorter_side` cuts something off, top or left is negative. Every pixel of a dense task has to be answered,
    so nothing is cut off there.
    """
    s, shorter = input_size(preprocessing, dense=dense), None if dense else preprocessing.shorter_side
    if shorter is not None:
        h, w = (shorter * side // min(height, width) for side in (height, width))
        return -round((h - s) / 2), -round((w - s) / 2), h, w
    if not preprocessing.pad_to_square:
        return 0, 0, s, s
    longer = max(height, width)
    h, w = (max(1, round(side * s / longer)) for side in (height, width))
    return (s - h) // 2, (s - w) // 2, h, w


def _luminance(x: Tensor) -> Tensor:
    if x.shape[1] == 1:
        return x
    return (x * x.new_tensor(LUMINANCE).reshape(1, 3, *[1] * (x.ndim - 2))).sum(1, keepdim=True)


def _fit(x: Tensor, s: int, preprocessing: Preprocessing, dense: bool) -> Tensor:
    """Resize, pad and crop to (s, s); see the module's docstring."""
    top, left, h, w = placed(x.shape[-2], x.shape[-1], preprocessing, dense=dense)
    if (h, w) != tuple(x.shape[-2:]):
        x = resize(x, (h, w), preprocessing)
    return F.pad(x, (left, s - w - left, top, s - h - top)) if (h, w) != (s, s) else x  # below 0 it cuts off
