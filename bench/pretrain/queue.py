"""Vectors of past batches: the queue of MoCo (arXiv 1911.05722, section 3.2), the support set of NNCLR."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Queue(nn.Module):
    """The last `length` vectors, normalised, oldest first; random directions at the start. Part of a checkpoint."""

    def __init__(self, length: int, dim: int) -> None:
        super().__init__()
        self.kept: Tensor
        self.register_buffer("kept", F.normalize(torch.randn(length, dim), dim=1))

    @torch.no_grad()
    def push(self, vectors: Tensor) -> None:
        """Add vectors (n, dim) and forget the n oldest."""
        self.kept = torch.cat([self.kept, F.normalize(vectors.float(), dim=1)])[-len(self.kept) :]

    @torch.no_grad()
    def nearest(self, vectors: Tensor) -> Tensor:
        """The most similar kept vector of each of `vectors` (n, dim), by cosine: (n, dim)."""
        return self.kept[(F.normalize(vectors.float(), dim=1) @ self.kept.T).argmax(1)]
