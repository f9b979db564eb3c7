"""BEiT: hidden patches are predicted as classes of a fixed vocabulary of visual words."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.pretrain.augment import crop
from bench.pretrain.backbone import MEAN, STD
from bench.pretrain.masks import random_mask
from bench.pretrain.objective import Batch, Objective, frozen


class Beit(Objective):
    """Equation 1 of the paper. Simplified: hidden patches are drawn one by one, and the words are not those of a
    trained dVAE but of a fixed tokenizer (`Words`), for which no images beside the corpus are needed.
    """

    name = "beit"
    paradigm = "generative"
    kind = "masked-image-modelling"
    method = "BEiT style visual words"
    citation = "Bao et al. 2022, arXiv 2106.08254; words after BEST-RQ, arXiv 2202.01855"
    views = 1
    backbones = ("vit",)

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.words = Words(backbone.network.patch_embed, backbone.dim, recipe.heads.prototypes)
        self.classify = nn.Linear(backbone.dim, recipe.heads.prototypes)

    def losses(self, batch: Batch):
        images = crop(batch.images, self.recipe)
        mask = random_mask(len(images), self.backbone.side**2, 0.4, device=images.device)
        tokens = self.backbone.tokens(images, mask)
        return {"words": F.cross_entropy(self.classify(tokens[mask]), self.words(images)[mask])}


class Words(nn.Module):
    """The word of a patch: which of `count` random directions its whitened pixels are closest to (BEST-RQ).

    embed: the patch projection of a backbone at its start, a whitening of the corpus's patches; it is copied.
    """

    def __init__(self, embed: nn.Module, dim: int, count: int) -> None:
        super().__init__()
        self.embed = frozen(deepcopy(embed))
        self.codes: Tensor
        self.register_buffer("codes", F.normalize(torch.randn(count, dim), dim=1))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Words, int64 (n, t), of images (n, 3, s, s) in [0, 1]."""
        whitened = F.normalize(self.embed((images - MEAN) / STD).flatten(1, 2), dim=2)
        return (whitened @ self.codes.T).argmax(2)


OBJECTIVE = Beit
