"""DenseCL: MoCo v2 for whole views, and for each token its most similar token of the other view as the positive."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.pretrain.augment import two_views
from bench.pretrain.losses import queue_nce
from bench.pretrain.objective import Batch, Objective, frozen
from bench.pretrain.objectives.moco_v2 import QUEUE, head_of
from bench.pretrain.queue import Queue


class DenseCl(Objective):
    """Equations 1-3 of the paper with lambda 0.5; the negatives of tokens are the pooled keys of other images.

    For the transformer only, for the reason of MoCo v2.
    """

    name = "densecl"
    paradigm = "contrastive"
    kind = "dense-contrastive"
    method = "DenseCL"
    citation = "Wang et al. 2021, arXiv 2011.09157"
    views = 1
    teacher_views = 1
    teachers = {"teacher": "backbone", "teacher_heads": "heads"}
    backbones = ("vit",)

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.heads = nn.ModuleList(head_of(backbone, recipe.heads) for _ in range(2))
        self.teacher = frozen(deepcopy(backbone))
        self.teacher_heads = frozen(deepcopy(self.heads))
        self.queues = nn.ModuleList(Queue(QUEUE * recipe.views_per_step, recipe.heads.out) for _ in range(2))

    def losses(self, batch: Batch):
        query, view = two_views(batch.images, self.recipe)
        tokens = self.backbone.tokens(query)
        with torch.no_grad():
            seen = self.teacher.tokens(view)
            key, dense_key = self.teacher_heads[0](seen.mean(1)), self.teacher_heads[1](seen)
            match = dense_key.gather(1, most_similar(tokens, seen)[..., None].expand_as(dense_key))
        whole, dense = self.queues
        found = {
            "contrast": 0.5 * queue_nce(self.heads[0](tokens.mean(1)), key, whole.kept, 0.2),
            "dense": 0.5 * queue_nce(self.heads[1](tokens).flatten(0, 1), match.flatten(0, 1), dense.kept, 0.2),
        }
        whole.push(key)
        dense.push(dense_key.mean(1))
        return found


def most_similar(tokens: Tensor, others: Tensor) -> Tensor:
    """For each token (n, t, d) the place of the most similar of the same image's `others` (n, k, d), int64 (n, t)."""
    return (F.normalize(tokens, dim=2) @ F.normalize(others, dim=2).transpose(1, 2)).argmax(2)


OBJECTIVE = DenseCl
