from bench.analysis.claim import read_ledger
from bench.analysis.measurement import Measurement
from bench.analysis.verdict import lacking


def test_what_is_not_counted_is_nothing_not_one():
    found = Measurement(1.0)
    assert (found.n_encoders, found.n_tasks, found.n_modalities) == (0, 0, 0)
    claim = next(c for c in read_ledger() if c.minimum.modalities > 1)
    need = claim.minimum
    assert lacking(claim, found) == (
        f"0 encoders where {need.encoders} are needed, 0 data sets where {need.tasks} are needed, "
        f"0 modalities where {need.modalities} are needed"
    )


def test_measurements_share_no_container():
    first, second = Measurement(1.0), Measurement(2.0)
    first.groups["a"] = 1
    first.chart.append({})
    first.details["x"] = 1
    assert (second.groups, second.chart, second.details) == ({}, [], {})
