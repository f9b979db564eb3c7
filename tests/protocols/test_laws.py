"""Every protocol of the package keeps the laws; a new one in the folder is tested at once."""

from __future__ import annotations

import pytest

from bench.discover import members
from bench.laws.protocols import *  # noqa: F403
from bench.protocols.attentive import Attentive
from bench.protocols.bag_attention import BagAttention
from bench.protocols.dense_retrieval import DenseRetrieval
from bench.protocols.fine_tune import FineTune
from bench.protocols.robustness import Robustness

SMALL = {
    "bag-attention-v1": BagAttention(epochs=2, steps=0, hidden=8),
    "attentive-v1": Attentive(epochs=3, queries=2, steps=0),
    "fine-tune-v1": FineTune(rates=(1e-3,), epochs=1, steps=(2, 3), batch=16),
    "robustness-v2": Robustness(["noise", "jpeg"], [2]),
}
"""The same code with fewer steps; the numbers of the frozen protocol are in its `params`."""
PROTOCOLS = {name: SMALL.get(name, p) for name, p in members("bench.protocols", "PROTOCOL").items()}


@pytest.fixture(params=PROTOCOLS.values(), ids=PROTOCOLS)
def protocol(request):
    return request.param


@pytest.fixture
def seeing_all_rows(protocol):
    """The attentive probes see all 60 rows in one batch; retrieval is asked with a memory that holds every patch."""
    if protocol.name == "fine-tune-v1":
        pytest.skip("each image is augmented by the draw of its place")
    if isinstance(protocol, BagAttention):
        return BagAttention(epochs=2, steps=0, hidden=8, batch=64)
    if isinstance(protocol, DenseRetrieval):
        return DenseRetrieval(share=1.0, tuned=protocol.tuned)
    return protocol


def test_the_protocols_that_are_promised_are_there():
    promised = (
        "knn-v1 linear-v1 linear-v2 few-shot-v1 dense-linear-v1 dense-linear-v2 dense-retrieval-v1 dense-retrieval-v2"
    )
    assert {*promised.split(), "attentive-v1", "fine-tune-v1", "robustness-v2"} <= set(PROTOCOLS)
