"""JSON-LD for machines: the site as a schema.org Dataset, each task as Croissant 1.0 metadata."""

from typing import Any

from bench.publish.model import SiteView, SuiteView, TaskView

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "recordSet": "cr:recordSet",
    "field": "cr:field",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "source": "cr:source",
    "citeAs": "cr:citeAs",
}
FORMATS = (("csv.gz", "text/csv"), ("parquet", "application/vnd.apache.parquet"))


def site_dataset(view: SiteView) -> dict[str, Any]:
    """The results of all suites as one schema.org Dataset with its downloads."""
    return {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "name": "medssl-bench results",
        "description": "Scores of self-supervised image encoders on medical tasks, frozen protocols, with intervals.",
        "version": view.fingerprint[:12],
        "dateModified": view.date,
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "keywords": ["self-supervised learning", "medical imaging", "benchmark"],
        "creator": {"@type": "Organization", "name": "medssl-bench"},
        "distribution": [
            {"@type": "DataDownload", "encodingFormat": kind, "contentUrl": f"{view.base}data/results/{s.name}.{end}"}
            for s in view.suites for end, kind in FORMATS
        ],
    }  # fmt: skip


def dataset(task: TaskView, suite: SuiteView, *, base: str) -> dict[str, Any]:
    """A task as Croissant metadata: name, licence, citation, and the record set of its images and labels."""
    t = task.task
    label = "cr:SegmentationMask" if t.kind == "dense" else "sc:Text"
    fields = [
        {"@type": "cr:Field", "@id": f"{t.name}/image", "name": "image", "dataType": "sc:ImageObject"},
        {"@type": "cr:Field", "@id": f"{t.name}/label", "name": "label", "dataType": label},
        {"@type": "cr:Field", "@id": f"{t.name}/split", "name": "split", "dataType": "cr:Split"},
    ]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": t.name,
        "alternateName": t.title,
        "description": t.description or t.title,
        "license": t.licence,
        "citeAs": t.citation,
        "isBasedOn": t.corpus,
        "url": f"{base}tasks/{suite.name}/{t.name}.html",
        "keywords": [t.modality, t.kind, t.target, *t.classes],
        "recordSet": [{"@type": "cr:RecordSet", "@id": t.name, "name": t.name, "field": fields}],
    }
