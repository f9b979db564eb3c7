"""I-JEPA style: from the visible part of an image, predict a slowly moving teacher's tokens of hidden blocks.

All hidden blocks of an image are predicted in one pass of the predictor, where the paper makes one pass a block.
"""

from copy import deepcopy

import torch
import torch.nn.functional as F

from bench.pretrain.augment import crop
from bench.pretrain.backbone import VitBackbone
from bench.pretrain.decoder import TokenDecoder
from bench.pretrain.masks import blocks, visible
from bench.pretrain.objective import Batch, Objective, frozen


class IJepa(Objective):
    name = "i-jepa"
    paradigm = "predictive"
    kind = "latent-prediction"
    method = "I-JEPA style latent prediction"
    citation = "Assran et al. 2023, arXiv 2301.08243"
    views = 1
    teacher_views = 1
    teachers = {"teacher": "backbone"}
    backbones = ("vit",)
    backbone: VitBackbone

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.teacher = frozen(deepcopy(backbone))
        self.predict = TokenDecoder(backbone, recipe.heads, backbone.dim)

    def losses(self, batch: Batch):
        images = crop(batch.images, self.recipe)
        with torch.no_grad():
            target = self.teacher.tokens(images)
            target = F.layer_norm(target, target.shape[-1:])
        hidden = blocks(len(images), self.backbone.side, 4, 0.15, 0.2, device=images.device)
        keep = visible(hidden)
        predicted = self.predict(self.backbone.visible_tokens(images, keep), keep)
        return {"predict": F.smooth_l1_loss(predicted[hidden], target[hidden])}


OBJECTIVE = IJepa
