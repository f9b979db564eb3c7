"""CAN: two noisy, half-hidden views are contrasted, their hidden patches reconstructed, and their noise predicted."""

import torch
import torch.nn.functional as F
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead

from bench.pretrain.augment import two_views
from bench.pretrain.backbone import VitBackbone, patches_of
from bench.pretrain.decoder import TokenDecoder
from bench.pretrain.losses import masked_patch_error
from bench.pretrain.masks import random_mask, visible
from bench.pretrain.objective import Batch, Objective

NOISE = 0.05
"""Greatest standard deviation of the noise, for pixels in [0, 1]."""


class Can(Objective):
    """Section 3 of the paper with its weights. Simplified: the decoder is not told how strong the noise is."""

    name = "can"
    paradigm = "hybrid"
    kind = "contrastive+masked-modelling"
    method = "CAN (contrast, masked autoencoding, noise)"
    citation = "Mishra et al. 2022, arXiv 2210.16870"
    backbones = ("vit",)
    backbone: VitBackbone

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.project = SimCLRProjectionHead(backbone.dim, recipe.heads.hidden, recipe.heads.out)
        self.pixels = 3 * backbone.patch**2
        self.decode = TokenDecoder(backbone, recipe.heads, 2 * self.pixels)
        self.contrast = NTXentLoss(temperature=0.1)

    def losses(self, batch: Batch):
        images = torch.cat(two_views(batch.images, self.recipe))
        strength = NOISE * torch.rand(len(images), 1, 1, 1, device=images.device)
        noise = torch.randn_like(images)
        mask = random_mask(len(images), self.backbone.side**2, 0.5, device=images.device)
        keep = visible(mask)
        tokens = self.backbone.visible_tokens(images + strength * noise, keep)
        pixels, found = self.decode(tokens, keep).split(self.pixels, dim=2)
        patch = self.backbone.patch
        return {
            "contrast": 0.03 * self.contrast(*self.project(tokens.mean(1)).chunk(2)),
            "reconstruct": 0.67 * masked_patch_error(pixels, images, mask, patch),
            "noise": 0.3 * F.mse_loss(found[~mask], patches_of(noise, patch)[~mask]),
        }


OBJECTIVE = Can
