"""Variational autoencoding: a whole image is decoded from its vector, through a narrow, noisy channel."""

import torch
from torch import Tensor, nn

from bench.pretrain.augment import crop
from bench.pretrain.backbone import Backbone
from bench.pretrain.losses import gaussian_divergence, restoration_error
from bench.pretrain.objective import Batch, Objective
from bench.pretrain.recipe import Heads


class Autoencoding(Objective):
    """Equation 10 of the paper for a normal likelihood of variance 1 in units of the input, divided by the pixels."""

    name = "autoencoding"
    paradigm = "generative"
    kind = "autoencoding"
    method = "Variational autoencoder"
    citation = "Kingma and Welling 2014, arXiv 1312.6114"
    views = 1

    def __init__(self, backbone, recipe, classes):
        super().__init__(backbone, recipe, classes)
        self.encode = nn.Linear(backbone.dim, 2 * recipe.heads.out)
        self.decode = VectorDecoder(backbone, recipe.heads)

    def losses(self, batch: Batch):
        images = crop(batch.images, self.recipe)
        mean, log_variance = self.encode(self.backbone(images)).float().chunk(2, dim=1)
        code = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        restored = self.decode(code)
        divergence = gaussian_divergence(mean, log_variance).mean() / images[0].numel()
        return {"restore": restoration_error(restored, images, self.backbone.patch) / 2, "divergence": divergence}


class VectorDecoder(nn.Module):
    """A vector in, the pixels of every patch out: the vector meets a learnt embedding of each place."""

    def __init__(self, backbone: Backbone, heads: Heads) -> None:
        super().__init__()
        self.embed = nn.Linear(heads.out, heads.hidden)
        self.places = nn.Embedding(backbone.side**2, heads.hidden)
        self.predict = nn.Sequential(
            nn.LayerNorm(heads.hidden), nn.Linear(heads.hidden, heads.hidden), nn.GELU(),
            nn.Linear(heads.hidden, 3 * backbone.patch**2),
        )  # fmt: skip

    def forward(self, code: Tensor) -> Tensor:
        """code: (n, out). Returns (n, t, 3 * patch^2)."""
        return self.predict(self.embed(code)[:, None] + self.places.weight)


OBJECTIVE = Autoencoding
