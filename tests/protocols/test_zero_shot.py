"""Zero-shot by prompts: the probabilities worked out again without torch, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.data.budgets import subsets
from bench.encoders.features import Features
from bench.encoders.text import TextTower
from bench.errors import CardError, NotForThisEncoderError
from bench.laws.problems import make_problem, make_task
from bench.protocols.zero_shot import PROTOCOL, class_vectors

DIRECTIONS = {"east": (1, 0, 0), "north": (0, 1, 0), "up": (0, 0, 1), "north east": (0.6, 0.8, 0)}


class Compass(TextTower):
    """Sentences are directions; the logit is 5 x cosine - 2."""

    sha256, sigmoid = "0" * 64, False

    def embed(self, sentences):
        return torch.tensor([DIRECTIONS[sentence] for sentence in sentences], dtype=torch.float32)

    def logits(self, pooled, texts):
        return 5 * (pooled / pooled.norm(dim=1, keepdim=True)) @ texts.t() - 2


class Signed(Compass):
    sigmoid = True


def problem(target="multi-class", tower=Compass, prompts=(["east", "north east"], ["north"], ["up"])):
    """Made-up images whose features are drawn at random, and an encoder with a compass."""
    made = make_problem(target)
    words = {"templates": ["{}"], "classes": dict(zip(made.task.classes, prompts, strict=False))}
    task = type(made.task).parse(made.task.model_dump(mode="json", by_alias=True) | {"prompts": words}, where="test")
    made.encoder.text_tower = tower
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    return replace(made, task=task, tests={"test": replace(made.tests["test"], features=Features(x, None))})


def predicted(given):
    chosen = subsets(given.task, given.train.labels, None, "k=0", [0])
    assert len(chosen[0].rows) == 0
    return next(iter(PROTOCOL.predict(given, chosen)))


def logits(x):
    """Worked out with numpy: the first class is the mean of two unit vectors, (1.6, 0.8, 0) / 1.789."""
    vectors = np.array([[1.6, 0.8, 0], [0, 1, 0], [0, 0, 1]]) / np.array([[np.sqrt(1.6**2 + 0.8**2)], [1], [1]])
    x = x.astype(np.float64)
    return 5 * x @ vectors.T / np.sqrt((x**2).sum(1, keepdims=True)) - 2


@pytest.mark.parametrize("target", ["multi-class", "ordinal"])
def test_classes_by_softmax(target):
    given = problem(target)
    odds = np.exp(logits(given.tests["test"].features.pooled))
    np.testing.assert_allclose(predicted(given).outputs["test"], odds / odds.sum(1, keepdims=True), atol=1e-6)
    assert predicted(given).chosen == {}


def test_labels_by_sigmoid_where_the_model_was_trained_so():
    given = problem("multi-label", Signed)
    expected = 1 / (1 + np.exp(-logits(given.tests["test"].features.pooled)))
    np.testing.assert_allclose(predicted(given).outputs["test"], expected, atol=1e-6)
    with pytest.raises(NotForThisEncoderError, match="no probability of a label"):
        predicted(problem("multi-label", Compass))


def test_the_vector_of_a_class_is_of_length_one():
    found = class_vectors(Compass(), [["east", "up"], ["north"]])
    np.testing.assert_allclose(found, [[0.5**0.5, 0, 0.5**0.5], [0, 1, 0]], atol=1e-7)


def test_no_label_is_read():
    given = problem()
    nothing = replace(given.train, labels=given.train.labels * 0 - 7)
    blind = replace(given, train=nothing, val=replace(given.val, labels=nothing.labels[:24]))
    chosen = subsets(given.task, given.train.labels, None, "k=0", [0])
    found = next(iter(PROTOCOL.predict(blind, chosen)))
    np.testing.assert_array_equal(found.outputs["test"], predicted(given).outputs["test"])


def test_a_task_without_prompts_is_refused_with_the_cure():
    task = make_task("binary").model_copy(update={"prompts": None})
    assert "write words for each class under [prompts.classes]" in PROTOCOL.refuses(task)
    assert PROTOCOL.refuses(make_task("binary")) is None
    assert "is not for the target 'number'" in PROTOCOL.refuses(make_task("number"))


def test_budgets_with_labels_are_refused_and_only_it_takes_none():
    assert PROTOCOL.refuses_budget("k=0") is None
    assert {bool(PROTOCOL.refuses_budget(b)) for b in ("100%", "k=4", "n=16", "10%")} == {True}


def test_an_encoder_without_text_is_refused():
    with pytest.raises(NotForThisEncoderError, match="has no text tower"):
        predicted(replace(problem(), encoder=None))


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"classes": {"c0": ["x"]}}, "have none for 'c1'"),
        ({"classes": {"c0": ["x"], "c1": ["y"], "c7": ["z"]}}, "name 'c7'"),
        ({"classes": {"c0": ["x"], "c1": []}}, "prompts.classes.c1"),
        ({"classes": {"c0": ["x"], "c1": ["y"]}, "templates": ["a scan"]}, "does not hold '{}' once"),
        ({"classes": {"c0": ["x"], "c1": ["y"]}, "templates": ["{} and {}"]}, "does not hold '{}' once"),
        ({"classes": {"c0": ["x"] * 100, "c1": ["y"] * 101}}, "prompts.classes.c1"),
        ({"classes": {"c0": ["x"]}, "template": ["{}"]}, "did you mean 'templates'"),
    ],
)
def test_prompts_that_are_wrong(prompts, message):
    values = make_task("binary").model_dump(mode="json", by_alias=True) | {"prompts": prompts}
    with pytest.raises(CardError, match=message):
        type(make_task("binary")).parse(values, where="card")


def test_nothing_in_a_prompt_is_evaluated():
    values = make_task("binary").model_dump(mode="json", by_alias=True)
    values["prompts"] = {"templates": ["{} of {0.__class__}"], "classes": {"c0": ["a{1}"], "c1": ["%s"]}}
    task = type(make_task("binary")).parse(values, where="card")
    assert task.sentences == [["a{1} of {0.__class__}"], ["%s of {0.__class__}"]]
    values["prompts"]["templates"] = ["{}"] * 100
    values["prompts"]["classes"] = {"c0": ["x"] * 100, "c1": ["y"] * 101}
    with pytest.raises(CardError, match=r"prompts.classes.c1|more than 20,000 sentences"):
        type(make_task("binary")).parse(values, where="card")
    values["prompts"]["classes"] = {"c0": ["x"] * 100, "c1": ["y"] * 100}
    assert sum(map(len, type(make_task("binary")).parse(values, where="card").sentences)) == 20_000
