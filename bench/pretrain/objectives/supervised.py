"""Supervised reference: predict the corpus's own attributes, from one augmented view."""

import torch.nn.functional as F
from torch import nn

from bench.errors import DataError
from bench.pretrain.augment import crop, distort
from bench.pretrain.objective import Batch, Objective


class Supervised(Objective):
    name = "supervised"
    paradigm = "reference"
    kind = "supervised"
    method = "Supervised on the attributes of the pretraining corpus"
    citation = ""
    views = 1
    supervised = True

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        if not classes:
            raise DataError("the corpus has no labels, which 'supervised' needs", fix="choose another objective")
        self.heads = nn.ModuleDict({name: nn.Linear(backbone.dim, k) for name, k in classes.items()})

    def losses(self, batch: Batch):
        vectors = self.backbone(distort(crop(batch.images, self.recipe)))
        scale = 1 / len(self.heads)
        return {name: scale * _known(head(vectors), batch.labels[name]) for name, head in self.heads.items()}


def _known(logits, labels):
    """Cross-entropy over the images whose label is known (-1 is unknown); 0 when none is."""
    total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp(min=1)


OBJECTIVE = Supervised
