"""Every solver beside its peers, in one process: `python benchmarks/solvers.py [--cpu --threads 1]`.

Prints tables: the linear sweep (scikit-learn L-BFGS, SGD probe), kNN and dense retrieval (faiss, lightly, scikit-learn,
the bare product), the AUROC bootstrap (scikit-learn loop), growth of the sweep, extraction and whole suite over bare
forward passes (tiny ViT, ResNet-18, ViT-S). Seconds are medians of `--repeats` (the suite is run once); a ratio is to
ours, so above 1 is slower.
"""

from __future__ import annotations

import argparse
import warnings

import bootstrap
import faiss
import solver_linear
import solver_search
import solver_suite
import torch

PARTS = {
    "linear": solver_linear.sweep,
    "knn": solver_search.neighbours,
    "retrieval": solver_search.retrieval,
    "bootstrap": bootstrap.compare,
    "growth": solver_linear.growth,
    "suite": solver_suite.suite,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="part", help=", ".join(PARTS))
    parser.add_argument("--n", type=int, default=20000, help="training rows")
    parser.add_argument("--d", type=int, default=384)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--memory", type=int, default=10240, help="patches of the dense memory")
    parser.add_argument("--patches", type=int, default=49152, help="patches that ask it")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cpu", action="store_true", help="processor seconds, for a busy machine and one thread")
    parser.add_argument("--sgd", action="store_true", help="also the SGD probe (slow)")
    parser.add_argument(
        "--tasks", nargs="+", default=["phantom-ultrasound-diffuse-mini", "phantom-ultrasound-dense-mini"]
    )
    parser.add_argument("--networks", nargs="+", default=list(solver_suite.NETWORKS), choices=solver_suite.NETWORKS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    faiss.omp_set_num_threads(args.threads)
    warnings.filterwarnings("ignore")
    for part in args.parts:
        PARTS[part](args)


if __name__ == "__main__":
    main()
