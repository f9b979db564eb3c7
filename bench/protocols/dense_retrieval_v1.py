"""dense-retrieval-v1: as dense-retrieval-v2 without an operating point: the largest of the upsampled votes wins."""

from __future__ import annotations

from bench.protocols.dense_retrieval import DenseRetrieval

PROTOCOL = DenseRetrieval("dense-retrieval-v1", tuned=False)
