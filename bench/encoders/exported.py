"""What a torch.export archive says of its image input and its outputs: its JSON is read, nothing in it is evaluated."""

import json
import zipfile
from pathlib import Path

MAX_BYTES = 1 << 26


def shapes_of(path: Path) -> tuple[list[int | None], list[list[int | None]]]:
    """(sides of the image input, sides of each output), None where any will do; empty where it does not say."""
    with zipfile.ZipFile(path) as archive:
        model = next((i for i in archive.infolist() if i.filename.endswith("models/model.json")), None)
        if model is None or model.file_size > MAX_BYTES:
            return [], []
        text = archive.read(model)
    try:
        graph = json.loads(text)["graph_module"]["graph"]
        sizes = {n: [side.get("as_int") for side in v["sizes"]] for n, v in graph["tensor_values"].items()}
        images = [sizes[i["as_tensor"]["name"]] for i in graph["inputs"][-1:]]
        return images[0] if images else [], [
            sizes[o["as_tensor"]["name"]] for o in graph["outputs"] if "as_tensor" in o
        ]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return [], []
