"""The closed word lists of the benchmark: one word, one thing. A typo in a card fails on load."""

from __future__ import annotations

from typing import Literal, get_args

Modality = Literal[
    "xray",
    "ct",
    "mri",
    "ultrasound",
    "histology",
    "fundus",
    "oct",
    "dermoscopy",
    "microscopy",
    "endoscopy",
    "photo",
    "electron-microscopy",
    "pet",
    "mixed",
]
"""Imaging modality. The first eight have phantoms."""

Paradigm = Literal["contrastive", "predictive", "generative", "hybrid", "reference"]
"""The review's four classes (arXiv 2605.23995); `predictive` is its "non-contrastive and predictive",
`generative` its "generative and reconstruction-based". `reference` is not self-supervised."""

PARADIGM_TITLES: dict[str, str] = {
    "contrastive": "Contrastive",
    "predictive": "Non-contrastive and predictive",
    "generative": "Generative and reconstruction-based",
    "hybrid": "Hybrid",
    "reference": "Reference",
}

Objective = Literal[
    "instance-contrastive",
    "contrastive-clustering",
    "image-text-contrastive",
    "self-distillation",
    "redundancy-reduction",
    "latent-prediction",
    "spatial-prediction",
    "masked-image-modelling",
    "denoising",
    "inpainting",
    "diffusion",
    "self-distillation+masked-tokens",
    "contrastive+masked-modelling",
    "pathology-aware",
    "supervised",
    "random-init",
    "raw-pixels",
    "colour-histogram",
    "other",
]
"""The finer kind of pretraining objective."""

Kind = Literal["global", "dense"]
"""A global task predicts about the image; a dense task predicts a class for each pixel."""

Target = Literal["binary", "multi-class", "multi-label", "ordinal", "mask"]
"""Kind of label. `mask` for dense tasks: class index for each pixel, 0 is background."""

Extent = Literal["diffuse", "focal", "unknown"]
"""Whether the cue of a global task fills the image or sits in a small finding."""

Badge = Literal["declared", "rescored", "reproduced"]
"""Trust state of a result: numbers as sent; recomputed from predictions; rerun from weights."""

Grey = Literal["repeat", "luminance"]
"""How a single-channel image becomes the encoder's channels, or a colour image its single channel."""

Pooling = Literal["native", "cls", "mean", "cls+mean", "max"]
"""How tokens or the feature map become the global vector; `native` leaves it to the model."""

MODALITIES: tuple[str, ...] = get_args(Modality)
PARADIGMS: tuple[str, ...] = get_args(Paradigm)
SSL_PARADIGMS: tuple[str, ...] = PARADIGMS[:4]
