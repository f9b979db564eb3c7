"""Super-resolution: restore an image from a quarter of its resolution."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bench.pretrain.augment import crop
from bench.pretrain.losses import restoration_error
from bench.pretrain.objective import Batch, Objective

FACTOR = 4


class SuperResolution(Objective):
    """Equation 4 of SRCNN, the squared error, with the backbone and a linear decoder in place of its three layers."""

    name = "super-resolution"
    paradigm = "generative"
    kind = "super-resolution"
    method = "Super-resolution"
    citation = "Dong et al. 2016, arXiv 1501.00092"
    views = 1

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.decode = nn.Linear(backbone.dim, 3 * backbone.patch**2)

    def losses(self, batch: Batch):
        images = crop(batch.images, self.recipe)
        restored = self.decode(self.backbone.tokens(coarse(images)))
        return {"restore": restoration_error(restored, images, self.backbone.patch)}


def coarse(images: Tensor) -> Tensor:
    """Images (n, c, s, s) at a quarter of their resolution (means), bicubically enlarged again; in [0, 1]."""
    small = F.avg_pool2d(images, FACTOR)
    return F.interpolate(small, images.shape[-2:], mode="bicubic", align_corners=False).clamp(0, 1)


OBJECTIVE = SuperResolution
