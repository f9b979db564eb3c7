"""Super-resolution: restore an image from a quarter of its resolution."""

import torch.nn.functional as F
from torch import Tensor

from bench.pretrain.restoration import Restoration

FACTOR = 4


class SuperResolution(Restoration):
    """Equation 4 of SRCNN, the squared error, with the backbone and a linear decoder in place of its three layers."""

    name = "super-resolution"
    kind = "super-resolution"
    method = "Super-resolution"
    citation = "Dong et al. 2016, arXiv 1501.00092"

    def spoil(self, images: Tensor) -> Tensor:
        return coarse(images)


def coarse(images: Tensor) -> Tensor:
    """Images (n, c, s, s) at a quarter of their resolution (means), bicubically enlarged again; in [0, 1]."""
    small = F.avg_pool2d(images, FACTOR)
    return F.interpolate(small, images.shape[-2:], mode="bicubic", align_corners=False).clamp(0, 1)


OBJECTIVE = SuperResolution
