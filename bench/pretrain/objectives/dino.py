"""DINO: a student matches a slowly moving teacher's sharpened, centred output on the other view (no small crops)."""

from copy import deepcopy

import torch
from lightly.loss import DINOLoss
from lightly.models.modules.heads import DINOProjectionHead
from torch import nn

from bench.pretrain.augment import two_views
from bench.pretrain.backbone import Backbone
from bench.pretrain.objective import Batch, Objective, both, frozen
from bench.pretrain.recipe import Heads


class Dino(Objective):
    name = "dino"
    paradigm = "predictive"
    kind = "self-distillation"
    method = "DINO"
    citation = "Caron et al. 2021, arXiv 2104.14294"
    teacher_views = 2
    teachers = {"teacher": "student"}

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        head, teacher_head = dino_head_pair(backbone, recipe.heads)
        self.student = nn.Sequential(backbone, head)
        self.teacher = nn.Sequential(frozen(deepcopy(backbone)), teacher_head)
        self.distil = DINOLoss(recipe.heads.prototypes, teacher_temp=0.04, student_temp=0.1)

    def losses(self, batch: Batch):
        views = two_views(batch.images, self.recipe)
        student = both(self.student, *views)
        with torch.no_grad():
            teacher = both(self.teacher, *views)
        return {"distil": self.distil([t.float() for t in teacher], [s.float() for s in student])}


def dino_head_pair(backbone: Backbone, heads: Heads) -> tuple[nn.Module, nn.Module]:
    """A student's head and its teacher's twin (weight normalisation cannot be deep-copied)."""
    student, teacher = (DINOProjectionHead(backbone.dim, heads.hidden, heads.out, heads.prototypes) for _ in range(2))
    teacher.load_state_dict(student.state_dict())
    return student, frozen(teacher)


OBJECTIVE = Dino
