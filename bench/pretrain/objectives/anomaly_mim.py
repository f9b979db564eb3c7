"""Anomaly modelling, a pathology-aware objective of this project: SimMIM that also outlines what does not belong.

Masked modelling smooths over what is rare, small lesions first. Here
1. a small anomaly is implanted into each image, as in `anomaly_contrast`, and the crop is drawn so that it keeps it;
2. besides SimMIM's reconstruction, the tokens that are not hidden must say which of their pixels the anomaly covers.
Masks and reconstruction are SimMIM's, so SimMIM is its control.
"""

import torch
import torch.nn.functional as F
from torch import nn

from bench.pretrain.augment import crop
from bench.pretrain.backbone import patches_of
from bench.pretrain.decoder import pixel_decoder
from bench.pretrain.losses import masked_patch_error
from bench.pretrain.masks import random_mask
from bench.pretrain.objective import Batch, Objective
from bench.pretrain.objectives.anomaly_contrast import implanted


class AnomalyMim(Objective):
    """SimMIM (arXiv 2111.09886) plus the cross-entropy of foreign patch interpolation, with coverage as its target."""

    name = "anomaly-mim"
    paradigm = "generative"
    kind = "pathology-aware"
    method = "Anomaly modelling"
    citation = "this project; outline after foreign patch interpolation (Tan et al. 2020, arXiv 2011.04197)"
    views = 1
    control = "simmim"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.decode = pixel_decoder(backbone)
        self.outline = nn.Linear(backbone.dim, backbone.patch**2)

    def losses(self, batch: Batch):
        images, coverage, centre = implanted(batch.images)
        layers = crop(torch.cat([images, coverage], 1), self.recipe, centre)
        images, target = layers[:, :3], patches_of(layers[:, 3:], self.backbone.patch).clamp(0, 1)
        mask = random_mask(len(images), self.backbone.side**2, 0.6, device=images.device)
        tokens = self.backbone.tokens(images, mask)
        return {
            "reconstruct": masked_patch_error(self.decode(tokens), images, mask, self.backbone.patch, power=1),
            "outline": F.binary_cross_entropy_with_logits(self.outline(tokens[~mask]), target[~mask]),
        }


OBJECTIVE = AnomalyMim
