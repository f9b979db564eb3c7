"""LeJEPA: views agree, and random projections of their embeddings are normally distributed (SIGReg)."""

import torch
from lightly.loss.lejepa_loss import SIGReg, lejepa_invariance_loss
from lightly.models.modules.heads import VICRegProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.objective import Batch, Objective, both

SHARE = 0.05
"""Of SIGReg in the loss; the rest is invariance."""


class LeJepa(Objective):
    """The paper's loss with two whole views (no small crops) and 256 random directions, drawn anew at each step."""

    name = "lejepa"
    paradigm = "predictive"
    kind = "latent-prediction"
    method = "LeJEPA"
    citation = "Balestriero and LeCun 2025, arXiv 2511.08544"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.project = VICRegProjectionHead(backbone.dim, recipe.heads.hidden, recipe.heads.out)
        self.gaussian = SIGReg(num_vectors=256)

    def losses(self, batch: Batch):
        views = both(self.backbone, *two_views(batch.images, self.recipe))
        projected = torch.stack([self.project(v) for v in views]).float()
        agree = lejepa_invariance_loss(all_proj=projected, global_proj=projected)
        return {"agree": (1 - SHARE) * agree, "gaussian": SHARE * self.gaussian(projected)}


OBJECTIVE = LeJepa
