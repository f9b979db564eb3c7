"""The contract every encoder keeps: tested on images whose right treatment is known."""

from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import Tensor

from bench.checks.finding import Finding
from bench.encoders.base import Encoded, Encoder
from bench.encoders.networks import TimmEncoder
from bench.encoders.preprocess import input_size, made_up, prepare
from bench.encoders.volumes import own_spacing
from bench.errors import MedsslError

TOLERANCE = 1e-5
"""Largest difference between batch sizes, relative to the largest feature (at least 1)."""


Once = Callable[[], Encoded]
"""Features of the known images, computed at the first call: most checks look at the same."""


def contract(encoder: Encoder) -> Iterator[Finding]:
    """One finding a check; a check that raises is a problem, the others still run."""
    images = known_images(encoder.card.preprocessing.size)
    checks = CHECKS
    if (depth := encoder.card.preprocessing.depth) is not None:
        images, checks = known_volumes(depth, images), VOLUME_CHECKS
    if encoder.card.preprocessing.input is not None:
        images = made_up(images, encoder.card.preprocessing)
        checks = {name: check for name, check in checks.items() if name not in ("grey images", "colour")}
    once = cache(lambda: _encode(encoder, images))
    for name, check in checks.items():
        try:
            yield check(encoder, images, once)
        except MedsslError as error:
            yield Finding(name, "problem", str(error))


def known_images(size: int) -> Tensor:
    """uint8 (8, h, h, 3), h = size + 8 to be resized: black, white, grey, red, two ramps, two of noise."""
    side = size + 8
    images = torch.zeros((8, side, side, 3))
    images[1], images[2], images[3, ..., 0] = 255, 128, 255
    ramp = torch.linspace(0, 255, side)
    images[4], images[5] = ramp[None, :, None], ramp[:, None, None]
    images[6:] = torch.randint(0, 256, (2, side, side, 3), generator=torch.Generator().manual_seed(0)).float()
    return images.to(torch.uint8)


def known_volumes(depth: int, images: Tensor) -> Tensor:
    """uint8 (8, planes, h, h, 1), planes = depth + 4: the known images with each plane shifted by one row more."""
    planes = depth + 4
    return torch.stack([images[..., :1].roll(plane, 1) for plane in range(planes)], dim=1)


def _encode(encoder: Encoder, images: Tensor) -> Encoded:
    """Global and dense features; volumes as if they had the spacing that is asked for."""
    return encoder.encode(images, dense=True, spacing=own_spacing(encoder.card.preprocessing, len(images)))


def _range(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    """Black and white must land where the card's mean and std say, and within what networks are trained on."""
    made = encoder.card.preprocessing
    x = prepare(images[:2], made, spacing=own_spacing(made, 2))
    low, high = float(x[0].min()), float(x[1].max())
    values = {"black": round(low, 3), "white": round(high, 3)}
    spoken = f"black becomes {low:.2f}, white {high:.2f}"
    if made.input is None and max(made.mean) > 1.5:
        fix = "mean and std are for values in [0, 1]; divide yours by 255"
        return Finding("input range", "problem", f"{spoken}: {fix}", values)
    if high - low > 12 or high - low < 0.5 or low > 0.5 or high < -0.5:
        return Finding("input range", "warning", f"{spoken}: unusual, look at mean and std again", values)
    return Finding("input range", "ok", spoken, values)


def _shapes(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    out = once()
    size = input_size(encoder.card.preprocessing, dense=True)
    values = {"dimension": out.pooled.shape[1], "grid": None if out.grid is None else list(out.grid.shape[1:])}
    if out.grid is None:
        message = f"{out.pooled.shape[1]} global features, no patch grid: it cannot be scored on dense tasks"
        return Finding("shapes", "warning", message, values)
    _, gh, gw, c = out.grid.shape
    message = f"{out.pooled.shape[1]} global features; grid {gh} x {gw} of {c} (one cell is {size / gh:.0f} px)"
    if gh != gw or gh < 2:
        return Finding("shapes", "warning", f"{message}: a square grid of at least 2 x 2 is expected", values)
    if min(gh, gw) < 8:
        return Finding("shapes", "warning", f"{message}: coarse for dense tasks; see dense_size, dense_layer", values)
    return Finding("shapes", "ok", message, values)


def _volume_shapes(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    out, made = once(), encoder.card.preprocessing
    if out.grid is None:
        message = f"{out.pooled.shape[1]} global features, no grid: attentive probes cannot be scored"
        return Finding("shapes", "warning", message, {"dimension": out.pooled.shape[1], "grid": None})
    _, gd, gh, gw, c = out.grid.shape
    message = f"{out.pooled.shape[1]} global features; grid {gd} x {gh} x {gw} of {c} of {made.depth} planes"
    return Finding("shapes", "ok", message, {"dimension": out.pooled.shape[1], "grid": [gd, gh, gw, c]})


def _architecture(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    word, network = encoder.card.architecture, encoder.module
    if not isinstance(encoder, TimmEncoder):
        return Finding("architecture", "ok", f"{word!r}, as the card says; {type(encoder).__name__} does not tell")
    tokens = getattr(network, "num_prefix_tokens", None) is not None
    if tokens != (word == "vit") and word != "other":
        found = "a transformer with tokens" if tokens else "a network with feature maps"
        return Finding("architecture", "warning", f"the card says {word!r}, the network is {found}")
    return Finding("architecture", "ok", f"{word!r}: {type(network).__name__}")


def _finite(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    out = once()
    largest = max(float(t.abs().max()) for t in (out.pooled, out.grid) if t is not None)
    values = {"largest": largest}
    if largest > 1e4:
        return Finding(
            "finite", "warning", f"largest feature {largest:.3g}: half precision would overflow soon", values
        )
    if out.pooled.shape[1] > 1 and bool((out.pooled >= 0).all()) and bool(((out.pooled.sum(1) - 1).abs() < 1e-3).all()):
        message = "the features of an image sum to 1: probabilities of classes rather than features?"
        return Finding("finite", "warning", message, values)
    return Finding(
        "finite", "ok", f"black, white, flat and noise images give finite features (up to {largest:.3g})", values
    )


def _deterministic(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    a, b = once(), _encode(encoder, images)
    if all(torch.equal(x, y) for x, y in _pairs(a, b)):
        return Finding("deterministic", "ok", "the same bits twice")
    worst = _difference(a, b)
    message = f"two runs differ by {worst:.1e}: is dropout on?"
    return Finding("deterministic", "problem" if worst > TOLERANCE else "warning", message, {"difference": worst})


def _batches(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    whole = once()
    parts = [_encode(encoder, images[i:j]) for i, j in ((0, 1), (1, 4))]
    grid = None if whole.grid is None else torch.cat([p.grid for p in parts if p.grid is not None])
    first = Encoded(whole.pooled[:4], None if whole.grid is None else whole.grid[:4])
    worst = _difference(first, Encoded(torch.cat([p.pooled for p in parts]), grid))
    values = {"difference": worst}
    if worst <= TOLERANCE:
        return Finding("batch size", "ok", f"batches of 1, 3 and 8 agree to {worst:.0e}", values)
    message = f"features depend on the batch (up to {worst:.1e}): batch statistics or reduced precision?"
    return Finding("batch size", "problem" if worst > 1e-3 else "warning", message, values)


def _grey(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    grey = images[4:6, ..., :1]
    worst = _difference(encoder.encode(grey), encoder.encode(grey.expand(-1, -1, -1, 3)))
    if worst > TOLERANCE:
        return Finding("grey images", "problem", f"a grey image and its colour copy differ by {worst:.1e}")
    return Finding("grey images", "ok", "a grey image equals its three-channel copy")


def _channels(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    red, blue = images[3:4], images[3:4].flip(-1)
    differ = _difference(encoder.encode(red), encoder.encode(blue)) > TOLERANCE
    sees = encoder.card.preprocessing.channels == 3 and encoder.card.preprocessing.grey != "luminance"
    if sees and not differ:
        return Finding("colour", "warning", "red and blue give the same features: colour does not reach the network")
    return Finding("colour", "ok", "channels are RGB in that order" if sees else "colour is reduced to luminance")


def _shape_of_image(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    """A wide image must be accepted, and padded, squeezed or cut as the card says."""
    wide = images[1:2, : images.shape[1] // 2]
    encoder.encode(wide, dense=True)
    x = prepare(wide, encoder.card.preprocessing)
    black = float((x[0, 0] == prepare(images[:1], encoder.card.preprocessing)[0, 0, 0, 0]).float().mean())
    padded = encoder.card.preprocessing.pad_to_square
    if padded != (0.4 < black < 0.6):
        return Finding("wide images", "problem", f"{black:.0%} of a padded 2:1 image is black, expected half")
    if encoder.card.preprocessing.shorter_side is not None:
        message = "cut to the square in the centre on global tasks: a finding at the edge is not seen"
        return Finding("wide images", "warning", message)
    return Finding("wide images", "ok", "padded to a square with black" if padded else "squeezed to a square")


def _sees(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    spacing = own_spacing(encoder.card.preprocessing, 5)
    some = images[[0, 1, 2, 6, 7]]  # the ramps share a histogram, and may share features
    pooled = encoder.encode(some, spacing=spacing).pooled
    spread = float((pooled[:, None] - pooled[None]).abs().amax(-1).fill_diagonal_(torch.inf).min())
    if spread == 0:
        return Finding("input reaches the output", "problem", "different images give the very same features")
    return Finding("input reaches the output", "ok", "different images give different features")


def _places(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    """A patch of noise in one quarter of a grey image must change the grid most in that quarter."""
    side = images.shape[1] // 2
    grey = images[2:3].repeat(5, 1, 1, 1)
    corners = [(0, 0), (0, side), (side, 0), (side, side)]
    for i, (y, x) in enumerate(corners, start=1):
        grey[i, y : y + side, x : x + side] = images[6, :side, :side]
    grid = encoder.encode(grey, dense=True).grid
    if grid is None or min(grid.shape[1:3]) < 2:
        return Finding("places", "ok", "no grid of at least 2 x 2 to look at")
    change = (grid[1:] - grid[:1]).norm(dim=-1)
    h, w = change.shape[1] // 2, change.shape[2] // 2
    quarters = torch.stack([change[:, r, c].mean((1, 2)) for r in (slice(h), slice(-h, None))
                            for c in (slice(w), slice(-w, None))], 1)  # fmt: skip
    right = int((quarters.argmax(1) == torch.arange(4, device=quarters.device)).sum())
    if right == 4:
        return Finding("places", "ok", "the grid lies as the image lies: each quarter answers to its own")
    message = f"only {right} of 4 quarters of the grid answer to their own quarter of the image"
    message += ": are its tokens in rows from the top left?"
    return Finding("places", "problem" if right < 2 else "warning", message, {"right": right})


def _volume_places(encoder: Encoder, images: Tensor, once: Once) -> Finding:
    """Noise in half of a grey volume must change the grid most in that half, along each of the three axes."""
    grey, noise = images[2:3], images[6:7]
    grid, right = once().grid, 0
    axes = [] if grid is None else [axis for axis in (1, 2, 3) if grid.shape[axis] >= 4]
    if grid is None or not axes:
        return Finding("places", "ok", "no grid of at least 4 cells along an axis to look at")
    for axis in axes:
        changed = grey.clone()
        half = changed.shape[axis] // 2
        changed.narrow(axis, 0, half).copy_(noise.narrow(axis, 0, half))
        after = _encode(encoder, changed).grid
        assert after is not None
        grown = (after - grid[2:3]).norm(dim=-1)
        cells = grown.shape[axis] // 2
        right += bool(grown.narrow(axis, 0, cells).mean() > grown.narrow(axis, grown.shape[axis] - cells, cells).mean())
    if right == len(axes):
        return Finding("places", "ok", "the grid lies as the volume lies: each half answers to its own")
    wrong = len(axes) - right
    message = f"along {wrong} of {len(axes)} axes the grid answers to the other half: is it (depth, h, w)?"
    return Finding("places", "problem" if wrong > 1 else "warning", message, {"right": right})


def _pairs(a: Encoded, b: Encoded) -> list[tuple[Tensor, Tensor]]:
    return [(a.pooled, b.pooled)] + ([] if a.grid is None or b.grid is None else [(a.grid, b.grid)])


def _difference(a: Encoded, b: Encoded) -> float:
    """Largest absolute difference, relative to the largest feature where that is above 1."""
    return max(float((x - y).abs().max() / x.abs().max().clamp_min(1)) for x, y in _pairs(a, b))


CHECKS: dict[str, Callable[[Encoder, Tensor, Once], Finding]] = {
    "architecture": _architecture,
    "input range": _range,
    "shapes": _shapes,
    "finite": _finite,
    "deterministic": _deterministic,
    "batch size": _batches,
    "grey images": _grey,
    "colour": _channels,
    "wide images": _shape_of_image,
    "input reaches the output": _sees,
    "places": _places,
}
VOLUME_CHECKS: dict[str, Callable[[Encoder, Tensor, Once], Finding]] = {
    "input range": _range,
    "shapes": _volume_shapes,
    "finite": _finite,
    "deterministic": _deterministic,
    "batch size": _batches,
    "input reaches the output": _sees,
    "places": _volume_places,
}
"""The same for an encoder of volumes."""
