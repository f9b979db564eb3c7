"""ReLIC: SimCLR whose choice among the images of the batch must not depend on how the view was augmented."""

from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.losses import invariance
from bench.pretrain.objective import Batch, Objective, both


class Relic(Objective):
    """Contrast plus the KL divergence of section 3 of the paper, in both directions; no momentum network."""

    name = "relic"
    paradigm = "contrastive"
    kind = "instance-contrastive"
    method = "ReLIC style invariant contrast"
    citation = "Mitrovic et al. 2021, arXiv 2010.07922"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.project = SimCLRProjectionHead(backbone.dim, recipe.heads.hidden, recipe.heads.out)
        self.contrast = NTXentLoss(temperature=0.2)

    def losses(self, batch: Batch):
        first, second = (self.project(v) for v in both(self.backbone, *two_views(batch.images, self.recipe)))
        divergence = invariance(first, second, 0.2) + invariance(second, first, 0.2)
        return {"contrast": self.contrast(first, second), "invariance": divergence / 2}


OBJECTIVE = Relic
