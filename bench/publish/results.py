"""The long table of records, with seeds averaged: the numbers the pages print."""

import pandas as pd

from bench.budget import Budget
from bench.leaderboard.frame import normalised

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
        mean[f"score_{end}"] = normalised(mean[end], mean["chance"]).where(mean["primary"])
    return mean.drop(columns="chance")


def anchors(suite: str, frame: pd.DataFrame) -> pd.Series:
    """The id of each number on its page: "suite.task.protocol.100pct.test.auroc"; one that is not of a primary metric
    has that of its unit, "suite.task.protocol.100pct.test"."""
    found = pd.Series(suite, index=frame.index)
    for part in (frame["task"], frame["protocol"], frame["budget"].map(lambda text: Budget(text).slug), frame["split"]):
        found = found + "." + part
    return (found + "." + frame["metric"]).where(frame["primary"].astype(bool), found)


def addresses(suite: str, frame: pd.DataFrame) -> pd.Series:
    """The address of each number within the site: primary metrics stand on the encoder's page, the others on a page
    of their own."""
    primary = "encoders/" + frame["encoder"] + ".html#"
    other = f"numbers/{suite}/" + frame["encoder"] + ".html#"
    return primary.where(frame["primary"].astype(bool), other) + anchors(suite, frame)
