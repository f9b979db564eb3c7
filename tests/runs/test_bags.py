"""A task of bags from a table to records: the mean on the board, the largest and the attention beside it."""

from __future__ import annotations

import numpy as np
from PIL import Image

import bench
from tests.cards import task_card

CARD = task_card(
    "exams",
    'reader = "csv", file = "t.csv", bags = true, aggregation = "mean"',
    modality="ultrasound",
    classes=("benign", "malignant"),
)


def test_a_run_on_bags_and_again_from_the_cache(tmp_path) -> None:
    rng, lines = np.random.default_rng(0), ["image,label,patient"]
    for patient in range(60):
        for i in range(1 + patient % 4):
            bright = 150 if patient % 2 and i == 0 else 0
            Image.fromarray((rng.integers(0, 60, (8, 8)) + bright).astype(np.uint8)).save(
                tmp_path / f"{patient}-{i}.png"
            )
            lines.append(f"{patient}-{i}.png,{patient % 2},p{patient}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    (tmp_path / "exams.toml").write_text(CARD)
    found = [
        bench.run("colour-histogram", None, tasks=tmp_path / "exams.toml", out=tmp_path / out, device="cpu")
        for out in ("runs", "again")
    ]
    by_name = {r.unit.protocol: r for r in found[0].records if r.status == "done" and r.unit.budget == "100%"}
    assert set(by_name) == {"knn-v1", "linear-v2", "bag-max-v1", "bag-attention-v1"}
    assert all(r.metrics["test"]["auroc"].value > 0.9 for r in by_name.values())
    assert all(r.cost.volume is None for r in by_name.values())
    assert [r.predictions_sha256 for r in found[0].records] == [r.predictions_sha256 for r in found[1].records]
    assert set(found[0].frame["board"]) == {"frozen", "diagnostic"}
