"""MaskFeat: hidden patches are predicted as histograms of their oriented gradients (HOG)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.pretrain.augment import crop
from bench.pretrain.backbone import patches_of
from bench.pretrain.masks import random_mask
from bench.pretrain.objective import Batch, Objective

BINS = 9
CELL = 8
"""Side of a cell in pixels, or the patch's side where that is smaller."""


class MaskFeat(Objective):
    """Squared error of the HOG of hidden patches (section 3.2 of the paper), which are drawn one by one, not in blocks.

    HOG as in Dalal and Triggs 2005, each channel by itself: central differences, unsigned angles, cells of norm 1.
    """

    name = "maskfeat"
    paradigm = "generative"
    kind = "masked-image-modelling"
    method = "MaskFeat (HOG)"
    citation = "Wei et al. 2022, arXiv 2112.09133"
    views = 1

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.cell = min(CELL, backbone.patch)
        self.cells = backbone.patch // self.cell
        self.decode = nn.Linear(backbone.dim, 3 * BINS * self.cells**2)

    def losses(self, batch: Batch):
        images = crop(batch.images, self.recipe)
        mask = random_mask(len(images), self.backbone.side**2, 0.4, device=images.device)
        target = patches_of(hog(images, self.cell).flatten(1, 2), self.cells)
        predicted = self.decode(self.backbone.tokens(images, mask))
        return {"hog": F.mse_loss(predicted[mask], target[mask])}


def hog(images: Tensor, cell: int) -> Tensor:
    """Histograms of oriented gradients, (n, c, 9, s / cell, s / cell), of images (n, c, s, s); each cell has norm 1.

    A pixel's gradient adds its size to the bin of its angle, modulo 180 degrees.
    """
    dx, dy = torch.zeros_like(images), torch.zeros_like(images)
    dx[..., 1:-1] = images[..., 2:] - images[..., :-2]
    dy[..., 1:-1, :] = images[..., 2:, :] - images[..., :-2, :]
    angle = torch.atan2(dy, dx) % math.pi
    bins = (angle * BINS / math.pi).long().clamp(max=BINS - 1)
    size = (dx**2 + dy**2).sqrt()
    votes = (bins[:, :, None] == torch.arange(BINS, device=images.device).view(-1, 1, 1)) * size[:, :, None]
    cells = votes.unflatten(-1, (-1, cell)).unflatten(-3, (-1, cell)).sum((-1, -3))
    return F.normalize(cells, dim=2, eps=1e-5)


OBJECTIVE = MaskFeat
