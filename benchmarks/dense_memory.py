"""Evidence behind the memory of dense retrieval: Dice of several encoders by the patches it holds.

    python benchmarks/dense_memory.py --tasks phantom-ultrasound-dense --encoders raw-pixels submissions/tiny-vit-mae

Prints Dice on the test images for each number of labelled images and each memory, and Kendall's tau between the
ranking of the encoders at each memory and at the largest. Memories are drawn evenly over classes, one draw.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from dense_head import mean_dice, predicted
from dense_problems import problems
from scipy.stats import kendalltau

from bench.data.budgets import subsets
from bench.protocols.base import Problem
from bench.protocols.dense_retrieval import DenseRetrieval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["phantom-ultrasound-dense", "phantom-dermoscopy-dense"])
    parser.add_argument("--encoders", nargs="+", default=["raw-pixels", "colour-histogram"])
    parser.add_argument("--budgets", nargs="+", default=["n=16", "100%"])
    parser.add_argument("--memories", type=int, nargs="+", default=[410, 2560, 10240, 102400])
    parser.add_argument("--train", type=int, default=200, help="most training images")
    parser.add_argument("--test", type=int, default=40, help="most test images")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for task in args.tasks:
        made = problems(task, args.encoders, args.train, args.test)
        print(f"\n| {task} | {' | '.join(made)} | tau |\n|---|{'---|' * (len(made) + 1)}")
        for budget in args.budgets:
            dice = np.array([[score(p, t, budget, m) for p, t in made.values()] for m in args.memories])
            for memory, row in zip(args.memories, dice, strict=True):
                tau = kendalltau(row, dice[-1]).statistic
                print(
                    f"| {budget}, memory {memory:,} | {' | '.join(f'{v:.3f}' for v in row)} | {tau:.2f} |", flush=True
                )


def score(problem: Problem, truth: np.ndarray, budget: str, memory: int) -> float:
    """Dice with a memory of that many patches, or of all where there are fewer."""
    subset = subsets(problem.task, problem.train.labels, None, budget, [0])[0]
    masks = predicted(DenseRetrieval("retrieval", memory, share=1.0), problem, subset)
    return mean_dice(masks, truth, len(problem.task.classes))


if __name__ == "__main__":
    main()
