"""NNCLR: the positive of a view is the nearest neighbour of its other view among the projections of past batches."""

from lightly.models.modules.heads import NNCLRPredictionHead, NNCLRProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.losses import pair_nce
from bench.pretrain.objective import Batch, Objective, both
from bench.pretrain.queue import Queue

SUPPORT = 32
"""Batches in the support set; the paper keeps 98,304 of 1.3 million images."""


class Nnclr(Objective):
    """Equation 3 of the paper with its prediction head, both directions; the support set is filled from one view."""

    name = "nnclr"
    paradigm = "contrastive"
    kind = "instance-contrastive"
    method = "NNCLR"
    citation = "Dwibedi et al. 2021, arXiv 2104.14548"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        hidden, out = recipe.heads.hidden, recipe.heads.out
        self.project = NNCLRProjectionHead(backbone.dim, hidden, out)
        self.predict = NNCLRPredictionHead(out, hidden, out)
        self.support = Queue(SUPPORT * recipe.views_per_step // self.views, out)

    def losses(self, batch: Batch):
        first, second = (self.project(v) for v in both(self.backbone, *two_views(batch.images, self.recipe)))
        forth = pair_nce(self.support.nearest(first), self.predict(second), temperature=0.1)
        back = pair_nce(self.support.nearest(second), self.predict(first), temperature=0.1)
        self.support.push(first)
        return {"contrast": (forth + back) / 2}


OBJECTIVE = Nnclr
