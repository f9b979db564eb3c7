"""PIRL: an image and its jigsaw must look alike, and unlike every other image of the batch."""

from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.objective import Batch, Objective, both
from bench.pretrain.objectives.jigsaw import jigsaw, tiles_of


class Pirl(Objective):
    """The contrast of section 3.1 of the paper, with its two heads.

    Simplified: the negatives are the images of the batch (no memory bank), and the tiles are encoded as one image
    rather than one by one, so that a jigsaw costs one view.
    """

    name = "pirl"
    paradigm = "contrastive"
    kind = "instance-contrastive"
    method = "PIRL style contrast with a jigsaw"
    citation = "Misra and van der Maaten 2020, arXiv 1912.01991"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        hidden, out = recipe.heads.hidden, recipe.heads.out
        self.project = SimCLRProjectionHead(backbone.dim, hidden, out)
        self.project_jigsaw = SimCLRProjectionHead(backbone.dim, hidden, out)
        self.contrast = NTXentLoss(temperature=0.2)

    def losses(self, batch: Batch):
        whole, other = two_views(batch.images, self.recipe)
        shuffled, _ = jigsaw(other, tiles_of(self.backbone.side))
        first, second = both(self.backbone, whole, shuffled)
        return {"contrast": self.contrast(self.project(first), self.project_jigsaw(second))}


OBJECTIVE = Pirl
