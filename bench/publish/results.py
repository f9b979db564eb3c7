"""The long table of records, with seeds averaged: the numbers the pages print."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.publish.model import Estimate

KEYS = ["encoder", "task", "protocol", "budget", "split", "metric"]


def mean_over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """One row an encoder x task x protocol x budget x split x metric: means over seeds of value, ends and score.

    frame: the columns of bench.leaderboard.frame. The score's ends are those of the value on the same fixed scale.
    """
    if frame.empty:
        columns = [*KEYS, "primary", "value", "low", "high", "score", "score_low", "score_high", "seeds", "n_labels"]
        return pd.DataFrame(columns=[*columns, "contaminated"])
    frame = frame.assign(low=frame["low"].astype(float), high=frame["high"].astype(float))
    grouped = frame.groupby(KEYS, sort=True, observed=True)
    mean = grouped.agg(
        primary=("primary", "first"), value=("value", "mean"), low=("low", "mean"), high=("high", "mean"),
        score=("score", "mean"), seeds=("seed", "nunique"), n_labels=("n_labels", "max"),
        contaminated=("contaminated", "first"), chance=("chance", "first"),
    ).reset_index()  # fmt: skip
    for end in ("low", "high"):
        scaled = ((mean[end] - mean["chance"]) / (1 - mean["chance"])).clip(lower=0)
        mean[f"score_{end}"] = np.where(mean["primary"], scaled, np.nan)
    return mean.drop(columns="chance")


def anchors(suite: str, frame: pd.DataFrame) -> pd.Series:
    """The id of each number on its page: "suite.task.protocol.100pct.test.auroc"."""
    budget = frame["budget"].str.replace("%", "pct").str.replace("=", "")
    found = pd.Series(suite, index=frame.index)
    for part in (frame["task"], frame["protocol"], budget, frame["split"], frame["metric"]):
        found = found + "." + part
    return found


def addresses(suite: str, frame: pd.DataFrame) -> pd.Series:
    """The address of each number within the site: primary metrics stand on the encoder's page, the others on a page
    of their own."""
    primary = "encoders/" + frame["encoder"] + ".html#"
    other = f"numbers/{suite}/" + frame["encoder"] + ".html#"
    return primary.where(frame["primary"].astype(bool), other) + anchors(suite, frame)


def label_curves(frame: pd.DataFrame, protocols: dict[str, str], kinds: tuple[str, ...]) -> dict[str, tuple]:
    """Encoder -> ((fraction, mean score with mean ends), ...) of the main protocols over the tasks of `kinds`.

    Only tasks that have every fraction enter, so that the points of a curve are over the same tasks.
    """
    rows = frame[
        frame["protocol"].isin(protocols.values()) & frame["primary"] & (frame["split"] == "test")
        & frame["fraction"].notna() & frame["left_out"].isna() & frame["kind"].isin(kinds)
    ]  # fmt: skip
    if rows.empty:
        return {}
    rows = rows.assign(**{
        f"score_{e}": ((rows[e].astype(float) - rows["chance"]) / (1 - rows["chance"])).clip(lower=0)
        for e in ("low", "high")
    })  # fmt: skip
    by_task = rows.groupby(["encoder", "task", "fraction"])[["score", "score_low", "score_high"]].mean().reset_index()
    fractions = sorted(by_task["fraction"].unique())
    complete = by_task.groupby(["encoder", "task"])["fraction"].transform("nunique") == len(fractions)
    means = by_task[complete].groupby(["encoder", "fraction"])[["score", "score_low", "score_high"]].mean()
    curves: dict[str, list] = {}
    for (encoder, fraction), row in means.iterrows():
        curves.setdefault(encoder, []).append((float(fraction), Estimate(*(float(v) for v in row))))
    return {encoder: tuple(points) for encoder, points in curves.items()}
