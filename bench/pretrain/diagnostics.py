"""Signs of learning and of collapse, measured on held-out images of the corpus."""

from collections.abc import Callable, Mapping

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
def vectors_of(backbone: Backbone, images: Tensor) -> Tensor:
    """Image vectors, float32 (n, dim) on the CPU, of whole float images (n, 3, h, w) in [0, 1]."""
    was = backbone.training
    backbone.eval()
    out = torch.cat([backbone(part).float().cpu() for part in images.split(128)])
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
    truth = torch.from_numpy(np.unique(labels[labels >= 0], return_inverse=True)[1])
    unit = F.normalize(vectors[known].double() - vectors[known].double().mean(0), dim=1)
    similarity = unit @ unit.T
    similarity.fill_diagonal_(-torch.inf)
    best, index = similarity.topk(min(NEIGHBOURS, len(unit) - 1), dim=1)
    votes = torch.zeros(len(unit), int(truth.max()) + 1, dtype=torch.float64)
    votes.scatter_add_(1, truth[index], ((best - best[:, :1]) / TEMPERATURE).exp())
    right = votes.argmax(1) == truth
    return float(np.mean([right[truth == c].double().mean().item() for c in truth.unique()]))


def ridge_accuracy(vectors: Tensor, labels: np.ndarray) -> float:
    """Balanced accuracy in [0, 1] of a leave-one-out ridge classifier: one-hot targets, z-scored features.

    The penalty is n / 100. vectors: (n, d). labels: int64 (n,), -1 is left out. The prediction is exact: with the hat
    matrix H it is (H y - diag(H) y) / (1 - diag(H)) (Hastie et al., Elements of Statistical Learning, eq. 7.64).
    """
    known = torch.from_numpy(np.flatnonzero(labels >= 0))
    truth = torch.from_numpy(np.unique(labels[labels >= 0], return_inverse=True)[1])
    x = vectors[known].double()
    x = (x - x.mean(0)) / x.std(0).clamp(min=1e-9)
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    penalty = len(x) / 100 * torch.eye(x.shape[1], dtype=x.dtype)
    penalty[-1, -1] = 0
    hat = x @ torch.linalg.solve(x.T @ x + penalty, x.T)
    y, own = F.one_hot(truth).double(), hat.diagonal()[:, None]
    right = ((hat @ y - own * y) / (1 - own)).argmax(1) == truth
    return float(np.mean([right[truth == c].double().mean().item() for c in truth.unique()]))


def diagnose(backbone: Backbone, images: Tensor, labels: Mapping[str, np.ndarray]) -> dict[str, float]:
    """All diagnostics of held-out `images`.

    labels: name -> int64 (n,); each adds `knn/<name>` and `linear/<name>`, and there is the mean of each probe. A label
    called "modality" is no target but divides the images: each probe works within one modality, and the mean counts.
    """
    vectors = vectors_of(backbone, images)
    if not torch.isfinite(vectors).all():
        return {"finite": 0.0}
    found = {"rankme": rankme(vectors), "centred_rank": centred_rank(vectors), "feature_std": feature_std(vectors)}
    for name, probe in (("knn", knn_accuracy), ("linear", ridge_accuracy)):
        accuracies = {f"{name}/{label}": value for label, value in _probed(probe, vectors, labels).items()}
        found |= {name: float(np.mean(list(accuracies.values())))} | accuracies if accuracies else {}
    return found


Probe = Callable[[Tensor, np.ndarray], float]


def _probed(probe: Probe, vectors: Tensor, labels: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Accuracy of a probe for each label that has two classes somewhere, averaged over modalities."""
    modality = labels.get("modality", np.zeros(len(vectors), int))
    groups = [np.flatnonzero(modality == m) for m in np.unique(modality)]
    found: dict[str, float] = {}
    for name in (n for n in labels if n != "modality"):
        able = [rows for rows in groups if len({*labels[name][rows]} - {-1}) > 1]
        if able:
            found[name] = float(np.mean([probe(vectors[torch.from_numpy(rows)], labels[name][rows]) for rows in able]))
    return found


def collapsed(diagnostics: Mapping[str, float]) -> bool:
    """Whether the features are not finite, nearly one vector, or spread along hardly more than one direction."""
    if diagnostics.get("finite") == 0.0:
        return True
    return diagnostics["feature_std"] < COLLAPSED_STD or diagnostics["centred_rank"] < COLLAPSED_RANK
