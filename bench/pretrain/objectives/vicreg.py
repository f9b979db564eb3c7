"""VICReg: views agree, each dimension keeps its variance, and no two dimensions say the same."""

from lightly.loss import VICRegLoss
from lightly.models.modules.heads import VICRegProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.objective import Batch, Objective, both


class VicReg(Objective):
    """Equation 6 of the paper, all of it divided by 25 so that the clipped gradient stays comparable."""

    name = "vicreg"
    paradigm = "predictive"
    kind = "redundancy-reduction"
    method = "VICReg"
    citation = "Bardes, Ponce and LeCun 2022, arXiv 2105.04906"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        hidden = recipe.heads.hidden
        self.project = VICRegProjectionHead(backbone.dim, hidden, hidden)
        self.regularise = VICRegLoss(lambda_param=1.0, mu_param=1.0, nu_param=1 / 25)

    def losses(self, batch: Batch):
        first, second = both(self.backbone, *two_views(batch.images, self.recipe))
        return {"vicreg": self.regularise(self.project(first).float(), self.project(second).float())}


OBJECTIVE = VicReg
