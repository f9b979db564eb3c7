"""Decoders: a linear one of pixels, and a shallow transformer that fills in hidden tokens (MAE, I-JEPA's predictor)."""

import torch
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from bench.pretrain.backbone import Backbone
from bench.pretrain.recipe import Heads


def pixel_decoder(backbone: Backbone) -> nn.Linear:
    """From a token (n, t, dim) to the pixels of its patch, (n, t, 3 * patch^2)."""
    return nn.Linear(backbone.dim, 3 * backbone.patch**2)


class TokenDecoder(nn.Module):
    """Visible tokens and their places in, a prediction for every place out."""

    places: Tensor

    def __init__(self, backbone: Backbone, heads: Heads, out: int) -> None:
        super().__init__()
        width = heads.decoder_dim
        self.embed = nn.Linear(backbone.dim, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        places = build_sincos2d_pos_embed([backbone.side, backbone.side], width, temperature=100.0)
        self.register_buffer("places", places, persistent=False)
        self.blocks = nn.Sequential(*(Block(width, num_heads=4, qkv_bias=True) for _ in range(heads.decoder_depth)))
        self.norm = nn.LayerNorm(width)
        self.predict = nn.Linear(width, out)

    def forward(self, tokens: Tensor, keep: Tensor) -> Tensor:
        """tokens: (n, k, dim) at places `keep`, int64 (n, k). Returns (n, t, out)."""
        known = self.embed(tokens)
        full = self.mask_token.to(known.dtype).expand(len(known), len(self.places), -1)
        full = full.scatter(1, keep[..., None].expand(-1, -1, known.shape[-1]), known)
        return self.predict(self.norm(self.blocks(full + self.places)))
