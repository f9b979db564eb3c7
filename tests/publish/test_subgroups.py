"""The table of subgroups: the widest gap first, the worst group by name, nothing where nothing is known."""

import pandas as pd

from bench.publish.subgroups import Subgroup, leaks, served

COLUMNS = ["encoder", "task", "protocol", "budget", "split", "metric", "value", "low", "high"]


def numbers(*rows):
    return pd.DataFrame([("e", "t", "linear-v2", "100%", "test", *row) for row in rows], columns=COLUMNS)


def test_worst_and_best_by_trait_the_widest_gap_first():
    nan = float("nan")
    frame = numbers(
        ("auroc", 0.8, 0.7, 0.9), ("auroc[site=A]", 0.9, 0.8, 1.0), ("auroc[site=B]", 0.6, 0.5, 0.7),
        ("auroc[site gap]", 0.3, 0.1, 0.5), ("auroc[sex=f]", 0.81, 0.7, 0.9), ("auroc[sex=m]", 0.8, 0.7, 0.9),
        ("auroc[sex gap]", 0.01, nan, nan), ("auroc[contrast=low]", 0.1, 0.0, 0.2),
    )  # fmt: skip
    site, sex = served(frame, {"global": "linear-v2"})
    assert (site.trait, site.gap, site.low, site.high, site.overall) == ("site", 0.3, 0.1, 0.5, 0.8)
    assert site.groups == (Subgroup("B", 0.6, 0.5, 0.7), Subgroup("A", 0.9, 0.8, 1.0)), "the worst served first"
    assert (sex.trait, sex.groups[0].name, sex.low) == ("sex", "m", None)
    assert served(frame, {"global": "knn-v1"}) == []
    assert served(frame.iloc[:1], {"global": "linear-v2"}) == []


def test_leaks_once_an_encoder_the_most_first():
    frame = numbers(("site_leakage", 0.2, 0.1, 0.3), ("site_leakage", 0.2, 0.1, 0.3))
    other = numbers(("site_leakage", 0.5, float("nan"), float("nan"))).assign(encoder="f")
    found = leaks(pd.concat([frame, other]), "encoder")
    assert [(leak.name, leak.value, leak.low) for leak in found] == [("f", 0.5, None), ("e", 0.2, 0.1)]


def test_pages_show_them(tmp_path):
    from dataclasses import replace

    from bench.publish.writer import write_site
    from tests.publish.synthetic import synthetic_site

    view = synthetic_site(encoders=8, tasks=16, replicates=20, seed=0)
    suite = view.suites[0]
    first = suite.results[(suite.results.split == "test") & suite.results.protocol.isin(suite.main.values())].iloc[0]
    at_full = first.to_dict() | {"budget": "100%", "primary": False}
    extra = [at_full | {"metric": m, "value": v, "low": v - 0.1, "high": v + 0.1}
             for m, v in (("dice[site=<Jena>]", 0.2), ("dice[site=Kiel]", 0.7), ("dice[site gap]", 0.5),
                          ("site_leakage", 0.31))]  # fmt: skip
    results = pd.concat([suite.results, pd.DataFrame(extra)], ignore_index=True)
    write_site(replace(view, suites=[replace(suite, results=results), *view.suites[1:]]), tmp_path / "public")
    for page in (f"tasks/{suite.name}/{first.task}.html", f"encoders/{first.encoder}.html"):
        text = (tmp_path / "public" / page).read_text()
        assert "Whom it is wrong for" in text
        assert "&lt;Jena&gt; 0.200 <small>(0.100 to 0.300)" in text, "each group with its interval"
        assert "Kiel 0.700" in text
        assert "0.500 <small>(0.400 to 0.600)" in text, "the gap with its interval"
        assert "Site leakage" in text
        assert "0.310" in text
    other = next(e for e in view.encoders if e != first.encoder)
    assert "Whom it is wrong for" not in (tmp_path / "public" / f"encoders/{other}.html").read_text()
