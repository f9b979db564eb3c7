"""Barlow Twins: the cross-correlation of two views' projections is driven to the identity."""

from lightly.loss import BarlowTwinsLoss
from lightly.models.modules.heads import BarlowTwinsProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.objective import Batch, Objective, both


class BarlowTwins(Objective):
    name = "barlow-twins"
    paradigm = "predictive"
    kind = "redundancy-reduction"
    method = "Barlow Twins"
    citation = "Zbontar et al. 2021, arXiv 2103.03230"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        hidden = recipe.heads.hidden
        self.project = BarlowTwinsProjectionHead(backbone.dim, hidden, hidden)
        self.decorrelate = BarlowTwinsLoss(lambda_param=5e-3)
        # The loss is a sum over the projection's dimensions; its mean keeps the clipped gradient comparable.
        self.scale = 1 / hidden

    def losses(self, batch: Batch):
        first, second = both(self.backbone, *two_views(batch.images, self.recipe))
        return {"decorrelate": self.scale * self.decorrelate(self.project(first).float(), self.project(second).float())}


OBJECTIVE = BarlowTwins
