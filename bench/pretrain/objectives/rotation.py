"""Rotation prediction: which of four right angles was this image turned by?"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.pretrain.augment import crop, distort
from bench.pretrain.objective import Batch, Objective


class Rotation(Objective):
    name = "rotation"
    paradigm = "predictive"
    kind = "spatial-prediction"
    method = "Rotation prediction"
    citation = "Gidaris, Singh and Komodakis 2018, arXiv 1803.07728"
    views = 1

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.classify = nn.Linear(backbone.dim, 4)

    def losses(self, batch: Batch):
        images, turns = turned(distort(crop(batch.images, self.recipe)))
        return {"rotation": F.cross_entropy(self.classify(self.backbone(images)), turns)}


def turned(images: Tensor) -> tuple[Tensor, Tensor]:
    """Each image turned by 0-3 right angles, and how many, int64 (n,). The order of images is kept."""
    turns = torch.randint(4, (len(images),), device=images.device)
    choices = torch.stack([torch.rot90(images, k, (2, 3)) for k in range(4)])
    return choices[turns, torch.arange(len(images), device=images.device)], turns


OBJECTIVE = Rotation
