"""Contrastive learning and masked modelling in one pass: a half-hidden view is reconstructed and must match the other.

After CMAE (arXiv 2207.13532), with a linear decoder and NT-Xent in place of its decoders and momentum branch.
"""

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.decoder import pixel_decoder
from bench.pretrain.losses import masked_patch_error
from bench.pretrain.masks import random_mask
from bench.pretrain.objective import Batch, Objective


class ContrastiveMim(Objective):
    name = "contrastive-mim"
    paradigm = "hybrid"
    kind = "contrastive+masked-modelling"
    method = "NT-Xent + masked image modelling"
    citation = "after Huang et al. 2023, arXiv 2207.13532"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.project = SimCLRProjectionHead(backbone.dim, recipe.heads.hidden, recipe.heads.out)
        self.decode = pixel_decoder(backbone)
        self.contrast = NTXentLoss(temperature=0.2)

    def losses(self, batch: Batch):
        first, second = two_views(batch.images, self.recipe)
        hidden = random_mask(len(first), self.backbone.side**2, 0.5, device=first.device)
        mask = torch.cat([hidden, torch.zeros_like(hidden)])
        tokens = self.backbone.tokens(torch.cat([first, second]), mask)
        one, two = tokens.mean(1).chunk(2)
        predicted = self.decode(tokens[: len(first)])
        return {
            "contrast": self.contrast(self.project(one), self.project(two)),
            "reconstruct": masked_patch_error(predicted, first, hidden, self.backbone.patch),
        }


OBJECTIVE = ContrastiveMim
