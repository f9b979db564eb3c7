"""DINOv2: the losses of DINO and iBOT with a head each, targets balanced by Sinkhorn-Knopp, and views spread apart."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from lightly.loss import KoLeoLoss
from lightly.loss.swav_loss import sinkhorn
from torch import nn

from bench.pretrain.augment import two_views
from bench.pretrain.masks import random_mask
from bench.pretrain.objective import Batch, Objective, frozen
from bench.pretrain.objectives.dino import dino_head_pair

TEACHER, STUDENT = 0.05, 0.1
"""Temperatures."""


class DinoV2(Objective):
    """Section 4 of the paper: three iterations of Sinkhorn-Knopp, untied heads, KoLeo of weight 0.1.

    Simplified: no small crops, and three tenths of each view's tokens are hidden, one by one.
    """

    name = "dinov2"
    paradigm = "hybrid"
    kind = "self-distillation+masked-tokens"
    method = "DINOv2 style"
    citation = "Oquab et al. 2024, arXiv 2304.07193"
    teacher_views = 2
    teachers = {"teacher": "backbone", "teacher_heads": "heads"}

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.teacher = frozen(deepcopy(backbone))
        pairs = [dino_head_pair(backbone, recipe.heads) for _ in range(2)]
        self.heads, self.teacher_heads = (nn.ModuleList(heads) for heads in zip(*pairs, strict=True))
        self.spread = KoLeoLoss()

    def losses(self, batch: Batch):
        images = torch.cat(two_views(batch.images, self.recipe))
        mask = random_mask(len(images), self.backbone.side**2, 0.3, device=images.device)
        with torch.no_grad():
            seen = self.teacher.tokens(images)
            views = [sinkhorn(v, epsilon=TEACHER) for v in self.teacher_heads[0](seen.mean(1)).float().chunk(2)]
            words = sinkhorn(self.teacher_heads[1](seen[mask]).float(), epsilon=TEACHER)
        tokens = self.backbone.tokens(images, mask)
        vectors = tokens.mean(1)
        return {
            "distil": F.cross_entropy(self.heads[0](vectors) / STUDENT, torch.cat(views[::-1])),
            "match": F.cross_entropy(self.heads[1](tokens[mask]) / STUDENT, words),
            "spread": 0.1 * sum(self.spread(v) for v in vectors.float().chunk(2)),
        }


OBJECTIVE = DinoV2
