"""Every metric under bootstrap weights equals a loop over replicates, on cases that are drawn one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, softmax
from sklearn import metrics as sk

from bench.data.task import Task
from bench.metrics import calibration, products, ranking
from bench.metrics.base import Comparison
from bench.metrics.products import grouped_sums, sums_and_square_sums, weighted_sums
from bench.metrics.resample import resample_counts, with_point
from bench.metrics.set import metrics_of


def task(target: str, k: int) -> Task:
    """A card of such labels."""
    metric = "qwk" if target == "ordinal" else "auroc"
    return Task(
        schema=1, name="t", title="t", modality="xray", kind="global", target=target, metric=metric,
        classes=[f"c{i}" for i in range(k)], source={"reader": "csv"}, licence="CC0-1.0", corpus="none",
    )  # fmt: skip


@st.composite
def drawn(draw, labels: int = 1):
    """Labels with absent classes, scores with ties, and draws of cases or of patients."""
    n, k = draw(st.integers(4, 40)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    truth = rng.integers(0, draw(st.integers(1, k)), n) if labels == 1 else (rng.random((n, k)) < 0.3).astype(np.uint8)
    scores = rng.normal(size=(n, k)).round(draw(st.integers(0, 3)))
    output = softmax(scores, axis=1) if labels == 1 else 1 / (1 + np.exp(-scores))
    groups = rng.integers(0, 5, n).astype(str) if draw(st.booleans()) else None
    counts = resample_counts("t", "test", np.arange(n).astype(str), groups, replicates=7)
    return truth, output.astype(np.float32), with_point(counts, n)


def one_by_one(truth, output, weights, measure):
    """`measure` of the cases of each replicate, written out as often as they are drawn; NaN where it is undefined."""
    values = []
    for row in weights:
        index = np.repeat(np.arange(len(truth)), row)
        values.append(measure(truth[index], output[index].astype(np.float64), index))
    return np.array(values, dtype=float)


def area(positive, scores):
    """AUROC by pairs."""
    up, down = scores[positive], scores[~positive]
    return np.mean(np.sign(up[:, None] - down)) / 2 + 0.5 if len(up) and len(down) else np.nan


def precision(positive, scores):
    """Step-wise average precision."""
    return sk.average_precision_score(positive, scores) if positive.any() else np.nan


def plain_error(truth, output, index):
    confidence, hit = output.max(1), output.argmax(1) == truth
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    return sum(abs((hit - confidence)[bins == b].sum()) for b in range(15)) / len(truth)


def corrected_error(truth, output, index):
    """One bin after the other, one case after the other."""
    confidence = output.max(1)
    error = (output.argmax(1) == truth) - confidence
    bins, total = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14), 0.0
    for b in np.unique(bins):
        here = bins == b
        cases, first, w = np.unique(index[here], return_index=True, return_counts=True)
        e, c = error[here][first], confidence[here][first]
        gap = (w * e).sum() / w.sum()
        spread = c[0] * (1 - c[0])
        if len(cases) > 1:
            spread = (w**2 * (e - gap) ** 2).sum() / (w.sum() ** 2 - (w**2).sum())
        s, size = np.sqrt(max(spread, 0)), abs(gap)
        folded = (
            s * np.sqrt(2 / np.pi) * np.exp(-((size / s) ** 2) / 2) + size * (1 - 2 * ndtr(-size / s)) if s else size
        )
        total += w.sum() * (2 * size - folded)
    return max(total / len(truth), 0)


def of_classes(measure):
    """The mean over one-versus-rest problems that are defined."""

    def value(truth, output, index):
        columns = range(output.shape[1]) if output.shape[1] > 2 else [1]
        found = [v for c in columns if not np.isnan(v := measure(truth == c, output[:, c]))]
        return np.mean(found) if found else np.nan

    return value


def matthews(truth, output, index):
    if len(np.unique(truth)) == 1:
        return np.nan
    return sk.matthews_corrcoef(truth, output.argmax(1))


LOOPS = {
    "accuracy": lambda y, p, i: (p.argmax(1) == y).mean(),
    "balanced_accuracy": lambda y, p, i: np.mean([(p.argmax(1) == c)[y == c].mean() for c in np.unique(y)]),
    "f1": lambda y, p, i: sk.f1_score(y, p.argmax(1), average="macro"),
    "mcc": matthews,
    "auroc": of_classes(area),
    "auprc": of_classes(precision),
    "brier": lambda y, p, i: (
        ((p - np.eye(p.shape[1])[y])[:, p.shape[1] == 2 :] ** 2).sum(1).mean()
    ),
}  # fmt: skip


@settings(max_examples=15)
@given(drawn())
@pytest.mark.filterwarnings("ignore")
def test_metrics_of_classes_equal_a_loop_over_replicates(case):
    truth, output, weights = case
    k = output.shape[1]
    given_ = Comparison(task("binary" if k == 2 else "multi-class", k), output, truth, weights, 2, frozenset({"auprc"}))
    values = {m.name: m.value(given_) for m in metrics_of(given_.task.target)}
    for name, loop in LOOPS.items():
        np.testing.assert_allclose(values[name], one_by_one(truth, output, weights, loop), atol=1e-12, err_msg=name)
    errors = {calibration.calibration_error: plain_error, calibration.corrected_calibration_error: corrected_error}
    for ours, loop in errors.items():
        np.testing.assert_allclose(
            ours(truth, output, weights), one_by_one(truth, output, weights, loop), atol=1e-12, err_msg=str(ours)
        )


@settings(max_examples=10)
@given(drawn())
@pytest.mark.filterwarnings("ignore")
def test_ordinal_metrics_equal_a_loop_over_replicates(case):
    truth, output, weights = case
    given_ = Comparison(task("ordinal", output.shape[1]), output, truth, weights, 2)
    values = {m.name: m.value(given_) for m in metrics_of("ordinal")}
    called = given_.once(lambda g: np.rint(output.astype(float) @ np.arange(output.shape[1]) / output.sum(1)))

    def kappa(y, p, index):
        expected = ((y[:, None] - called[index]) ** 2).mean()
        return 1 - ((y - called[index]) ** 2).mean() / expected if expected else np.nan

    np.testing.assert_allclose(values["qwk"], one_by_one(truth, output, weights, kappa), atol=1e-12)
    distance = one_by_one(truth, output, weights, lambda y, p, i: np.abs(y - called[i]).mean())
    np.testing.assert_allclose(values["mae"], distance, atol=1e-12)


@settings(max_examples=10)
@given(drawn(labels=3))
@pytest.mark.filterwarnings("ignore")
def test_metrics_of_several_labels_equal_a_loop_over_replicates(case):
    truth, output, weights = case
    kept = ranking.macro_labels(truth)
    given_ = Comparison(task("multi-label", output.shape[1]), output, truth, weights, 2, frozenset({"auprc"}))
    values = {m.name: m.value(given_) for m in metrics_of("multi-label")}
    for name, measure in {"auroc": area, "auprc": precision}.items():

        def loop(y, p, index, measure=measure):
            found = [v for c in kept if not np.isnan(v := measure(y[:, c] == 1, p[:, c]))]
            return np.mean(found) if found else np.nan

        np.testing.assert_allclose(values[name], one_by_one(truth, output, weights, loop), atol=1e-12, err_msg=name)
    squares = one_by_one(truth, output, weights, lambda y, p, i: ((p - y) ** 2).mean())
    np.testing.assert_allclose(values["brier"], squares, atol=1e-12)


@settings(max_examples=20)
@given(st.integers(1, 30), st.integers(1, 5))
def test_sums_equal_the_product(n, m):
    rng = np.random.default_rng(n * 7 + m)
    weights, values = rng.integers(0, 5, (9, n)).astype(np.uint8), rng.normal(size=(n, m))
    np.testing.assert_allclose(weighted_sums(weights, values), weights.astype(float) @ values, atol=1e-12)
    group = rng.integers(0, 4, n)
    inside = [np.where(group[:, None] == g, values, 0) for g in range(4)]
    once, twice = (np.stack([w @ columns for columns in inside], axis=1) for w in (weights, weights.astype(float) ** 2))
    np.testing.assert_allclose(grouped_sums(weights, group, 4, values), once, atol=1e-12)
    found = sums_and_square_sums(weights, group, 4, values[:, :1], values)
    np.testing.assert_allclose(found[0], once[..., :1], atol=1e-12)
    np.testing.assert_allclose(found[1], twice, atol=1e-12)


def test_chunks_blocks_and_precision_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    positive, scores = rng.random((300, 2)) < 0.3, rng.normal(size=(300, 2)).round(1)
    weights = rng.integers(0, 4, (150, 300)).astype(np.uint8)
    whole = ranking.ranking(positive, scores, weights), weighted_sums(weights, scores)
    monkeypatch.setattr(products, "CHUNK_BYTES", {"cpu": 8 * 150 * 7})
    monkeypatch.setattr(products, "BLOCK_BYTES", {"cpu": 1})
    monkeypatch.setattr(ranking, "CHUNK", 32)
    np.testing.assert_allclose(weighted_sums(weights, scores), whole[1], atol=1e-12)
    for part, of_whole in zip(ranking.ranking(positive, scores, weights), whole[0], strict=True):
        np.testing.assert_allclose(part, of_whole, atol=1e-12)
    monkeypatch.setattr(ranking, "EXACT", 0)  # float64 throughout
    for part, of_whole in zip(ranking.ranking(positive, scores, weights), whole[0], strict=True):
        np.testing.assert_allclose(part, of_whole, atol=1e-12)


def test_products_that_float32_does_not_hold_are_float64():
    rng = np.random.default_rng(0)
    positive = rng.random((4000, 1)) < 0.5
    scores = np.where(rng.random((4000, 1)) < 0.9, 1.0, rng.normal(size=(4000, 1)))  # as good as all tied
    weights = rng.integers(0, 251, (70, 4000)).astype(np.uint8)
    plan = ranking._Plan(positive[:, 0], scores[:, 0], torch.device("cpu"))
    assert (plan.is_exact(1, 4000), plan.is_exact(250, 500_000)) == (True, False)
    found, exact = (ranking.ranking(positive, scores, w) for w in (weights, weights.astype(float)))
    np.testing.assert_allclose(found, exact, rtol=1e-13)


@pytest.mark.parametrize("op", [True, False], ids=["bytes", "floats"])
def test_bytes_are_added_up_as_floats_are(op, monkeypatch):
    rng = np.random.default_rng(1)
    positive, scores = rng.random((200, 3)) < 0.3, rng.normal(size=(200, 3)).round(1)
    weights = rng.integers(0, 256, (90, 200)).astype(np.uint8)
    if not op:
        monkeypatch.setattr(ranking, "_as_bytes", lambda cases: cases.float())
    found, exact = (ranking.ranking(positive, scores, w) for w in (weights, weights.astype(float)))
    np.testing.assert_allclose(found, exact, rtol=1e-13)


def test_whole_numbers_are_counted_in_float32_only_where_it_holds_them():
    weights, group = np.full((3, 70_000), 255, np.uint8), np.zeros(70_000, np.int64)
    odd = weights.copy()
    odd[:, 0] = 254
    for w in (weights, odd, np.ones_like(weights)):
        found = grouped_sums(w, group, 1, np.ones((70_000, 1), bool))[:, 0, 0]
        np.testing.assert_array_equal(found, w.sum(1, dtype=np.int64))


DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")),
]


@pytest.mark.parametrize("device", DEVICES)
def test_draws_on_a_device_give_what_arrays_give(device):
    rng = np.random.default_rng(0)
    truth, output = rng.integers(0, 3, 250), rng.dirichlet(np.ones(3), 250).astype(np.float32).round(2)
    counts = resample_counts("t", "test", np.arange(250).astype(str), replicates=40)
    there = torch.from_numpy(counts.T).to(device).T
    card, keep = task("multi-class", 3), truth != 1
    ours, theirs = (
        Comparison(card, output, truth, with_point(c, 250), 2, frozenset({"auprc"}), 1.5) for c in (counts, there)
    )
    for metric in metrics_of("multi-class"):
        np.testing.assert_allclose(metric.value(theirs), metric.value(ours), atol=1e-12, err_msg=metric.name)
        if metric.name == "auroc":
            np.testing.assert_allclose(metric.value(theirs.part(keep)), metric.value(ours.part(keep)), atol=1e-12)
