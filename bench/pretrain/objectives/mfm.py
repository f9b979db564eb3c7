"""Masked frequency modelling: an image that has lost its high or its low frequencies gets them back."""

import torch
from torch import Tensor

from bench.pretrain.augment import crop
from bench.pretrain.decoder import pixel_decoder
from bench.pretrain.losses import spectrum_error
from bench.pretrain.objective import Batch, Objective

RADIUS = 16 / 224
"""Of the circle between low and high frequencies, as a share of the image's side."""


class MaskedFrequency(Objective):
    """Equation 6 of the paper (gamma 1) at the hidden frequencies, with a linear decoder."""

    name = "mfm"
    paradigm = "generative"
    kind = "masked-image-modelling"
    method = "Masked frequency modelling"
    citation = "Xie et al. 2023, arXiv 2206.07706"
    views = 1

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.decode = pixel_decoder(backbone)

    def losses(self, batch: Batch):
        images = crop(batch.images, self.recipe)
        hidden = hidden_frequencies(len(images), self.recipe.size, device=images.device)
        tokens = self.backbone.tokens(without(images, hidden))
        restored = images_of(self.decode(tokens).float(), self.backbone.patch)
        return {"spectrum": spectrum_error(restored, images, hidden)}


def hidden_frequencies(n: int, size: int, *, device: torch.device | str) -> Tensor:
    """Bool (n, 1, size, size), in the order of torch.fft: for half of the images (by chance) the low frequencies."""
    at = torch.fft.fftfreq(size, device=device)
    low = (at[:, None] ** 2 + at**2).sqrt() <= RADIUS
    return low ^ (torch.rand(n, 1, 1, 1, device=device) < 0.5)


def without(images: Tensor, hidden: Tensor) -> Tensor:
    """Images (n, c, s, s) less their hidden frequencies; no longer within [0, 1]."""
    return torch.fft.ifft2(torch.fft.fft2(images) * ~hidden).real


def images_of(patches: Tensor, patch: int) -> Tensor:
    """The inverse of `patches_of`: (n, t, c * patch^2) -> (n, c, s, s)."""
    side = int(patches.shape[1] ** 0.5)
    grid = patches.unflatten(2, (-1, patch, patch)).unflatten(1, (side, side))
    return grid.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


OBJECTIVE = MaskedFrequency
