"""The closed word lists of the benchmark: one word, one thing. A typo in a card fails on load."""

import re
from functools import cache
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
    "blood-smear",
    "cytology",
    "photo",
    "electron-microscopy",
    "pet",
    "mixed",
]
"""Imaging modality. The first eight have phantoms."""

Paradigm = Literal["contrastive", "predictive", "generative", "hybrid", "reference", "unknown"]
"""The review's four classes (arXiv 2605.23995); `predictive` is its "non-contrastive and predictive",
`generative` its "generative and reconstruction-based". `reference` is not self-supervised. `unknown`: nobody has said
so, and it is not guessed; such an encoder counts in no claim."""

PARADIGM_TITLES: dict[str, str] = {
    "contrastive": "Contrastive",
    "predictive": "Non-contrastive and predictive",
    "generative": "Generative and reconstruction-based",
    "hybrid": "Hybrid",
    "reference": "Reference",
    "unknown": "Not stated",
}

Objective = Literal[
    "instance-contrastive",
    "contrastive-clustering",
    "dense-contrastive",
    "image-text-contrastive",
    "self-distillation",
    "redundancy-reduction",
    "latent-prediction",
    "spatial-prediction",
    "masked-image-modelling",
    "denoising",
    "inpainting",
    "super-resolution",
    "autoencoding",
    "diffusion",
    "self-distillation+masked-tokens",
    "contrastive+masked-modelling",
    "pathology-aware",
    "supervised",
    "random-init",
    "raw-pixels",
    "colour-histogram",
    "other",
    "unknown",
]
"""The finer kind of pretraining objective."""

Access = Literal["open", "gated", "on-request"]
"""Who gets an encoder's weights: anybody; whoever accepts terms with an account; whom the authors choose."""

Domain = Literal["natural", "satellite", "radiology", "ultrasound", "histology", "ophthalmology", "dermatology",
                 "endoscopy", "microscopy", "medical"]  # fmt: skip
"""What an encoder was pretrained on, in one word; `medical` for several fields of medicine."""

Kind = Literal["global", "dense"]
"""A global task predicts about the image; a dense task predicts a class for each pixel."""

Target = Literal["binary", "multi-class", "multi-label", "ordinal", "mask", "number", "survival"]
"""Kind of label. `mask` for dense tasks: class index for each pixel, 0 is background. `number`: a quantity. `survival`:
the time at which an event happened, or until which it had not."""

SCALARS = ("number", "survival")
"""Targets of which one number is predicted, of any size; their protocols are their own."""

Trait = Literal["site", "scanner", "sex", "age", "skin"]
"""What may be known of the patient and of the device: scores are broken down by it."""

Extent = Literal["diffuse", "focal", "unknown"]
"""Whether the cue of a global task fills the image or sits in a small finding."""

Badge = Literal["declared", "rescored", "reproduced"]
"""Trust state of a result: numbers as sent; recomputed from predictions; rerun from weights."""

Grey = Literal["repeat", "luminance"]
"""How a single-channel image becomes the encoder's channels, or a colour image its single channel."""

AIR = -1000.0
"""Hounsfield units of air: what surrounds a CT that is padded."""

Pooling = Literal["native", "cls", "mean", "cls+mean", "max"]
"""How tokens or the feature map become the global vector; `native` leaves it to the model."""

REQUIRED_SPLITS = ("train", "val", "test")
TESTS = ("test", "test-shift")
"""Splits whose labels no protocol sees; "test-shift" is of a second site."""
SPLITS = ("train", "val", *TESTS)
TRAITS: tuple[str, ...] = get_args(Trait)
MODALITIES: tuple[str, ...] = get_args(Modality)
PARADIGMS: tuple[str, ...] = get_args(Paradigm)[:5]
"""The paradigms a card can state."""
SSL_PARADIGMS: tuple[str, ...] = PARADIGMS[:4]


@cache
def family(protocol: str) -> str:
    """A protocol's name without its version: results of one family answer one question.

    >>> family("dense-linear-v2"), family("linear")
    ('dense-linear', 'linear')
    """
    return re.sub(r"-v\d+$", "", protocol)


SIZES: dict[str, float] = {"tiny": 2e6, "small": 30e6, "base": 120e6, "large": 700e6, "giant": float("inf")}
"""Size class of an encoder -> number of parameters it stays below."""


def size_class(parameters: float) -> str:
    """Size class by the number of parameters; empty where there are none.

    >>> size_class(86e6), size_class(0)
    ('base', '')
    """
    return next(name for name, most in SIZES.items() if parameters < most) if parameters > 0 else ""


NETWORKS = {"vit": "transformers", "cnn": "CNNs"}
"""Architecture on a card -> what such networks are called."""


def stratum_title(stratum: str) -> str:
    """A stratum of network, size class and controlled track in words.

    >>> stratum_title("vit tiny"), stratum_title("cnn tiny open-tiny-v1"), stratum_title("none")
    ('tiny transformers', 'tiny CNNs of open-tiny-v1', 'none')
    """
    network, size, track = (*stratum.split(" ", 2), "", "")[:3]
    return f"{size} {NETWORKS.get(network, network)}".strip() + (f" of {track}" if track else "")


DIAGNOSTICS = {
    "rankme": "effective rank (RankMe)",
    "dse": "dense structure estimate (DSE)",
    "token_locality": "likeness of neighbouring patch tokens",
}
"""Diagnostics that claims read, in words."""
