"""iBOT: DINO across two views, and for each hidden token the teacher's output for that token; one shared head."""

from copy import deepcopy

import torch
from lightly.loss import DINOLoss, IBOTPatchLoss
from torch import Tensor

from bench.pretrain.augment import two_views
from bench.pretrain.masks import random_mask
from bench.pretrain.objective import Batch, Objective, frozen
from bench.pretrain.objectives.dino import dino_head_pair


class IBot(Objective):
    name = "ibot"
    paradigm = "hybrid"
    kind = "self-distillation+masked-tokens"
    method = "iBOT"
    citation = "Zhou et al. 2022, arXiv 2111.07832"
    teacher_views = 2
    teachers = {"teacher": "backbone", "teacher_head": "head"}

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.teacher = frozen(deepcopy(backbone))
        self.head, self.teacher_head = dino_head_pair(backbone, recipe.heads)
        self.distil = DINOLoss(recipe.heads.prototypes, teacher_temp=0.04, student_temp=0.1)
        self.match = IBOTPatchLoss(recipe.heads.prototypes, teacher_temp=0.04, student_temp=0.1)

    def losses(self, batch: Batch):
        images = torch.cat(two_views(batch.images, self.recipe))
        side = self.backbone.side
        mask = random_mask(len(images), side**2, 0.3, device=images.device)
        tokens = self.backbone.tokens(images, mask)
        with torch.no_grad():
            seen = self.teacher.tokens(images)
            teacher_view, teacher_token = self._logits(self.teacher_head, seen, mask)
        view, token = self._logits(self.head, tokens, mask)
        return {
            "distil": self.distil(list(teacher_view.chunk(2)), list(view.chunk(2))),
            "match": self.match(teacher_token, token, mask.view(-1, side, side)),
        }

    @staticmethod
    def _logits(head: torch.nn.Module, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs for each view (2n, k) and for each hidden token (m, k), row-major."""
        return head(tokens.mean(1)).float(), head(tokens[mask]).float()


OBJECTIVE = IBot
