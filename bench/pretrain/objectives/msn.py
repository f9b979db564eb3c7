"""MSN: a view with hidden patches must fall to the same prototypes as the teacher's whole other view."""

from copy import deepcopy

import torch
from lightly.loss import MSNLoss
from lightly.models.modules.heads import MSNProjectionHead
from torch import nn

from bench.pretrain.augment import two_views
from bench.pretrain.backbone import VitBackbone
from bench.pretrain.masks import random_mask, visible
from bench.pretrain.objective import Batch, Objective, frozen


class Msn(Objective):
    """Equation 1 of the paper: cross-entropy to sharpened, balanced targets less the entropy of the mean prediction.

    Simplified: one masked view an image and no small crops.
    """

    name = "msn"
    paradigm = "predictive"
    kind = "self-distillation"
    method = "MSN"
    citation = "Assran et al. 2022, arXiv 2204.07141"
    views = 1
    teacher_views = 1
    teachers = {"teacher": "student"}
    backbones = ("vit",)
    backbone: VitBackbone

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        heads = recipe.heads
        self.head = MSNProjectionHead(backbone.dim, heads.hidden, heads.out)
        self.student = nn.Sequential(backbone, self.head)
        self.teacher = frozen(deepcopy(self.student))
        self.prototypes = nn.Parameter(torch.randn(heads.prototypes, heads.out) / heads.out**0.5)
        self.match = MSNLoss(temperature=0.1)

    def losses(self, batch: Batch):
        anchor, whole = two_views(batch.images, self.recipe)
        keep = visible(random_mask(len(anchor), self.backbone.side**2, 0.3, device=anchor.device))
        predicted = self.head(self.backbone.visible_tokens(anchor, keep).mean(1))
        with torch.no_grad():
            target = self.teacher(whole)
        return {"match": self.match(predicted.float(), target.float(), self.prototypes)}


OBJECTIVE = Msn
