"""SwAV: the cluster code of one view is predicted from the other view (two full-size crops, no small ones)."""

import torch.nn.functional as F
from lightly.loss import SwaVLoss
from lightly.models.modules.heads import SwaVProjectionHead, SwaVPrototypes

from bench.pretrain.augment import two_views
from bench.pretrain.objective import Batch, Objective, both


class SwAV(Objective):
    name = "swav"
    paradigm = "contrastive"
    kind = "contrastive-clustering"
    method = "SwAV"
    citation = "Caron et al. 2020, arXiv 2006.09882"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        heads = recipe.heads
        self.project = SwaVProjectionHead(backbone.dim, heads.hidden, heads.out)
        self.prototypes = SwaVPrototypes(heads.out, heads.prototypes)
        self.swap = SwaVLoss(temperature=0.1, sinkhorn_epsilon=0.05)
        self.prototypes.normalize()

    def losses(self, batch: Batch):
        vectors = both(self.backbone, *two_views(batch.images, self.recipe))
        codes = [self.prototypes(F.normalize(self.project(v), dim=1).float()) for v in vectors]
        return {"swap": self.swap(codes, []).squeeze(0)}

    def after_step(self, progress: float) -> None:
        self.prototypes.normalize()


OBJECTIVE = SwAV
