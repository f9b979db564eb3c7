"""Augmentations of a whole batch at once: float images (n, c, h, w) in [0, 1] in and out, every image its own draw.

Random numbers come from torch's global generator, which the trainer seeds at each step.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.pretrain.recipe import Recipe

MAX_STRETCH = 4 / 3
COLOUR_STRENGTH = 0.4
GREY_SHARE = 0.1
BLUR_SHARE = 0.3


def two_views(images: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Two independent views of each image: crop, flip, colour, blur. Shared by every joint-embedding objective."""
    return distort(crop(images, recipe)), distort(crop(images, recipe))


def crop(images: Tensor, recipe: Recipe, around: Tensor | None = None) -> Tensor:
    """Random crop (area as in the recipe, aspect 3:4-4:3) resized to (n, c, size, size), and a horizontal flip.

    around: (n, 2) points (x, y) in [0, 1] that the crop must contain, or None.
    """
    n, device = len(images), images.device
    area = uniform(n, *recipe.crop_area, device=device)
    stretch = uniform(n, -math.log(MAX_STRETCH), math.log(MAX_STRETCH), device=device).exp()
    sides = torch.stack([(area * stretch).sqrt(), (area / stretch).sqrt()], 1).clamp(max=1)
    low, high = sides / 2, 1 - sides / 2
    if around is not None:
        # The point keeps a tenth of the crop's side from its edge, unless the image itself ends there.
        low, high = ((around + shift * sides).clamp(low, high) for shift in (-0.4, 0.4))
    centre = low + (high - low) * torch.rand(n, 2, device=device)
    flip = torch.where(torch.rand(n, device=device) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = sides[:, 0] * flip, sides[:, 1], 2 * centre - 1
    grid = F.affine_grid(theta, [n, images.shape[1], recipe.size, recipe.size], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def distort(images: Tensor) -> Tensor:
    """Random brightness, contrast, saturation (+-40 %), now and then grey, now and then blurred; clamped to [0, 1]."""
    n, device = len(images), images.device
    low, high = 1 - COLOUR_STRENGTH, 1 + COLOUR_STRENGTH
    bright, contrast, colour = (uniform(n, low, high, device=device).view(n, 1, 1, 1) for _ in range(3))
    colour = torch.where(torch.rand(n, 1, 1, 1, device=device) < GREY_SHARE, 0.0, colour)
    x = images * bright
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * contrast + mean
    grey = x.mean(1, keepdim=True)
    x = ((x - grey) * colour + grey).clamp(0, 1)
    return torch.where(torch.rand(n, 1, 1, 1, device=device) < BLUR_SHARE, blur(x), x)


def blur(images: Tensor) -> Tensor:
    """Binomial blur of standard deviation 1 px (5 taps, separable), edges repeated."""
    c = images.shape[1]
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=images.device) / 16
    x = F.pad(images, (2, 2, 2, 2), mode="replicate")
    x = F.conv2d(x, taps.view(1, 1, 1, 5).expand(c, 1, 1, 5), groups=c)
    return F.conv2d(x, taps.view(1, 1, 5, 1).expand(c, 1, 5, 1), groups=c)


def rectangles(n: int, size: int, low: float, high: float, *, device: torch.device | str) -> Tensor:
    """One random rectangle an image, bool (n, size, size); each side is a share low..high of the image's."""
    sides = uniform(2 * n, low, high, device=device).view(n, 2)
    start = torch.rand(n, 2, device=device) * (1 - sides)
    at = (torch.arange(size, device=device) + 0.5) / size
    inside = (at >= start[..., None]) & (at < (start + sides)[..., None])
    return inside[:, 1, :, None] & inside[:, 0, None, :]


def uniform(n: int, low: float, high: float, *, device: torch.device | str) -> Tensor:
    """n draws from [low, high)."""
    return low + (high - low) * torch.rand(n, device=device)
