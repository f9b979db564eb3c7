"""Signs of learning and of collapse, measured on held-out images of the corpus."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.pretrain.backbone import Backbone

NEIGHBOURS = 20
TEMPERATURE = 0.07
COLLAPSED_STD = 0.01
COLLAPSED_RANK = 2.0


@torch.no_grad()
def vectors_of(backbone: Backbone, images: Tensor, batch: int = 256) -> Tensor:
    """Image vectors, float32 (n, dim) on the CPU, of float images (n, 3, h, w) in [0, 1], resized to the backbone's."""
    was = backbone.training
    backbone.eval()
    small = F.interpolate(images, (backbone.size, backbone.size), mode="bilinear", antialias=True)
    out = torch.cat([backbone(part).float().cpu() for part in small.split(batch)])
    backbone.train(was)
    return out


def rankme(vectors: Tensor) -> float:
    """Effective rank: exp of the entropy of the normalised singular values (RankMe, arXiv 2210.02885, eq. 3).

    vectors: (n, d), not centred, as in the paper. Between 1 and min(n, d).
    """
    sigma = torch.linalg.svdvals(vectors.double())
    p = sigma / sigma.sum().clamp(min=1e-12) + 1e-7
    return float((-(p * p.log()).sum()).exp())


def feature_std(vectors: Tensor) -> float:
    """Mean over dimensions of the standard deviation of L2-normalised vectors, times sqrt(d).

    1 for directions spread evenly over the sphere, 0 when all vectors are one (SimSiam, arXiv 2011.10566, figure 2).
    """
    unit = F.normalize(vectors.double(), dim=1)
    return float(unit.std(0, unbiased=False).mean() * unit.shape[1] ** 0.5)


def centred_rank(vectors: Tensor) -> float:
    """RankMe of the centred vectors: a common offset, large in untrained transformers, does not hide their spread."""
    return rankme(vectors - vectors.mean(0))


def knn_accuracy(vectors: Tensor, labels: np.ndarray) -> float:
    """Balanced accuracy in [0, 1] of leave-one-out weighted kNN (centred, L2, cosine, k = 20, T = 0.07).

    vectors: (n, d). labels: int64 (n,), -1 is unknown and left out.
    """
    known = torch.from_numpy(np.flatnonzero(labels >= 0))
    truth = torch.from_numpy(labels)[known]
    unit = F.normalize(vectors[known].double() - vectors[known].double().mean(0), dim=1)
    similarity = unit @ unit.T
    similarity.fill_diagonal_(-torch.inf)
    best, index = similarity.topk(min(NEIGHBOURS, len(unit) - 1), dim=1)
    votes = torch.zeros(len(unit), int(truth.max()) + 1, dtype=torch.float64)
    votes.scatter_add_(1, truth[index], ((best - best[:, :1]) / TEMPERATURE).exp())
    right = votes.argmax(1) == truth
    return float(np.mean([right[truth == c].double().mean().item() for c in truth.unique()]))


def diagnose(backbone: Backbone, images: Tensor, labels: Mapping[str, np.ndarray]) -> dict[str, float]:
    """All diagnostics of held-out `images`; one `knn/<label>` for each label and their mean as `knn`."""
    vectors = vectors_of(backbone, images)
    if not torch.isfinite(vectors).all():
        return {"finite": 0.0}
    found = {"rankme": rankme(vectors), "centred_rank": centred_rank(vectors), "feature_std": feature_std(vectors)}
    accuracies = {f"knn/{name}": knn_accuracy(vectors, values) for name, values in labels.items()}
    mean = {"knn": float(np.mean(list(accuracies.values())))} if accuracies else {}
    return {**found, **mean, **accuracies}


def collapsed(diagnostics: Mapping[str, float]) -> bool:
    """Whether the features are not finite, nearly one vector, or spread along hardly more than one direction."""
    if diagnostics.get("finite") == 0.0:
        return True
    return diagnostics["feature_std"] < COLLAPSED_STD or diagnostics["centred_rank"] < COLLAPSED_RANK
