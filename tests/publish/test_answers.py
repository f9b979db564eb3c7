"""The advisor's page: the answers are those of `bench.analysis.advisor`, for every question it can ask."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analysis.advisor import Question, advise
from bench.publish.answers import LABELS, answers
from bench.publish.pages.advisor import advice_data, question_key
from bench.publish.writer import write_site
from bench.words import MODALITIES
from tests.analysis.planted import SimulationDesign, plant
from tests.publish.synthetic import synthetic_site


@pytest.fixture(scope="module")
def frame():
    found = plant(
        SimulationDesign(encoders=4, references=1, modalities=2, per_modality=(2, 1), fractions=(0.1, 1.0), seeds=1)
    )
    names = sorted(found["encoder"].astype(str).unique())
    new = {old: f"encoder-{i:04d}" for i, old in enumerate(names)}
    licences = dict(zip(new.values(), ["Apache-2.0", "MIT", "CC-BY-NC-4.0", "CC-BY-4.0", "MIT"], strict=True))
    encoder = found["encoder"].astype(str).map(new)
    flops = encoder.map(dict(zip(new.values(), [1e8, 2e8, 4e8, 3e10, 3e10], strict=True)))
    return found.assign(encoder=encoder, licence=encoder.map(licences), flops=flops)


@pytest.fixture(scope="module")
def found(frame):
    return answers(frame)


def test_every_question_has_one_answer(found):
    assert len({question_key(a) for a in found}) == len(found) == len(MODALITIES) * 2 * len(LABELS)


@pytest.mark.parametrize(
    "asked",
    [
        Question(modality="xray", task="classification"),
        Question(modality="ct", task="segmentation", labels=30),
        Question(modality="pet", task="segmentation", labels=100),
    ],
)
def test_an_answer_is_what_the_advisor_says_of_the_whole_table(frame, found, asked):
    assert next(a for a in found if a.question == asked) == advise(frame, asked)


def test_no_evidence_is_an_answer(frame):
    only_global = answers(frame[frame["kind"] == "global"])
    dense = [a for a in only_global if a.question.task == "segmentation"]
    assert {a.level for a in dense} == {"none"}
    assert all(a.notes and not a.encoders for a in dense)
    assert answers(frame.iloc[:0]) == []


def test_page_data_hold_each_answer_once(found, view):
    data = advice_data(view, found)
    assert len(data["answers"]) < len(data["index"]) == len(found)
    for answer in found[::97]:
        said = data["answers"][data["index"][question_key(answer)]]
        assert said["level"] == answer.level
        assert [row[0] for row in said["encoders"]] == [c.name for c in answer.encoders]
        assert [row[1] for row in said["encoders"]] == [round(c.score, 3) for c in answer.encoders]


@pytest.fixture(scope="module")
def site(found, tmp_path_factory):
    view = synthetic_site(5, 6, replicates=40)
    out = tmp_path_factory.mktemp("advisor") / "public"
    write_site(replace(view, advice={view.suites[0].name: found}), out)
    return out


def test_the_page_applies_the_limits_as_the_advisor_does(page, site, frame):
    page.goto((site / "advisor.html").as_uri())
    page.wait_for_selector("#answer table")
    page.select_option("[name=modality]", "ct")
    page.fill("[name=labels]", "40")
    page.locator("[name=commercial]").check()
    page.locator("#answer summary", has_text="1 encoder not considered").wait_for()
    mine = advise(frame, Question(modality="ct", task="classification", labels=40, commercial=True))
    rows = page.locator("#answer table").first.locator("tbody tr")
    shown = [rows.nth(i).locator("td").first.inner_text() for i in range(rows.count())]
    assert shown == [f"{c.score:.1f}".replace("-", "\u2212") for c in mine.encoders]
    head = page.locator("#answer h2").inner_text()
    assert (f"{mine.together} encoders cannot be told apart" in head) == (mine.together > 1)
    assert "modality=ct" in page.url
    assert "commercial=1" in page.url
    page.reload()
    page.locator("#answer summary", has_text="1 encoder not considered").wait_for()
    page.fill("[name=gflops]", "0.01")
    page.locator("#answer h2", has_text="No encoder meets these conditions").wait_for()
    page.select_option("[name=modality]", "pet")
    page.locator("#answer h2", has_text="No evidence").wait_for()


def test_without_javascript_the_plain_answers_stand(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "advisor.html").as_uri())
    assert page.locator(".plain tbody tr").count() == 4
    assert page.locator("#question").is_hidden()
    context.close()
