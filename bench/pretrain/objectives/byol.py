"""BYOL: one view predicts a slowly moving teacher's projection of the other; there are no negatives."""

from copy import deepcopy

import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead
from torch import nn

from bench.pretrain.augment import two_views
from bench.pretrain.objective import Batch, Objective, both, frozen


class Byol(Objective):
    name = "byol"
    paradigm = "predictive"
    kind = "self-distillation"
    method = "BYOL"
    citation = "Grill et al. 2020, arXiv 2006.07733"
    teacher_views = 2
    teachers = {"teacher": "student"}

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        hidden, out = recipe.heads.hidden, recipe.heads.out
        self.student = nn.Sequential(backbone, BYOLProjectionHead(backbone.dim, hidden, out))
        self.teacher = frozen(deepcopy(self.student))
        self.predict = BYOLPredictionHead(out, hidden, out)
        self.similarity = NegativeCosineSimilarity()

    def losses(self, batch: Batch):
        views = two_views(batch.images, self.recipe)
        first, second = both(self.student, *views)
        with torch.no_grad():
            target_first, target_second = both(self.teacher, *views)
        forth = self.similarity(self.predict(first), target_second)
        back = self.similarity(self.predict(second), target_first)
        return {"predict": (forth + back) / 2}


OBJECTIVE = Byol
