"""In-painting, the pretext of context encoders: fill in rectangles that were cut out."""

import torch

from bench.pretrain.augment import crop, rectangles
from bench.pretrain.backbone import MEAN
from bench.pretrain.decoder import pixel_decoder
from bench.pretrain.losses import restoration_error
from bench.pretrain.objective import Batch, Objective


class Inpainting(Objective):
    """Equation 1 of the paper: squared error of the pixels that were cut out.

    Simplified: two rectangles an image, a linear decoder, and no adversarial loss.
    """

    name = "inpainting"
    paradigm = "generative"
    kind = "inpainting"
    method = "Context encoder in-painting"
    citation = "Pathak et al. 2016, arXiv 1604.07379"
    views = 1

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.decode = pixel_decoder(backbone)

    def losses(self, batch: Batch):
        images = crop(batch.images, self.recipe)
        first, second = (rectangles(len(images), self.recipe.size, 0.3, 0.5, device=images.device) for _ in range(2))
        hidden = first | second
        filled = self.decode(self.backbone.tokens(torch.where(hidden[:, None], MEAN, images)))
        return {"fill": restoration_error(filled, images, self.backbone.patch, hidden)}


OBJECTIVE = Inpainting
