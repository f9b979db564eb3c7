"""SimMIM: hidden patches enter as a mask token; a linear head regresses their pixels with an L1 loss."""

from bench.pretrain.augment import crop
from bench.pretrain.decoder import pixel_decoder
from bench.pretrain.losses import masked_patch_error
from bench.pretrain.masks import random_mask
from bench.pretrain.objective import Batch, Objective


class SimMim(Objective):
    name = "simmim"
    paradigm = "generative"
    kind = "masked-image-modelling"
    method = "SimMIM"
    citation = "Xie et al. 2022, arXiv 2111.09886"
    views = 1

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.decode = pixel_decoder(backbone)

    def losses(self, batch: Batch):
        images = crop(batch.images, self.recipe)
        mask = random_mask(len(images), self.backbone.side**2, 0.6, device=images.device)
        predicted = self.decode(self.backbone.tokens(images, mask))
        return {"reconstruct": masked_patch_error(predicted, images, mask, self.backbone.patch, power=1)}


OBJECTIVE = SimMim
