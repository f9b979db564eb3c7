"""Label-free diagnostics of encoders, and how well they foretell the boards.

    python benchmarks/diagnostics.py [--suite open-v1] [--images 64] [--out FILE] [--cka FOLDER] [ENCODER ...]

ENCODER is a folder with `encoder.toml` or a reference name; default: everything in `submissions/` but further seeds,
written to `submissions/diagnostics-<suite>.csv`, where `medssl analyze` and the site find it. A row belongs to the
card whose hash it carries. Features are those of the test images of the suite's dense tasks, diagnosed task by task
and averaged over tasks. --cka writes and draws the CKA between the encoders, over all tasks together, each centred.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from bench.analysis.diagnostics import diagnose
from bench.analysis.diagnostics.similarity import cka_matrix
from bench.analysis.pictures import similarity_map
from bench.analysis.style import save
from bench.data.load import load_task
from bench.data.task import Task, read_suite, shipped_tasks
from bench.encoders.card import EncoderCard, read_card
from bench.encoders.load import load_encoder
from bench.features.extract import extract
from bench.files import write_atomic
from bench.locate import shipped


def dense_tasks(suite: str) -> list[Task]:
    """The dense tasks of a suite that count in the averages."""
    tasks = (shipped_tasks()[name] for name in read_suite(suite).tasks)
    return [task for task in tasks if task.kind == "dense" and not task.left_out]


def of_encoder(name: str, tasks: list[Task], images: int) -> tuple[EncoderCard, dict[str, float], np.ndarray]:
    """The card, mean of each diagnostic over tasks, and the global vectors of all images."""
    encoder, found, pooled = load_encoder(name), [], []
    for task in tasks:
        split = load_task(task).tests["test"]
        some = np.arange(len(split))[:: max(1, len(split) // images)][:images]
        shown = np.asarray(split.images[some])
        features = extract(encoder, shown, dense=True)
        mirrored = extract(encoder, np.ascontiguousarray(shown[:, :, ::-1]), dense=True)
        masks = np.asarray(split.labels[some])
        found.append(diagnose(features.pooled, features.grid, views=mirrored.pooled, masks=masks))
        pooled.append(features.pooled - features.pooled.mean(axis=0))
    return encoder.card, pd.DataFrame(found).astype(float).mean().to_dict(), np.concatenate(pooled)


def main() -> None:
    """Write the table, and the CKA matrix if asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoders", nargs="*")
    parser.add_argument("--images", type=int, default=64, help="test images of each task")
    parser.add_argument("--suite", default="phantom-v1", help="whose dense tasks; default: %(default)s")
    parser.add_argument("--out", type=Path, help="default: submissions/diagnostics-<suite>.csv")
    parser.add_argument("--cka", type=Path, help="folder for the table and picture of CKA")
    options = parser.parse_args()
    cards = sorted(shipped("submissions").glob("*/encoder.toml"))
    names = options.encoders or [str(card.parent) for card in cards if not read_card(card).repeat_of]
    tasks = dense_tasks(options.suite)
    rows, features = {}, {}
    for name in names:
        card, rows_of, pooled = of_encoder(name, tasks, options.images)
        rows[card.name], features[card.name] = {"card_sha256": card.sha256, **rows_of}, pooled
        print(card.name, {k: round(v, 3) for k, v in rows_of.items() if v == v}, flush=True)
    table = pd.DataFrame(rows).T.rename_axis("encoder")
    write_atomic(options.out or shipped("submissions") / f"diagnostics-{options.suite}.csv", table.to_csv())
    if options.cka:
        similarity = cka_matrix(features)
        write_atomic(options.cka / "cka.csv", similarity.rename_axis("encoder").to_csv())
        save(similarity_map(similarity), options.cka / "cka.svg")


if __name__ == "__main__":
    main()
