"""Denoising diffusion: see an image under normal noise of a random level, and predict it clean."""

import math

import torch
from torch import Tensor

from bench.pretrain.backbone import MEAN, STD
from bench.pretrain.restoration import Restoration


class Diffusion(Restoration):
    """The forward process of DDPM (arXiv 2006.11239, eq. 4) with a cosine schedule; the clean image is the target.

    Simplified from l-DAE: noise on the pixels, a linear decoder, and the network is not told the level.
    """

    name = "diffusion"
    kind = "diffusion"
    method = "Denoising diffusion autoencoder"
    citation = "Chen et al. 2024, arXiv 2401.14404"

    def spoil(self, images: Tensor) -> Tensor:
        return noised(images, torch.rand(len(images), 1, 1, 1, device=images.device))


def noised(images: Tensor, level: Tensor) -> Tensor:
    """Images (n, c, s, s) with noise of a level in [0, 1] each, (n, 1, 1, 1): 0 is clean, 1 is noise alone.

    In units of the backbone's input the variances of image and noise add to 1: cos^2 and sin^2 of level x pi / 2.
    """
    angle = level * math.pi / 2
    return MEAN + angle.cos() * (images - MEAN) + angle.sin() * STD * torch.randn_like(images)


OBJECTIVE = Diffusion
