"""SimSiam: one view predicts the other's projection, through which no gradient flows; no negatives and no teacher."""

from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.objective import Batch, Objective, both


class SimSiam(Objective):
    """Equation 4 of the paper."""

    name = "simsiam"
    paradigm = "predictive"
    kind = "self-distillation"
    method = "SimSiam"
    citation = "Chen and He 2021, arXiv 2011.10566"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        hidden, out = recipe.heads.hidden, recipe.heads.out
        self.project = SimSiamProjectionHead(backbone.dim, hidden, out)
        self.predict = SimSiamPredictionHead(out, max(1, out // 4), out)
        self.similarity = NegativeCosineSimilarity()

    def losses(self, batch: Batch):
        first, second = (self.project(v) for v in both(self.backbone, *two_views(batch.images, self.recipe)))
        forth = self.similarity(self.predict(first), second.detach())
        back = self.similarity(self.predict(second), first.detach())
        return {"predict": (forth + back) / 2}


OBJECTIVE = SimSiam
