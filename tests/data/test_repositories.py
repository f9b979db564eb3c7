"""Reading and fetching files of a git repository at a commit: a repository made here stands for the host."""

import subprocess

import numpy as np
import pytest
from PIL import Image

from bench.data.fetch import fetch_repositories
from bench.data.load import load_task
from bench.data.repositories import CommitFiles, Repository
from bench.errors import DataError

IDENTITY = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]


def git(folder, *arguments):
    return subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def host(tmp_path):
    """A folder that serves "lab/set", with two commits; returns (folder, first commit)."""
    work = tmp_path / "host" / "lab" / "set"
    (work / "images").mkdir(parents=True)
    (work / "masks" / "a").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(9):
        Image.fromarray(rng.integers(0, 255, (20, 30), dtype=np.uint8)).save(work / "images" / f"{i}.png")
    for part, place in (("1", np.s_[:4, :4]), ("2", np.s_[8:12, 20:])):
        mask = np.zeros((20, 30), np.uint8)
        mask[place] = 255
        Image.fromarray(mask).save(work / "masks" / "a" / f"{part}.png")
    git(work, "init", "-q", "-b", "main")
    git(work, "add", ".")
    git(work, "commit", "-qm", "first")
    first = git(work, "rev-parse", "HEAD").strip()
    (work / "images" / "0.png").write_bytes(b"changed")
    git(work, "commit", "-qam", "second")
    return tmp_path / "host", first


def test_fetches_only_what_is_asked_for_and_reads_the_commit_not_the_branch(host):
    folder, first = host
    repository = Repository("lab/set", first)
    assert repository.find() is None
    assert repository.fetch(["images/0.png", "masks/"], host=folder.as_uri()) is True
    assert repository.fetch(["images/0.png", "masks/"], host=folder.as_uri()) is False
    with CommitFiles(repository.find(), repository) as files:
        assert files.read("images/0.png").startswith(b"\x89PNG")
        assert files.below("masks/") == ["masks/a/1.png", "masks/a/2.png"]
        with pytest.raises(DataError, match=r"images/1\.png: cannot be read: not in the commit, or not fetched"):
            files.read("images/1.png")
        assert files.read("masks/a/1.png").startswith(b"\x89PNG")  # the reader goes on after a refusal


def test_a_clone_elsewhere_serves_without_a_network(host, tmp_path, monkeypatch):
    folder, first = host
    repository = Repository("lab/set", first)
    monkeypatch.setenv("MEDSSL_REPOSITORIES", str(folder))
    assert repository.find() == folder / "lab/set" / ".git"
    monkeypatch.delenv("MEDSSL_REPOSITORIES")
    assert repository.fetch(["images/3.png"], host="https://nowhere.invalid", folders=[folder])
    assert repository.find().name == "lab+set"


def test_messages_name_what_is_missing(host):
    folder, first = host
    with pytest.raises(DataError, match=r"1 of 2 files are not in the commit, e\.g\. images/77\.png"):
        Repository("lab/set", first).fetch(["images/1.png", "images/77.png"], host=folder.as_uri())
    with pytest.raises(DataError, match="git failed"):
        Repository("lab/set", "0" * 40).fetch(["images/1.png"], host=folder.as_uri())
    with pytest.raises(DataError, match=r"medssl data fetch cells"):
        Repository("lab/other", first).require("cells")


def card(make_task, first, target, classes, **more):
    source = {"reader": "repository", "repository": "lab/set", "commit": first, "index": "i.csv", "size": 16}
    return make_task(target, classes, **source, channels=1, geometry="pad", **more)


def test_a_task_is_fetched_read_and_grouped(host, tmp_path, make_task):
    folder, first = host
    rows = [
        f"{s},{i},images/{i}.png,{'ab'[i % 2]},p{i // 2}"
        for i, s in enumerate(["train"] * 4 + ["val"] * 2 + ["test"] * 3)
    ]
    (tmp_path / "i.csv").write_text("split,id,image,label,group\n" + "\n".join(rows) + "\n")
    task = card(make_task, first, "binary", ["a", "b"])
    with pytest.raises(DataError, match="is not here"):
        load_task(task, folder=tmp_path)
    done = fetch_repositories([(task, tmp_path)], mirror=folder.as_uri(), folders=[])
    assert [d.status for d in done] == ["downloaded"]
    data = load_task(task, folder=tmp_path)
    assert data.train.images.shape == (4, 16, 16, 1)
    assert data.tests["test"].labels.tolist() == [0, 1, 0]
    assert data.train.groups.tolist() == ["p0", "p0", "p1", "p1"]
    failed = fetch_repositories([(task, tmp_path)], mirror=(tmp_path / "empty").as_uri(), folders=[])
    assert [d.status for d in failed] == ["present"]  # what is here needs no host


def test_masks_of_a_folder_are_one_mask(host, tmp_path, make_task):
    folder, first = host
    rows = [f"{s},{i},images/{i}.png,masks/a/,\n" for i, s in enumerate(["train", "train", "val", "test"])]
    (tmp_path / "i.csv").write_text("split,id,image,mask,group\n" + "".join(rows))
    task = card(make_task, first, "mask", ["background", "cell"])
    fetch_repositories([(task, tmp_path)], mirror=folder.as_uri(), folders=[])
    mask = load_task(task, folder=tmp_path).train.labels[0]
    # 20 x 30 padded to 30 x 30 (5 rows of border), then one pixel in 30/16: corners (0, 0) and (8, 20) of the image.
    assert mask[:2].sum() == 0
    assert mask[3, 0] == 1
    assert mask[7, 15] == 1
    assert set(np.unique(mask)) == {0, 1}


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("image", "images/1.png#xywh=a", "does not say a window"),
        ("image", "images/1.png#frame=3", "has no frame 3"),
        ("image", "images/1.png#page=3", "unknown part 'page'"),
        ("image", "other/set:images/1.png", "not on the card"),
        ("label", "c", "unknown class 'c'"),
    ],
)
def test_a_wrong_index_is_one_message(host, tmp_path, make_task, column, text, message):
    folder, first = host
    values = {"split": "train", "id": "x", "image": "images/1.png", "label": "a", "group": ""} | {column: text}
    (tmp_path / "i.csv").write_text(",".join(values) + "\n" + ",".join(values.values()) + "\n")
    task = card(make_task, first, "binary", ["a", "b"])
    Repository("lab/set", first).fetch(["images/"], host=folder.as_uri())
    with pytest.raises(DataError, match=message):
        load_task(task, folder=tmp_path)
