"""Anomaly contrast, a pathology-aware objective of this project: small local findings must survive the invariance.

Ordinary view pairs teach an encoder to ignore whatever a crop may lose, small lesions first. Here
1. a small anomaly (a soft ellipse in which tissue of another image shines through, 0.3-4 % of the area) is implanted;
2. both crops are drawn so that they keep it;
3. besides NT-Xent between whole views, the anomaly's token of one view must find its place in the other view, among
   all places of that same image: the surrounding tissue is the negative.
Views, crops, colours and the global loss are SimCLR's, so SimCLR is its control.
"""

import math

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from bench.pretrain.augment import crop, distort, uniform
from bench.pretrain.losses import soft_location
from bench.pretrain.objective import Batch, Objective

AREA = (0.003, 0.04)
MAX_LONGER = 1.5
"""Greatest ratio of an ellipse's half axes."""


class AnomalyContrast(Objective):
    name = "anomaly-contrast"
    paradigm = "contrastive"
    kind = "pathology-aware"
    method = "Anomaly contrast"
    citation = "this project; local term after DenseCL (arXiv 2011.09157), implants after CutPaste (arXiv 2104.04015)"
    control = "simclr"

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        hidden, out = recipe.heads.hidden, recipe.heads.out
        self.project = SimCLRProjectionHead(backbone.dim, hidden, out)
        self.project_token = nn.Sequential(nn.Linear(backbone.dim, hidden), nn.GELU(), nn.Linear(hidden, out))
        self.contrast = NTXentLoss(temperature=0.2)

    def losses(self, batch: Batch):
        images, coverage, centre = implanted(batch.images)
        layers = torch.cat([images, coverage], 1)
        views = torch.cat([crop(layers, self.recipe, centre), crop(layers, self.recipe, centre)])
        place = places_of(views[:, 3:], self.backbone.side)
        tokens = self.backbone.tokens(distort(views[:, :3]))
        local = self.project_token(tokens)
        found = (place[..., None] * local).sum(1)
        swapped = found.roll(len(images), 0)
        return {
            "contrast": self.contrast(*self.project(tokens.mean(1)).chunk(2)),
            "locate": 0.5 * soft_location(swapped, local, place, temperature=0.2),
        }


def implanted(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Images (n, 3, s, s) with one anomaly each, its coverage (n, 1, s, s) in [0, 1] and its centre (n, 2) as (x, y).

    The inside is a blend of the image with a brighter or darker copy of the next image of the batch.
    """
    n, device = len(images), images.device
    coverage, centre = ellipses(n, images.shape[-1], device=device)
    shift = uniform(n, 0.1, 0.35, device=device) * torch.where(torch.rand(n, device=device) < 0.5, -1.0, 1.0)
    tissue = (0.5 * (images + images.roll(1, 0)) + shift.view(n, 1, 1, 1)).clamp(0, 1)
    strength = uniform(n, 0.4, 1.0, device=device).view(n, 1, 1, 1)
    return images + coverage * strength * (tissue - images), coverage, centre


def ellipses(n: int, size: int, *, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Soft-edged ellipses: coverage (n, 1, size, size) in [0, 1], and centres (n, 2) as (x, y) in [0.1, 0.9]."""
    centre = uniform(2 * n, 0.1, 0.9, device=device).view(n, 2)
    area = uniform(n, math.log(AREA[0]), math.log(AREA[1]), device=device).exp()
    longer = uniform(n, 1.0, MAX_LONGER, device=device)
    angle = uniform(n, 0.0, math.pi, device=device)
    radius = (area / math.pi).sqrt()
    at = (torch.arange(size, device=device) + 0.5) / size
    dx, dy = at.view(1, 1, -1) - centre[:, 0].view(n, 1, 1), at.view(1, -1, 1) - centre[:, 1].view(n, 1, 1)
    cos, sin = angle.cos().view(n, 1, 1), angle.sin().view(n, 1, 1)
    a, b = (radius * longer.sqrt()).view(n, 1, 1), (radius / longer.sqrt()).view(n, 1, 1)
    distance = (((dx * cos + dy * sin) / a) ** 2 + ((dy * cos - dx * sin) / b) ** 2).sqrt()
    # The edge falls from 1 to 0 across about two pixels.
    return ((1 - distance) * b * size / 2 + 0.5).clamp(0, 1)[:, None], centre


def places_of(coverage: Tensor, side: int) -> Tensor:
    """Share of the anomaly in each token, (n, side * side), each row summing to 1."""
    share = adaptive_avg_pool2d(coverage, side).flatten(1)
    return (share + 1e-8) / (share + 1e-8).sum(1, keepdim=True)


OBJECTIVE = AnomalyContrast
