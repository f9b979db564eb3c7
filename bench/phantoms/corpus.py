"""Unlabelled images to pretrain on: every modality mixed, none of them an evaluation image."""

import numpy as np
from PIL import Image

from bench.phantoms._fields import N, to_uint8
from bench.phantoms._random import balanced, stream
from bench.phantoms.base import SIZE_BINS, Modality, Scene
from bench.phantoms.generate import mapped, modalities, random_lesion

NAME = "phantom-v1-pretraining"
"""Name of this corpus in the vocabulary of corpora."""


def pretraining_corpus(
    n: int, size: int, seed: int, *, jobs: int | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """`n` images of all modalities in equal shares, shuffled, and what made them.

    images: uint8 (n, size, size, 3); grey modalities have three equal channels; `size` up to 128 (drawn at 128 and
        reduced by area averaging).
    attributes: name -> int64 (n,), class indices for a reference trained on the images' own attributes. "modality";
        "diffuse" and "focal" (numbered through over all modalities, so that one softmax head each will do);
        "size" (0 no lesion, 1 to 4 the size bin); "site" (0 or 1). `attribute_classes()` counts the classes of each.

    Deterministic: image i is a function of (seed, i) alone, whatever `n` and `jobs` (processes; None: all cores).
    Disjoint from every evaluation image, whatever the seeds: the random streams have other keys.
    Sites are mixed 3 : 1, half of the images have a lesion or finding. There are no masks here.
    """
    rows = mapped(_one, [(size, seed, i) for i in range(n)], jobs)
    images = np.stack([image for image, _ in rows]) if rows else np.zeros((0, size, size, 3), np.uint8)
    names = attribute_classes()
    return images, {name: np.array([row[name] for _, row in rows], np.int64) for name in names}


def attribute_classes() -> dict[str, int]:
    """Number of classes of each attribute of `pretraining_corpus`."""
    every = modalities().values()
    return {
        "modality": len(every),
        "diffuse": sum(len(m.diffuse) for m in every),
        "focal": sum(m.focal_count for m in every),
        "size": len(SIZE_BINS) + 1,
        "site": 2,
    }


def _one(size: int, seed: int, index: int) -> tuple[np.ndarray, dict[str, int]]:
    every = list(modalities().values())
    number = balanced(index, len(every), "corpus", seed)
    rng = stream("corpus", seed, "image", index)
    scene, size_class = _scene(every[number], rng)
    drawn = every[number].draw(stream("corpus", seed, "patient", index), rng, scene)
    attributes = {
        "modality": number,
        "diffuse": sum(len(m.diffuse) for m in every[:number]) + scene.diffuse,
        "focal": sum(m.focal_count for m in every[:number]) + scene.focal,
        "size": size_class,
        "site": scene.site,
    }
    return _reduced(to_uint8(drawn.image), size), attributes


def _scene(modality: Modality, rng: np.random.RandomState) -> tuple[Scene, int]:
    """A scene with, in turn by chance: nothing (1/4), a finding (1/2) or a graded lesion (1/4)."""
    diffuse, site, chance = rng.randint(len(modality.diffuse)), int(rng.uniform() < 0.25), rng.uniform()
    if chance < 0.25:
        return Scene(diffuse, site=site), 0
    if chance < 0.75:
        return Scene(diffuse, rng.randint(modality.focal_count), site=site), 0
    size = rng.randint(len(SIZE_BINS))
    return Scene(diffuse, 0, random_lesion(modality, rng, size), site), size + 1


def _reduced(image: np.ndarray, size: int) -> np.ndarray:
    """uint8 (128, 128, c) to (size, size, 3). Pillow's box filter is integer arithmetic, the same everywhere."""
    colour = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    if size == N:
        return colour
    return np.asarray(Image.fromarray(colour).resize((size, size), Image.Resampling.BOX))
