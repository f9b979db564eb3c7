"""Write the task cards of MedMNIST and MedSegBench from the facts their packages carry.

    python tools/official_cards.py [--medsegbench path/to/medsegbench/info.py]

Addresses, MD5 sums, classes and row counts come from `medmnist.INFO` and from the `info.py` of the PyPI package
medsegbench 1.0.0 (read, not imported as a dependency). Modality, extent, corpus, caveats and what is left out are
judgements and stand below. The cards are the truth: this script is run when a release of the packages changes.
"""

from __future__ import annotations

import argparse
import json
import re
import runpy
from pathlib import Path
from typing import Any

TASKS = Path(__file__).resolve().parents[1] / "tasks"
MEDMNIST_PAPER = "Yang et al., MedMNIST v2, Scientific Data 10:41 (2023); MedMNIST+ release, Zenodo 10519652."
MEDSEG_PAPER = "Kus and Aydin, MedSegBench, Scientific Data 11:1283 (2024)."
NO_PATIENTS = (
    "The file names no patients: intervals treat its images as independent, and are too narrow if they are not."
)
LITS = (
    "OrganA, OrganC, OrganS and Organ3D come from the same CT volumes (LiTS) and count as one source in the averages."
)
SLICES = "Encoded slice by slice along the first axis; the features of the slices become one vector by their mean."
NIH = "Contamination-prone: several chest X-ray encoders were pretrained on all of NIH ChestX-ray14, test included."
FEW_TESTS = "Few test images: the 95 % interval is wide."

# name: modality, corpus, extent, caveats
MEDMNIST: dict[str, tuple[str, str, str, list[str]]] = {
    "pathmnist": (
        "histology",
        "nct-crc-he",
        "diffuse",
        [
            "Colour shortcut: mean colour alone gives more than half, a colour histogram more than 82 % accuracy "
            "(Ignatov and Malivenko 2024): read scores as the gain over the colour-histogram reference.",
            "The test images come from another centre than the training images.",
        ],
    ),
    "chestmnist": (
        "xray",
        "nih-chestxray14",
        "unknown",
        [
            "Never by accuracy: calling every label absent is already about 94.7 % accurate.",
            "Labels were mined from report text and are noisy.",
            NIH,
        ],
    ),
    "dermamnist": (
        "dermoscopy",
        "ham10000",
        "diffuse",
        [
            "Leak: HAM10000 was split by image, so photographs of one lesion are in training and test "
            "(Abhishek et al., Scientific Data 12:196, 2025, give corrected splits). Scores are too high.",
        ],
    ),
    "octmnist": (
        "oct",
        "kermany-oct",
        "focal",
        [
            "Slices of one patient may be in training and validation; whether this split inherits the overlap reported "
            "for its source is not verified.",
        ],
    ),
    "pneumoniamnist": (
        "xray",
        "pediatric-pneumonia",
        "diffuse",
        [
            "Children aged one to five of one centre only.",
            "29 surplus exact duplicates at 28 pixels, 8 of them across training and validation, none into test "
            "(third-party note).",
        ],
    ),
    "retinamnist": (
        "fundus",
        "deepdrid",
        "focal",
        [
            "Grades 0 to 4 are ordered: scored by quadratic weighted kappa.",
            FEW_TESTS,
        ],
    ),
    "breastmnist": (
        "ultrasound",
        "busi",
        "focal",
        [
            "Duplicates: 235 reported in the source (BUSI), 8 lesions filed under both benign and malignant, about 70 "
            "images of the axilla, and burnt-in marks on many (Pawlowska et al. 2023).",
            FEW_TESTS,
        ],
    ),
    "bloodmnist": (
        "microscopy",
        "acevedo-blood",
        "diffuse",
        [
            "Near its ceiling: supervised networks reach an AUROC of 0.998.",
            "Random split by image.",
        ],
    ),
    "tissuemnist": (
        "microscopy",
        "bbbc051",
        "diffuse",
        [
            "Random split by cell: cells of one of three specimens are in training and test.",
            "Two-dimensional maximum projections of 32 x 32 x 7 volumes, so that sizes above 32 add no detail.",
        ],
    ),
    "organamnist": ("ct", "lits", "diffuse", [LITS, "Axial slices.", "Near its ceiling: supervised AUROC 0.997."]),
    "organcmnist": ("ct", "lits", "diffuse", [LITS, "Coronal slices; row counts differ between MedMNIST releases."]),
    "organsmnist": ("ct", "lits", "diffuse", [LITS, "Sagittal slices; row counts differ between MedMNIST releases."]),
    "organmnist3d": ("ct", "lits", "diffuse", [LITS]),
    "nodulemnist3d": ("ct", "lidc-idri", "focal", ["Nodules of intermediate malignancy (grade 3) are left out."]),
    "adrenalmnist3d": ("ct", "adrenalmnist3d", "diffuse", ["Shapes (masks), not intensities."]),
    "fracturemnist3d": ("ct", "ribfrac", "focal", ["Segmental fractures are left out.", FEW_TESTS]),
    "vesselmnist3d": ("mri", "intra", "focal", ["Shapes from MR angiography, not intensities."]),
    "synapsemnist3d": ("electron-microscopy", "synapsemnist3d", "focal", ["One rat brain."]),
}
TARGETS = {
    "multi-class": ("multi-class", "auroc"),
    "binary-class": ("binary", "auroc"),
    "multi-label, binary-class": ("multi-label", "auroc"),
    "ordinal-regression": ("ordinal", "qwk"),
}

DEGENERATE = "Degenerate: the published U-Net baselines collapse ({}), so a score here says nothing."
SATURATED = "Saturated: published U-Nets reach a Dice of {}, which leaves no headroom."
NO_LICENCE = 'No licence stated ("Does not have copyright information")'

# name: title, modality, corpus, left_out, caveats
MEDSEG: dict[str, tuple[str, str, str, str | None, list[str]]] = {
    "kvasir": ("Polyps, Kvasir-SEG", "endoscopy", "kvasir-seg", None, []),
    "isic2018": (
        "Skin lesions, ISIC 2018",
        "dermoscopy",
        "isic2018",
        None,
        ["May share images with ISIC 2016 and HAM10000 (DermaMNIST): all come from the ISIC archive."],
    ),
    "isic2016": (
        "Skin lesions, ISIC 2016",
        "dermoscopy",
        "isic2016",
        None,
        ["May share images with ISIC 2018: both count as one source in the averages."],
    ),
    "drive": ("Retinal vessels, DRIVE", "fundus", "drive", None, ["Thin structures.", FEW_TESTS]),
    "chasedb1": ("Retinal vessels, CHASE_DB1", "fundus", "chase-db1", None, ["Thin structures.", FEW_TESTS]),
    "dca1": ("Coronary arteries, DCA1", "xray", "dca1", None, ["Angiography; thin structures.", FEW_TESTS]),
    "chuac": ("Coronary arteries, CHUAC", "xray", "chuac", None, ["Angiography; thin structures.", FEW_TESTS]),
    "wbc": ("White blood cells, WBC", "microscopy", "wbc", SATURATED.format("0.96"), []),
    "idrib": ("Diabetic lesions, IDRiD", "fundus", "idrid", DEGENERATE.format("Dice 0.36, 0.04, 0.00, 0.00"), []),
    "cellnuclei": (
        "Nuclei, Data Science Bowl 2018",
        "microscopy",
        "dsb2018",
        None,
        ["Mixed light microscopy: fluorescence, bright field and stained tissue."],
    ),
    "pandental": ("Mandible, panoramic X-ray", "xray", "pandental", SATURATED.format("0.96"), []),
    "bbbc010": ("C. elegans, BBBC010", "microscopy", "bbbc010", None, [FEW_TESTS]),
    "dynamicnuclear": (
        "Nuclei, DynamicNuclearNet",
        "microscopy",
        "dynamicnuclearnet",
        None,
        ["More validation than test images, as published."],
    ),
    "nuset": ("Nuclei, NuSeT", "microscopy", "nuset", None, []),
    "nuclei": (
        "Nuclei, breast histology",
        "histology",
        "nuclei-janowczyk",
        DEGENERATE.format("Dice 0.28"),
        ["Only some nuclei of each image were outlined."],
    ),
    "tnbcnuclei": (
        "Nuclei, triple-negative breast cancer",
        "histology",
        "tnbc-nuclei",
        None,
        ["Ten test images from few patients: the 95 % interval is wide."],
    ),
    "monusac": (
        "Nuclei by cell type, MoNuSAC",
        "histology",
        "monusac",
        DEGENERATE.format("Dice 0.559 for nearly every network, no spread"),
        ["Contamination-prone: its slides are from TCGA, on which many histology encoders were pretrained."],
    ),
    "deepbacs": ("Bacteria, DeepBacs", "microscopy", "deepbacs", None, [FEW_TESTS]),
    "brifiseg": ("Nuclei in bright field, BriFiSeg", "microscopy", "brifiseg", None, []),
    "busi": (
        "Breast tumours, BUSI",
        "ultrasound",
        "busi",
        None,
        [
            "Duplicates: 235 reported in the source, 8 lesions filed under both benign and malignant, burnt-in marks "
            "on many images (Pawlowska et al. 2023)."
        ],
    ),
    "covid19radio": (
        "Lungs, COVID-19 radiography",
        "xray",
        "covid-19-radiography",
        SATURATED.format("0.99"),
        ["Images of different classes come from different hospitals."],
    ),
    "covidquex": (
        "COVID-19 infection, QU-Ex",
        "xray",
        "covid-qu-ex",
        None,
        ["Collected from many public sets; images of different classes come from different hospitals."],
    ),
    "cystoidfluid": ("Cystoid fluid, OCT", "oct", "cystoidfluid", None, []),
    "polypgen": (
        "Polyps of six centres, PolypGen",
        "endoscopy",
        "polypgen",
        None,
        ["Centres are mixed in every split."],
    ),
    "promise12": (
        "Prostate, PROMISE12",
        "mri",
        "promise12",
        None,
        ["Slices of volumes; whether slices of one patient are in training and test is not verified."],
    ),
    "robotool": ("Surgical instruments, RoboTool", "endoscopy", "robotool", None, []),
    "uwaterlooskincancer": ("Skin cancer, Waterloo", "photo", "uwaterloo-skin", None, [FEW_TESTS]),
    "ultrasoundnerve": (
        "Brachial plexus nerve",
        "ultrasound",
        "ultrasound-nerve",
        None,
        ["Frames of video: whether frames of one patient are in training and test is not verified."],
    ),
    "usforkidney": (
        "Kidney, simulated ultrasound",
        "ultrasound",
        "usforkidney",
        SATURATED.format("0.98"),
        ["Made from CT."],
    ),
    "yeaz": ("Yeast cells, YeaZ", "microscopy", "yeaz", SATURATED.format("0.95"), []),
    "bkai-igh": (
        "Polyps by kind, BKAI-IGH",
        "endoscopy",
        "bkai-igh",
        DEGENERATE.format("Dice 0.554 without spread for two networks"),
        [],
    ),
    "m2caiseg": (
        "Laparoscopy, m2caiSeg",
        "endoscopy",
        "m2caiseg",
        DEGENERATE.format("Dice 0.21"),
        ["More validation than training images, as published.", 'Class 0 is "unknown", not background.'],
    ),
    "abdomenus": (
        "Abdominal organs, ultrasound",
        "ultrasound",
        "abdomenus",
        None,
        ["Training images are simulated from CT; test images mix simulated and real ones."],
    ),
    "fhpsaop": ("Fetal head and symphysis", "ultrasound", "fhpsaop", SATURATED.format("0.96"), []),
    "mosmedplus": (
        "COVID-19 lesions, MosMed+",
        "ct",
        "mosmed",
        None,
        ["Slices of volumes; whether slices of one patient are in training and test is not verified."],
    ),
}
FOREGROUND = {
    "kvasir": "polyp",
    "isic2018": "lesion",
    "isic2016": "lesion",
    "drive": "vessel",
    "chasedb1": "vessel",
    "dca1": "artery",
    "chuac": "artery",
    "cellnuclei": "nucleus",
    "pandental": "mandible",
    "bbbc010": "worm",
    "dynamicnuclear": "nucleus",
    "nuset": "nucleus",
    "nuclei": "nucleus",
    "tnbcnuclei": "nucleus",
    "deepbacs": "bacterium",
    "brifiseg": "nucleus",
    "busi": "tumour",
    "covid19radio": "lung",
    "covidquex": "infection",
    "cystoidfluid": "fluid",
    "polypgen": "polyp",
    "promise12": "prostate",
    "robotool": "instrument",
    "uwaterlooskincancer": "lesion",
    "ultrasoundnerve": "nerve",
    "usforkidney": "kidney",
    "yeaz": "cell",
    "mosmedplus": "lesion",
}
LICENCES = {
    "kvasir": "Research and education only; commercial use by written permission",
    "bkai-igh": "Public release by BKAI and IGH, no licence named",
    "dca1": "Released for research and comparison, no licence named",
    "abdomenus": "Public release on Kaggle, no licence named",
    "Does not have copyright information": NO_LICENCE,
}
ORIGINS = {
    "organamnist": "lits-organs",
    "organcmnist": "lits-organs",
    "organsmnist": "lits-organs",
    "organmnist3d": "lits-organs",
    "isic2016": "isic-lesions",
    "isic2018": "isic-lesions",
}


def main() -> None:
    """Write every card below tasks/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--medsegbench", type=Path, help="info.py of the package medsegbench")
    arguments = parser.parse_args()
    from medmnist import INFO

    for name in MEDMNIST:
        for size in (28, 64) if name.endswith("3d") else (28, 64, 128, 224):
            write("medmnist3d" if name.endswith("3d") else "medmnist2d", medmnist_card(name, size, INFO[name]))
    if arguments.medsegbench:
        info = runpy.run_path(str(arguments.medsegbench))["INFO"]
        for name in MEDSEG:
            for size in (128, 256, 512):
                for card in medseg_cards(name, size, info[name]):
                    write("medsegbench", card)


def medmnist_card(name: str, size: int, facts: dict[str, Any]) -> dict[str, Any]:
    """One MedMNIST set at one size."""
    modality, corpus, extent, caveats = MEDMNIST[name]
    target, metric = TARGETS[facts["task"]]
    volume, suffix = name.endswith("3d"), "" if size == 28 else f"_{size}"
    classes = [facts["label"][str(i)].replace("(", " (").replace("  ", " ") for i in range(len(facts["label"]))]
    if target == "ordinal":
        classes = [f"grade {c}" for c in classes]
    across = " x ".join([str(size)] * (3 if volume else 2))
    source = {
        "reader": "npz",
        "file": f"{name}{suffix}.npz",
        "url": facts[f"url{suffix}"],
        "md5": facts[f"MD5{suffix}"].strip(),
        "rows": facts["n_samples"],
    }
    return {
        "schema": 1,
        "name": f"{name}-{size}",
        "title": f"{facts['python_class']} {across}",
        "kind": "global",
        "modality": modality,
        "target": target,
        "classes": classes,
        "metric": metric,
        "extent": extent,
        "licence": facts["license"],
        "corpus": corpus,
        "origin": ORIGINS.get(name, name),
        "citation": MEDMNIST_PAPER,
        "caveats": [*caveats, *([SLICES] if volume else []), NO_PATIENTS],
        "source": source | ({"volume": True, "aggregation": "mean"} if volume else {}),
    }


def medseg_cards(name: str, size: int, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """One MedSegBench set at one size; IDRiD has one card for each kind of lesion, as in the published baselines."""
    title, modality, corpus, left_out, caveats = MEDSEG[name]
    licence = LICENCES.get(name) or LICENCES.get(facts["license"], facts["license"])
    names = facts["pixel_labels"]
    classes = list(names.values()) if facts["task"] == "multi-class" else ["background", FOREGROUND.get(name, "lesion")]
    source = {
        "reader": "npz",
        "file": f"{name}_{size}.npz",
        "url": facts[f"url_{size}"],
        "md5": facts[f"MD5_{size}"].strip(),
        "rows": {split: facts["n_samples"][split] for split in ("train", "val", "test")},
    } | ({"mask": "nonzero"} if facts["task"] == "binary" else {})
    card = {
        "schema": 1,
        "name": f"{name}-{size}",
        "title": f"{title}, {size} x {size}",
        "kind": "dense",
        "modality": modality,
        "target": "mask",
        "classes": classes,
        "metric": "dice",
        "licence": licence.rstrip("."),
        "corpus": corpus,
        "origin": ORIGINS.get(name, name),
        "citation": f"{MEDSEG_PAPER} Source of the images: {facts['reference'].strip(', ')}",
        "caveats": [*caveats, NO_PATIENTS],
    } | ({"left_out": left_out} if left_out else {})
    if name != "idrib":
        return [card | {"source": source}]
    return [
        card
        | {
            "name": f"idrib-c{i}-{size}",
            "title": f"{lesion}, IDRiD, {size} x {size}",
            "classes": ["background", lesion.lower().rstrip("s")],
            "source": source | {"labels": f"{{split}}_label_C{i}"},
        }
        for i, lesion in enumerate(facts["class_names"].values(), 1)
    ]


def write(folder: str, card: dict[str, Any]) -> None:
    """Write one card as TOML, keys in the order given, `[source]` last."""
    source = card.pop("source")
    lines = [f"{key} = {toml(value)}" for key, value in card.items()]
    lines += ["", "[source]", *(f"{key} = {toml(value)}" for key, value in source.items())]
    path = TASKS / folder / f"{card['name']}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def toml(value: Any) -> str:
    """A TOML value; long lists take one line an item."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        items = [toml(v) for v in value]
        line = f"[{', '.join(items)}]"
        return line if len(line) < 100 else "[\n" + "".join(f"    {i},\n" for i in items) + "]"
    if isinstance(value, str):
        value = re.sub(r"\s+", " ", value).strip()
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()
