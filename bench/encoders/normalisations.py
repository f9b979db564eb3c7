"""Mean and standard deviation of the usual normalisations, for values scaled to [0, 1]."""

NORMALISATIONS: dict[str, tuple[list[float], list[float]]] = {
    "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "half": ([0.5], [0.5]),
    "identity": ([0.0], [1.0]),
    "clip": ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
}


def of_imagenet(channels: int) -> dict[str, object]:
    """`channels`, `mean` and `std` of a card whose file does not say them; one channel gets the mean of ImageNet's."""
    mean, std = NORMALISATIONS["imagenet"]
    if channels == 1:
        mean, std = [round(sum(mean) / 3, 3)], [round(sum(std) / 3, 3)]
    return {"channels": channels, "mean": mean, "std": std}
