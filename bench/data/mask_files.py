"""Which mask files belong to which image: the same sub-folder and name, with the endings of the field.

"x.png" has the mask "x.png", or one or more of "x_mask.png", "x_mask_1.png", "x-seg.png", "x_segmentation.png", ...
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench.data.images import stem
from bench.errors import DataError

ENDING = re.compile(
    r"[ _.-]+(masks?|seg|segs|segmentations?|gt|ground[ _-]?truth|labels?|annotations?|anno|roi|lesion|contour)"
    r"[ _-]*\(?(\d*)\)?$",
    re.IGNORECASE,
)
CHANNEL = re.compile(r"(.+)_(\d{4})")
"""A case and its channel, as nnU-Net calls its images."""


def is_mask_of(name: str, stems: set[str]) -> bool:
    """Whether a file name without suffix is that of another file, of `stems`, and the ending of a mask."""
    stem, ending = _parts(name)
    return bool(ending) and stem in stems


def channels_of(images: Sequence[Path], masks: Sequence[Path]) -> dict[Path, tuple[str, int]]:
    """Image -> case and channel, where names are those of nnU-Net: "CASE_0000" with the mask "CASE"; else {}."""
    cases = {stem(path) for path in masks}
    found = {path: match for path in images if (match := CHANNEL.fullmatch(stem(path)))}
    if len(found) < len(images) or cases & set(map(stem, images)) or not cases & {match[1] for match in found.values()}:
        return {}
    return {path: (match[1], int(match[2])) for path, match in found.items()}


def masks_of(
    images: Sequence[Path], root: Path, masks: Sequence[Path], mask_root: Path
) -> dict[Path, tuple[Path, ...]]:
    """Image -> its mask files, () where there are none; paths below `root` and `mask_root` are compared.

    A mask in another sub-folder than its image is taken only when no other image and no other mask have its name.
    Raises DataError when a mask can be that of two images, or an image has masks of several kinds.
    """
    own = {(p.relative_to(root).parent, stem(p)): p for p in images}
    _refuse_shared_stems(images, root)
    exact, ended = defaultdict(list), defaultdict(list)
    for path in masks:
        folder = path.relative_to(mask_root).parent
        if (folder, stem(path)) in own:
            exact[folder, stem(path)].append(path)
        else:
            ended[folder, _parts(stem(path))[0]].append(path)
    found = {path: (*exact[key], *ended[key]) for key, path in own.items()}
    for path, several in found.items():
        _refuse_several_kinds(path, several)
    return _from_elsewhere(found, masks)


def refuse_unmatched(found: dict[Path, tuple[Path, ...]], masks: Sequence[Path], root: Path, where: Path) -> None:
    """Raise DataError when images have no mask, and masks no image: they are called otherwise."""
    lone = [image for image, own in found.items() if not own]
    spare = sorted(set(masks) - {mask for own in found.values() for mask in own})
    if lone and spare:
        what = f"{len(lone):,} of {len(found):,} images have no mask of their name, e.g. {lone[0].relative_to(root)}, "
        what += f"and {len(spare):,} masks no image, e.g. {spare[0].relative_to(where)}"
        fix = "call a mask as its image (x.png, x_mask.png), in the same sub-folder; or name both in a table"
        raise DataError(what, where=where, fix=fix)


def _from_elsewhere(found: dict[Path, tuple[Path, ...]], masks: Sequence[Path]) -> dict[Path, tuple[Path, ...]]:
    """Masks in another sub-folder, where names alone tell."""
    stems = Counter(stem(path) for path in found)
    spare: dict[str, list[Path]] = defaultdict(list)
    taken = {mask for own in found.values() for mask in own}
    for path in masks:
        if path not in taken:
            spare[stem(path) if stem(path) in stems else _parts(stem(path))[0]].append(path)
    for image, own in found.items():
        there = spare.get(stem(image), [])
        if not own and stems[stem(image)] == 1 and len({path.parent for path in there}) == 1:
            _refuse_several_kinds(image, there)
            found[image] = tuple(there)
    return found


def _parts(name: str) -> tuple[str, str]:
    """A name without the ending of a mask, and that ending without its number, in lower case."""
    if (match := ENDING.search(name)) is None or not match.start():
        return name, ""
    return name[: match.start()], name[match.start() : match.start(2)].strip(" _-(").lower()


def _refuse_shared_stems(images: Sequence[Path], root: Path) -> None:
    count = Counter((p.relative_to(root).parent, stem(p)) for p in images)
    if twice := [p for p in images if count[p.relative_to(root).parent, stem(p)] > 1]:
        what = f"two images share the name {stem(twice[0])!r}, so that their masks cannot be told apart"
        raise DataError(what, where=twice[0].parent, fix=f"rename one of {', '.join(p.name for p in twice[:2])}")


def _refuse_several_kinds(image: Path, masks: Sequence[Path]) -> None:
    kinds = {_parts(stem(path))[1] for path in masks}
    stems = Counter(stem(path) for path in masks)
    if len(kinds) > 1 or (stems and max(stems.values()) > 1):
        shown = ", ".join(path.name for path in masks[:3])
        fix = "leave one; several masks of an image are united when their names differ in a number alone"
        raise DataError(f"has masks that can be meant instead of each other: {shown}", where=image, fix=fix)
