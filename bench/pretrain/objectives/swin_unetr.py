"""The pretext of Swin UNETR in 2D: rotation, contrast and in-painting of cut-out views, summed with equal weight."""

import torch
import torch.nn.functional as F
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import nn

from bench.pretrain.augment import two_views
from bench.pretrain.backbone import patches_of
from bench.pretrain.decoder import pixel_decoder
from bench.pretrain.objective import Batch, Objective
from bench.pretrain.objectives.denoising import in_paint
from bench.pretrain.objectives.rotation import turned


class SwinUnetr(Objective):
    name = "swin-unetr"
    paradigm = "hybrid"
    kind = "contrastive+masked-modelling"
    method = "Swin UNETR pretext (rotation, contrast, in-painting)"
    citation = "Tang et al. 2022, arXiv 2111.14791"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.project = SimCLRProjectionHead(backbone.dim, recipe.heads.hidden, recipe.heads.out)
        self.classify = nn.Linear(backbone.dim, 4)
        self.decode = pixel_decoder(backbone)
        self.contrast = NTXentLoss(temperature=0.5)

    def losses(self, batch: Batch):
        whole, turns = turned(torch.cat(two_views(batch.images, self.recipe)))
        tokens = self.backbone.tokens(in_paint(whole))
        vectors = tokens.mean(1)
        return {
            "rotation": F.cross_entropy(self.classify(vectors), turns),
            "contrast": self.contrast(*self.project(vectors).chunk(2)),
            "in-paint": F.l1_loss(self.decode(tokens), patches_of(whole, self.backbone.patch)),
        }


OBJECTIVE = SwinUnetr
