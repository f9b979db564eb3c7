"""Bags: several images of a patient, or of one examination, with one label between them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from bench.data.dataset import Split
from bench.data.shares import ListedImage
from bench.errors import DataError

LARGEST = 512
"""Images of a bag, at most: every bag is given the room of the largest."""


def refuse_masks(where: object) -> NoReturn:
    """Raise DataError: a bag has one label, and the task has masks."""
    raise DataError("has masks, and bags = true is for one label a bag", where=where)


def check_joined(*, volume: bool, bags: bool, aggregation: str | None) -> None:
    """Raise ValueError unless the card says how several images become one vector where there are several, and only
    there. Whether a volume needs it, its task decides (`bench.data.load.read_source`)."""
    if (bags and aggregation is None) or (aggregation is not None and not (volume or bags)):
        said = "bags = true" if bags else "volume = true"
        raise ValueError(f'{said} and aggregation ("mean" or "max") go together')


def bags_of(rows: Sequence[ListedImage], where: object) -> list[list[ListedImage]]:
    """Rows that share a bag, in the order in which bags first appear. Raises DataError.

    A row without a bag of its own belongs to that of its patient; one without a patient cannot belong anywhere.
    """
    found: dict[str, list[ListedImage]] = {}
    for row in rows:
        if (name := row.bag or row.group) is None:
            fix = "name the patient or the bag of each image"
            raise DataError(f"{row.id} is in no bag: it has no patient", where=where, fix=fix)
        found.setdefault(name, []).append(row)
    for name, bag in found.items():
        _refuse_mixed(name, bag, where)
    return list(found.values())


def largest(bags: Iterable[Sequence[ListedImage]], where: object) -> int:
    """Images of the largest bag. Raises DataError above the limit."""
    most, name = max((len(bag), bag[0].bag or bag[0].group) for bag in bags)
    if most > LARGEST:
        fix = "take some images of each, evenly: every bag is given the room of the largest"
        raise DataError(f"the bag {name!r} holds {most:,} images, over {LARGEST}", where=where, fix=fix)
    return most


def bagged(images: Split, room: int, name: str) -> Split:
    """The images of one bag as a split of one row: (1, room, h, w, c), black after the last image."""
    n, shape = len(images), images.images.shape[1:]
    whole = np.zeros((1, room, *shape), images.images.dtype)
    whole[0, :n] = images.images
    same = {
        trait: values[:1] if (values == values[0]).all() else np.array([""]) for trait, values in images.strata.items()
    }
    groups = None if images.groups is None else images.groups[:1]
    return Split(whole, images.labels[:1], np.array([name]), groups, same, sizes=np.array([n], np.int64))


def bags_of_splits(splits: Mapping[str, Split], where: object) -> dict[str, list[Split]]:
    """Split name -> one split of one row for each patient of flat images in memory. Raises DataError."""
    if next(iter(splits.values())).labels.ndim > 2:
        refuse_masks(where)
    rows = {
        name: [ListedImage(str(i), Path(), label, split=name, group=str(group), number=at)
               for at, (i, label, group) in enumerate(zip(split.ids, split.labels, split.groups, strict=True))]
        for name, split in splits.items() if split.groups is not None
    }  # fmt: skip
    bags = {name: bags_of(found, where) for name, found in rows.items()}
    room = largest((bag for found in bags.values() for bag in found), where)
    return {
        name: [
            bagged(splits[name].rows(np.array([row.number or 0 for row in bag])), room, str(bag[0].group))
            for bag in found
        ]
        for name, found in bags.items()
    }


def _refuse_mixed(name: str, bag: Sequence[ListedImage], where: object) -> None:
    first = bag[0]
    for row in bag[1:]:
        if first.label is None or row.label is None or not np.array_equal(row.label, first.label):
            what = f"the bag {name!r} holds images of different labels: {first.id} and {row.id}"
            raise DataError(what, where=where, fix="a bag has one label; leave out bags = true to label each image")
        if row.split != first.split or row.group != first.group:
            apart = "splits" if row.split != first.split else "patients"
            raise DataError(f"the bag {name!r} holds images of two {apart}: {first.id} and {row.id}", where=where)
