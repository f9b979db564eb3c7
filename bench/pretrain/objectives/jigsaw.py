"""Jigsaw: the tiles of an image change places; each must be sent back to where it came from."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.pretrain.augment import crop, distort
from bench.pretrain.objective import Batch, Objective


class Jigsaw(Objective):
    """Noroozi and Favaro's task in the form of Jigsaw-ViT (arXiv 2207.11971, eq. 3): one class a place, tile by tile.

    Simplified: the shuffled image is encoded as a whole, without gaps between tiles.
    """

    name = "jigsaw"
    paradigm = "predictive"
    kind = "spatial-prediction"
    method = "Jigsaw puzzles"
    citation = "Noroozi and Favaro 2016, arXiv 1603.09246"
    views = 1

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.tiles = tiles_of(backbone.side)
        self.classify = nn.Linear(backbone.dim, self.tiles**2)

    def losses(self, batch: Batch):
        images, places = jigsaw(distort(crop(batch.images, self.recipe)), self.tiles)
        each = self.backbone.side // self.tiles
        grid = self.backbone.tokens(images).unflatten(1, (self.tiles, each, self.tiles, each))
        logits = self.classify(grid.mean((2, 4)).flatten(0, 2))
        return {"jigsaw": F.cross_entropy(logits, places.flatten())}


def tiles_of(side: int) -> int:
    """Tiles along one side of an image of `side` tokens: 3 as in the paper where that divides it, else 4, 2 or all."""
    return next(k for k in (3, 4, 2, side) if side % k == 0)


def jigsaw(images: Tensor, tiles: int) -> tuple[Tensor, Tensor]:
    """Images (n, c, s, s) with tiles x tiles squares in random order, and where each came from, int64 (n, tiles^2).

    Places are row-major; `tiles` divides s.
    """
    n, c, size, _ = images.shape
    cells = images.view(n, c, tiles, size // tiles, tiles, size // tiles).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    origin = torch.rand(n, tiles**2, device=images.device).argsort(1)
    moved = cells.gather(1, origin[..., None, None, None].expand_as(cells)).unflatten(1, (tiles, tiles))
    return moved.permute(0, 3, 1, 4, 2, 5).reshape(n, c, size, size), origin


OBJECTIVE = Jigsaw
