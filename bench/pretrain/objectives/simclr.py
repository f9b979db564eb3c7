"""SimCLR: two views of an image attract each other and repel every other view of the batch."""

from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.objective import Batch, Objective, both


class SimClr(Objective):
    name = "simclr"
    paradigm = "contrastive"
    kind = "instance-contrastive"
    method = "SimCLR"
    citation = "Chen et al. 2020, arXiv 2002.05709"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.project = SimCLRProjectionHead(backbone.dim, recipe.heads.hidden, recipe.heads.out)
        self.contrast = NTXentLoss(temperature=0.2)

    def losses(self, batch: Batch):
        first, second = both(self.backbone, *two_views(batch.images, self.recipe))
        return {"contrast": self.contrast(self.project(first), self.project(second))}


OBJECTIVE = SimClr
