import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from bench.leaderboard.frame import COLUMNS, normalised

B = 400

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def table(rows):
    """A long table from dicts with encoder, task, value; the rest has sensible defaults."""
    full = []
    for row in rows:
        kind = row.get("kind", "global")
        base = {
            "paradigm": "contrastive", "repeat_of": None, "badge": "rescored", "kind": kind, "modality": "mri",
            "target": "binary",
            "origin": row["task"], "left_out": None, "contaminated": "no", "budget": "100%", "seed": 0,
            "protocol": "linear-v1" if kind == "global" else "dense-linear-v1", "board": "frozen", "split": "test",
            "metric": "auroc", "primary": True, "chance": 0.0 if kind == "dense" else 0.5,
        } | row  # fmt: skip
        base["score"] = normalised(base["value"], base["chance"])
        full.append(base)
    return pd.DataFrame(full, columns=list(COLUMNS))


def noisy(frame, sd=0.01):
    """Replicates around each value; the noise of a task is shared by all encoders, plus a little of each one's own."""
    used = frame[(frame.split == "test") & frame.primary]
    values = {(r.encoder, r.task, r.protocol, r.budget, int(r.seed)): r.value for r in used.itertuples()}

    def of(key):
        shared = np.random.default_rng([ord(c) for c in key[1]]).normal(size=B)
        own = np.random.default_rng([ord(c) for c in key[0] + key[1] + key[3]] + [key[4]]).normal(size=B)
        return values[key] + sd * (shared + 0.2 * own)

    return of


@pytest.fixture(scope="session")
def make_table():
    return table


@pytest.fixture(scope="session")
def make_replicates():
    return noisy
