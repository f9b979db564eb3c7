"""Masked autoencoder: see a quarter of the patches, reconstruct the others' standardised pixels."""

from bench.pretrain.augment import crop
from bench.pretrain.backbone import VitBackbone
from bench.pretrain.decoder import TokenDecoder
from bench.pretrain.losses import masked_patch_error
from bench.pretrain.masks import random_mask, visible
from bench.pretrain.objective import Batch, Objective


class MaskedAutoencoder(Objective):
    name = "mae"
    paradigm = "generative"
    kind = "masked-image-modelling"
    method = "MAE"
    citation = "He et al. 2022, arXiv 2111.06377"
    views = 1
    backbones = ("vit",)
    backbone: VitBackbone

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.decode = TokenDecoder(backbone, recipe.heads, 3 * backbone.patch**2)

    def losses(self, batch: Batch):
        images = crop(batch.images, self.recipe)
        mask = random_mask(len(images), self.backbone.side**2, 0.75, device=images.device)
        keep = visible(mask)
        predicted = self.decode(self.backbone.visible_tokens(images, keep), keep)
        return {"reconstruct": masked_patch_error(predicted, images, mask, self.backbone.patch)}


OBJECTIVE = MaskedAutoencoder
