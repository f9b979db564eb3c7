"""data2vec: from a half-hidden image, predict a slowly moving teacher's averaged layers at the hidden tokens."""

from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.pretrain.augment import crop
from bench.pretrain.backbone import MEAN, STD
from bench.pretrain.masks import random_mask
from bench.pretrain.objective import Batch, Objective, frozen


class Data2Vec(Objective):
    """Equation 1 of the paper: smooth L1 (beta 2) to the mean of the upper half of the teacher's normalised blocks.

    Simplified: hidden tokens are drawn one by one, not in blocks.
    """

    name = "data2vec"
    paradigm = "predictive"
    kind = "latent-prediction"
    method = "data2vec"
    citation = "Baevski et al. 2022, arXiv 2202.03555"
    views = 1
    teacher_views = 1
    teachers = {"teacher": "backbone"}
    backbones = ("vit",)

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.teacher = frozen(deepcopy(backbone))
        self.predict = nn.Linear(backbone.dim, backbone.dim)

    def losses(self, batch: Batch):
        images = crop(batch.images, self.recipe)
        with torch.no_grad():
            target = upper_half(self.teacher.network, images)
        mask = random_mask(len(images), self.backbone.side**2, 0.6, device=images.device)
        predicted = self.predict(self.backbone.tokens(images, mask))
        return {"predict": F.smooth_l1_loss(predicted[mask], target[mask], beta=2.0)}


def upper_half(network: Any, images: Tensor) -> Tensor:
    """Mean over the upper half of a transformer's blocks, each token normalised first: (n, t, dim)."""
    last = (len(network.blocks) + 1) // 2
    blocks = network.forward_intermediates(
        (images - MEAN) / STD, indices=last, output_fmt="NLC", intermediates_only=True
    )
    return torch.stack([F.layer_norm(b.float(), b.shape[-1:]) for b in blocks]).mean(0)


OBJECTIVE = Data2Vec
