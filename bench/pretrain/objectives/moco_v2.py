"""MoCo v2: a view must find the teacher's key of its other view among the keys of past batches."""

from copy import deepcopy

import torch
from torch import nn

from bench.pretrain.augment import two_views
from bench.pretrain.backbone import Backbone
from bench.pretrain.losses import queue_nce
from bench.pretrain.objective import Batch, Objective, frozen
from bench.pretrain.queue import Queue
from bench.pretrain.recipe import Heads

QUEUE = 32
"""Batches of keys in the queue; the paper keeps 65,536 of 1.3 million images."""


class MoCoV2(Objective):
    """Equation 1 of MoCo (arXiv 1911.05722) with the head of v2: one view asks, the other is the key.

    For the transformer only: batch normalisation would tell a query its key's batch (section 3.3 of MoCo), and the
    remedy, shuffling between devices, needs several of them.
    """

    name = "moco-v2"
    paradigm = "contrastive"
    kind = "instance-contrastive"
    method = "MoCo v2"
    citation = "Chen et al. 2020, arXiv 2003.04297"
    views = 1
    teacher_views = 1
    teachers = {"teacher": "student"}
    backbones = ("vit",)

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.student = nn.Sequential(backbone, head_of(backbone, recipe.heads))
        self.teacher = frozen(deepcopy(self.student))
        self.queue = Queue(QUEUE * recipe.views_per_step, recipe.heads.out)

    def losses(self, batch: Batch):
        query, view = two_views(batch.images, self.recipe)
        with torch.no_grad():
            key = self.teacher(view)
        loss = queue_nce(self.student(query), key, self.queue.kept, temperature=0.2)
        self.queue.push(key)
        return {"contrast": loss}


def head_of(backbone: Backbone, heads: Heads) -> nn.Module:
    """The projection head of MoCo v2, without batch normalisation."""
    return nn.Sequential(nn.Linear(backbone.dim, heads.hidden), nn.ReLU(), nn.Linear(heads.hidden, heads.out))


OBJECTIVE = MoCoV2
