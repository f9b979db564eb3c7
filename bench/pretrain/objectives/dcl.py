"""DCL: SimCLR without the positive pair in the denominator, which otherwise couples the gradient to the batch size."""

from lightly.loss import DCLLoss
from lightly.models.modules.heads import SimCLRProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.objective import Batch, Objective, both


class Dcl(Objective):
    """Equation 6 of the paper, unweighted, both views as anchors."""

    name = "dcl"
    paradigm = "contrastive"
    kind = "instance-contrastive"
    method = "DCL"
    citation = "Yeh et al. 2022, arXiv 2110.06848"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.project = SimCLRProjectionHead(backbone.dim, recipe.heads.hidden, recipe.heads.out)
        self.contrast = DCLLoss(temperature=0.1)

    def losses(self, batch: Batch):
        first, second = both(self.backbone, *two_views(batch.images, self.recipe))
        return {"contrast": self.contrast(self.project(first).float(), self.project(second).float())}


OBJECTIVE = Dcl
