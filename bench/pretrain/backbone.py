"""The networks of the controlled track. Both give the same grid of tokens, so objectives need not know which it is."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import timm
import torch
import torch.nn.functional as F
from timm.layers import build_sincos2d_pos_embed, resample_abs_pos_embed
from torch import Tensor, nn

from bench.pretrain.recipe import Recipe

MEAN, STD = 0.5, 0.25
"""Normalisation of every channel, for values in [0, 1]."""
PLACE_SCALE = 0.3
"""Scale of the position embeddings at the start, so that they do not drown the patches."""
WHITENING_FLOOR = 0.02
"""Added to the variances (in units of the normalised input) before whitening, so that noise is not blown up."""


class Backbone(nn.Module, ABC):
    """Images in, a square grid of tokens out. `network` is the timm model that ships; the rest is thrown away.

    dim: width of a token. side: tokens along one side. size: image side in pixels.
    """

    kind: ClassVar[str]
    network: Any
    model: str
    """timm's name of the architecture; with `model_args` it rebuilds `network`."""

    def __init__(self, network: Any, model_args: dict[str, Any], dim: int, size: int, patch: int) -> None:
        super().__init__()
        self.network, self.model_args = network, model_args
        self.dim, self.size, self.patch, self.side = dim, size, patch, size // patch

    @abstractmethod
    def tokens(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (n, side * side, dim), row-major, of `images`: float (n, 3, size, size) in [0, 1].

        Other sizes that are multiples of the patch are taken too, for evaluation.

        mask: bool (n, side * side); True hides the patch behind a learnt token (or colour).
        """

    def start_from(self, images: Tensor) -> None:
        """Adapt the starting weights to images, float (n, 3, h, w) in [0, 1], of the corpus; nothing by default."""

    def forward(self, images: Tensor) -> Tensor:
        """Image vectors (n, dim): the mean of the tokens."""
        return self.tokens(images).mean(1)


class VitBackbone(Backbone):
    """Transformer that starts where a short schedule can use it.

    Position embeddings start as two-dimensional sines and cosines, matrices with variance 1 / fan-in (LeCun 1998): the
    usual standard deviation of 0.02 leaves a narrow network all but linear, blind to texture, for hundreds of steps.
    """

    kind = "vit"
    model = "vit_tiny_patch16_224"

    def __init__(self, recipe: Recipe) -> None:
        vit = recipe.vit
        args: dict[str, Any] = {
            "img_size": recipe.size, "patch_size": vit.patch, "embed_dim": vit.dim, "depth": vit.depth,
            "num_heads": vit.heads, "class_token": False, "global_pool": "",
        }  # fmt: skip
        network: Any = timm.create_model(self.model, num_classes=0, dynamic_img_size=True, **args)
        super().__init__(network, args, vit.dim, recipe.size, vit.patch)
        with torch.no_grad():
            places = build_sincos2d_pos_embed([self.side, self.side], vit.dim, temperature=100.0)
            network.pos_embed.copy_(PLACE_SCALE * places)
            for weight in (p for p in network.blocks.parameters() if p.ndim == 2):
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
        self.mask_token = nn.Parameter(0.02 * torch.randn(vit.dim))

    @torch.no_grad()
    def start_from(self, images: Tensor) -> None:
        """Start the patch projection as a PCA whitening of the images' patches.

        Patches of medical images differ mostly in brightness; a random projection shows hardly anything else, and a
        short schedule never gets to textures. Whitening the first layer is common in short schedules
        (Jordan 2024, arXiv 2404.00498, section 3.2).
        """
        patches = patches_of((images - MEAN) / STD, self.patch).flatten(0, 1).double()
        mean = patches.mean(0)
        values, vectors = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
        top = (vectors / (values.clamp(min=0) + WHITENING_FLOOR).sqrt()).flip(1)[:, : self.dim].T
        proj = self.network.patch_embed.proj
        proj.weight.zero_().view(self.dim, -1)[: len(top)] = top.float()
        proj.bias.zero_()[: len(top)] = -(top @ mean).float()

    def tokens(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self._patches(images)
        if mask is not None:
            x = torch.where(mask[..., None], self.mask_token.to(x.dtype), x)
        return self._blocks(x + self._places(images.shape[-1] // self.patch))

    def visible_tokens(self, images: Tensor, keep: Tensor) -> Tensor:
        """Tokens (n, k, dim) when only the patches `keep`, int64 (n, k), are shown: the others cost nothing."""
        x = self._patches(images) + self.network.pos_embed
        return self._blocks(x.gather(1, keep[..., None].expand(-1, -1, self.dim)))

    def _patches(self, images: Tensor) -> Tensor:
        return self.network.patch_embed((images - MEAN) / STD).flatten(1, 2)

    def _places(self, side: int) -> Tensor:
        """Position embedding of a side x side grid, resampled when it is not the training grid."""
        return resample_abs_pos_embed(self.network.pos_embed, [side, side], num_prefix_tokens=0)

    def _blocks(self, x: Tensor) -> Tensor:
        return self.network.norm(self.network.blocks(x))


class CnnBackbone(Backbone):
    """Small residual network whose last map has the transformer's grid (the later strides become dilation)."""

    kind = "cnn"

    def __init__(self, recipe: Recipe) -> None:
        widths, patch = recipe.cnn.widths, recipe.vit.patch
        args: dict[str, Any] = {"channels": widths, "output_stride": patch}
        network = timm.create_model(recipe.cnn.model, num_classes=0, **args)
        super().__init__(network, args, widths[-1], recipe.size, patch)
        self.model = recipe.cnn.model
        self.mask_colour = nn.Parameter(torch.full((3, 1, 1), MEAN))

    def tokens(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            images = torch.where(pixels_of(mask, self.patch)[:, None], self.mask_colour.to(images.dtype), images)
        return self.network.forward_features((images - MEAN) / STD).flatten(2).transpose(1, 2)


BACKBONES: dict[str, type[VitBackbone] | type[CnnBackbone]] = {cls.kind: cls for cls in (VitBackbone, CnnBackbone)}


def pixels_of(mask: Tensor, patch: int) -> Tensor:
    """A token mask, bool (n, side * side), as a pixel mask, bool (n, size, size)."""
    side = int(mask.shape[1] ** 0.5)
    grid = mask.view(-1, side, side)
    return grid.repeat_interleave(patch, 1).repeat_interleave(patch, 2)


def patches_of(images: Tensor, patch: int) -> Tensor:
    """Pixels of each patch: (n, c, s, s) -> (n, (s / patch)^2, c * patch^2), row-major like the tokens."""
    return F.unfold(images, patch, stride=patch).transpose(1, 2)
