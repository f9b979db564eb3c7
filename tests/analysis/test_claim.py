"""Claims as files: what they are called by, and what is refused."""

import hashlib
import json

import pytest

from bench.analysis.claim import LEDGER, Minimum, read_ledger, read_note
from bench.errors import CardError


@pytest.fixture
def folder(tmp_path):
    for path in LEDGER.glob("*.toml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_the_hash_of_a_claim_is_that_of_its_meaning_as_the_file_spells_it(folder):
    claim = read_ledger(folder)[0]
    values = claim.model_dump(mode="json", by_alias=True)
    assert values["schema"] == 1
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert claim.sha256 == hashlib.sha256(text.encode()).hexdigest()
    path = next(p for p in folder.glob("h01*.toml"))
    path.write_text("# a remark\n" + path.read_text())
    assert read_ledger(folder)[0].sha256 == claim.sha256
    path.write_text(path.read_text().replace("margin = ", "margin = 1"))
    assert read_ledger(folder)[0].sha256 != claim.sha256


def test_a_note_that_cannot_be_read_is_named(folder):
    assert read_note(folder) == read_note()
    (folder / "about.toml").write_text('version = 0\nwritten = 2026-01-01\nknown = "x"\n')
    with pytest.raises(CardError) as refused:
        read_note(folder)
    assert str(folder / "about.toml") in str(refused.value)
    (folder / "about.toml").write_text('version = 1\nwritten = 2026-01-01\nknown = "x"\n')
    assert (read_note(folder).version, read_note(folder).retired) == (1, {})


def test_claims_come_confirmatory_first_then_by_number_and_letter(folder):
    assert [c.id for c in read_ledger(folder)] == [
        *("H1", "H2", "H3", "H4"), *("H2b", "H3b", "H5", "H6", "H7", "H7b", "H8", "H9", "H11", "H12"),
    ]  # fmt: skip


def test_a_shared_id_and_an_empty_folder_are_refused(folder, tmp_path):
    (folder / "h99-again.toml").write_bytes(next(folder.glob("h01*.toml")).read_bytes())
    with pytest.raises(CardError, match="'H1' is taken") as refused:
        read_ledger(folder)
    assert "h99-again.toml" in str(refused.value)
    (tmp_path / "none").mkdir()
    with pytest.raises(CardError, match="holds no claim"):
        read_ledger(tmp_path / "none")


def test_parts_are_asked_with_the_shared_settings_and_their_own(folder):
    claims = {c.id: c for c in read_ledger(folder)}
    whole = claims["H12"]
    assert whole.asked == {"": whole.settings}
    for name, own in claims["H1"].parts.items():
        assert claims["H1"].asked[name] == {**claims["H1"].settings, **own}


def test_the_least_evidence_unless_a_claim_says_more():
    assert Minimum().model_dump() == {"encoders": 8, "per_group": 4, "tasks": 8, "modalities": 1}
    one = {"encoders": 1, "per_group": 1, "tasks": 1, "modalities": 1}
    assert Minimum.parse(one, where="x").model_dump() == one
    for name in one:
        with pytest.raises(CardError):
            Minimum.parse({**one, name: 0}, where="x")
