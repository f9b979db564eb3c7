"""MoCo v3: a predicted view must find its other view among the keys of a slowly moving teacher."""

from copy import deepcopy

import torch
from lightly.models.modules.heads import ProjectionHead, SimCLRProjectionHead
from torch import nn

from bench.pretrain.augment import two_views
from bench.pretrain.losses import info_nce
from bench.pretrain.objective import Batch, Objective, both, frozen


class MoCoV3(Objective):
    name = "moco-v3"
    paradigm = "contrastive"
    kind = "instance-contrastive"
    method = "MoCo v3"
    citation = "Chen, Xie and He 2021, arXiv 2104.02057"
    teacher_views = 2
    teachers = {"teacher": "student"}

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        hidden, out = recipe.heads.hidden, recipe.heads.out
        self.student = nn.Sequential(backbone, SimCLRProjectionHead(backbone.dim, hidden, out))
        self.teacher = frozen(deepcopy(self.student))
        self.predict = ProjectionHead([(out, hidden, nn.BatchNorm1d(hidden), nn.ReLU()), (hidden, out, None, None)])

    def losses(self, batch: Batch):
        views = two_views(batch.images, self.recipe)
        first, second = both(self.student, *views)
        with torch.no_grad():
            key_first, key_second = both(self.teacher, *views)
        forth = info_nce(self.predict(first), key_second, temperature=0.2)
        back = info_nce(self.predict(second), key_first, temperature=0.2)
        return {"contrast": forth + back}


OBJECTIVE = MoCoV3
