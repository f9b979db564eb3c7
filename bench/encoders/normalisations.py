"""Mean and standard deviation of the usual normalisations, for values scaled to [0, 1]."""

NORMALISATIONS: dict[str, tuple[list[float], list[float]]] = {
    "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "half": ([0.5], [0.5]),
    "identity": ([0.0], [1.0]),
    "clip": ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
}
