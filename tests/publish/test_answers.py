"""The advisor's page: the answers are those of `bench.analysis.advisor`, for every question it can ask."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analysis.advisor import Question, advise
from bench.analysis.planted import Plan, plant
from bench.publish.answers import GFLOPS, LABELS, answers
from bench.publish.pages.advisor import advice_data, question_key
from bench.publish.synthetic import synthetic_site
from bench.publish.writer import write_site
from bench.words import MODALITIES


@pytest.fixture(scope="module")
def frame():
    found = plant(Plan(encoders=4, references=1, modalities=2, per_modality=(2, 1), fractions=(0.1, 1.0), seeds=1))
    names = sorted(found["encoder"].astype(str).unique())
    new = {old: f"encoder-{i:04d}" for i, old in enumerate(names)}
    licences = dict(zip(new.values(), ["MIT", "CC-BY-NC-4.0", "Apache-2.0", "MIT", "MIT"], strict=True))
    encoder = found["encoder"].astype(str).map(new)
    flops = encoder.map(dict(zip(new.values(), [1e8, 2e8, 4e8, 3e10, 3e10], strict=True)))
    return found.assign(encoder=encoder, licence=encoder.map(licences), flops=flops)


@pytest.fixture(scope="module")
def found(frame):
    return answers(frame)


def test_every_question_has_one_answer(found):
    assert len({question_key(a) for a in found}) == len(found) == len(MODALITIES) * 2 * len(LABELS) * 2 * len(GFLOPS)


@pytest.mark.parametrize(
    "asked",
    [
        Question(modality="xray", task="classification"),
        Question(modality="ct", task="segmentation", labels=30, commercial=True),
        Question(modality="ct", task="classification", labels=300, max_gflops=5.0),
        Question(modality="pet", task="segmentation", labels=100, commercial=True, max_gflops=1.0),
        Question(modality="endoscopy", task="classification", labels=10_000),
    ],
)
def test_an_answer_is_what_the_advisor_says_of_the_whole_table(frame, found, asked):
    mine = next(a for a in found if a.question == asked)
    assert mine == advise(frame, asked)


def test_limits_leave_encoders_out_with_the_reason(found):
    strict = next(a for a in found if question_key(a) == "ct|classification||commercial|5")
    assert {c.name for c in strict.encoders} == {"encoder-0000", "encoder-0002"}
    assert strict.excluded["encoder-0001"] == "licence CC-BY-NC-4.0"
    assert "GFLOPs, over 5" in strict.excluded["encoder-0003"]


def test_no_evidence_is_an_answer(frame):
    only_global = answers(frame[frame["kind"] == "global"])
    dense = [a for a in only_global if a.question.task == "segmentation"]
    assert {a.level for a in dense} == {"none"}
    assert all(a.extrapolated and not a.encoders for a in dense)
    assert answers(frame.iloc[:0]) == []


def test_page_data_hold_each_answer_once(found, view):
    data = advice_data(view, found)
    assert len(data["answers"]) < len(data["index"]) == len(found)
    for answer in found[::97]:
        said = data["answers"][data["index"][question_key(answer)]]
        assert said["level"] == answer.level
        assert [row[0] for row in said["encoders"]] == [c.name for c in answer.encoders]
        assert [row[1] for row in said["encoders"]] == [round(c.score, 2) for c in answer.encoders]


@pytest.fixture(scope="module")
def site(found, tmp_path_factory):
    view = synthetic_site(5, 6, replicates=40)
    out = tmp_path_factory.mktemp("advisor") / "public"
    write_site(replace(view, advice={view.suites[0].name: found}), out)
    return out


def test_the_page_asks_and_answers(page, site, found):
    page.goto((site / "advisor.html").as_uri())
    page.wait_for_selector("#answer table")
    page.select_option("[name=modality]", "ct")
    page.select_option("[name=labels]", "30")
    page.locator("[name=commercial]").check()
    mine = next(a for a in found if question_key(a) == "ct|classification|30|commercial|")
    page.locator("#answer summary", has_text="1 encoder not considered").wait_for()
    rows = page.locator("#answer table").first.locator("tbody tr")
    shown = [rows.nth(i).locator("td").first.inner_text() for i in range(rows.count())]
    assert shown == [f"{c.score:.1f}" for c in mine.encoders]
    assert "modality=ct" in page.url
    assert "commercial=1" in page.url
    page.reload()
    page.locator("#answer summary", has_text="1 encoder not considered").wait_for()
    page.select_option("[name=gflops]", "1")
    page.select_option("[name=modality]", "pet")
    page.locator("#answer", has_text="No task of this modality has results").wait_for()


def test_without_javascript_the_plain_answers_stand(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "advisor.html").as_uri())
    assert page.locator(".plain article").count() == 4
    assert page.locator("#question").is_hidden()
    context.close()
