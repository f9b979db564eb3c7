"""Clinical files of known pixels, for tests: DICOM, NIfTI, COCO."""

import json
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MODALITIES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"


def dicom(pixels, *, modality="OT", colours=None, bits=None, syntax=None, **tags):
    """A DICOM file in memory: pixels (h, w), (h, w, 3) or (n, h, w) of 8 or 16 bits; colour is (h, w, 3), uint8."""
    pixels = np.asarray(pixels)
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3 and pixels.dtype == np.uint8
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MODALITIES.get(modality, SECONDARY)
    meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = generate_uid(), ExplicitVRLittleEndian
    file = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.Modality, file.PatientName, file.PatientBirthDate = modality, "Doe^Jane", "19700101"
    file.SeriesInstanceUID = "1.2.3"
    file.Rows, file.Columns = pixels.shape[:2] if colour or pixels.ndim == 2 else pixels.shape[1:3]
    if pixels.ndim == 3 and not colour:
        file.NumberOfFrames = len(pixels)
    file.SamplesPerPixel = 3 if colour else 1
    if colour:
        file.PlanarConfiguration = 0
    file.PhotometricInterpretation = colours or ("RGB" if colour else "MONOCHROME2")
    file.BitsAllocated = pixels.dtype.itemsize * 8
    file.BitsStored = bits or file.BitsAllocated
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for key, value in tags.items():
        setattr(file, key, value)
    if syntax is not None:
        file.compress(syntax)
    return file


def write_dicom(path: Path, pixels, **tags) -> Path:
    """`dicom` as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dicom(pixels, **tags).save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, slices, *, spacing=(1.0, 1.0, 1.0), names=None, **tags) -> Path:
    """A folder of axial slices (n, h, w), inferior first, under names in another order."""
    cosines = tags.pop("cosines", [1, 0, 0, 0, 1, 0])
    normal = np.cross(cosines[:3], cosines[3:])
    for i, pixels in enumerate(slices):
        corner = (normal * i * spacing[0] + [-10.0, -20, 30]).tolist()
        name = f"{(i * 7 + 3) % 1000:03d}.dcm" if names is None else names[i]
        where = {"ImagePositionPatient": corner, "ImageOrientationPatient": list(cosines)}
        write_dicom(folder / name, pixels, PixelSpacing=list(spacing[1:]), **where, **tags)
    return folder


def write_nifti(path: Path, voxels, affine=None) -> Path:
    """Voxels (i, j, k) with an affine to RAS+ in mm."""
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    image.set_sform(image.affine, code=1)
    nibabel.save(image, path)
    return path


def radiological(slices, spacing=(1.0, 1.0, 1.0)):
    """Axial slices (n, h, w) as voxels in RAS+ and their affine."""
    voxels = np.asarray(slices).transpose(2, 1, 0)[::-1, ::-1]
    return np.ascontiguousarray(voxels), np.diag([spacing[2], spacing[1], spacing[0], 1.0])


def write_decathlon(folder: Path, n: int = 16, *, labels=None, modality="CT", seed: int = 0) -> Path:
    """A folder as the Medical Segmentation Decathlon has them: CT of 4 to 6 slices of 32 x 24 with a bright box."""
    rng, listed = np.random.default_rng(seed), []
    for i in range(n):
        image = rng.normal(-100, 40, (4 + i % 3, 32, 24))
        image[0, 0, 0] = -1000
        mask = np.zeros(image.shape, np.uint8)
        top, left = rng.integers(2, 14, 2)
        mask[1:3, top : top + 12, left : left + 8] = 1
        name = f"spleen_{i}.nii.gz"
        write_nifti(folder / "imagesTr" / name, *radiological((image + 150 * mask).astype(np.int16), (5, 1, 1)))
        write_nifti(folder / "labelsTr" / name, *radiological(mask, (5, 1, 1)))
        listed.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    write_nifti(folder / "imagesTs" / "spleen_99.nii.gz", *radiological(np.zeros((9, 32, 24), np.int16), (5, 1, 1)))
    about = {"name": "Spleen", "modality": {"0": modality}, "labels": labels or {"0": "background", "1": "spleen"}}
    (folder / "dataset.json").write_text(json.dumps(about | {"numTraining": n, "training": listed, "test": []}))
    return folder


def rle(mask):
    """A mask (h, w) as uncompressed run lengths of COCO."""
    flat = np.asarray(mask, bool).T.ravel()
    edges = np.flatnonzero(np.diff(np.r_[False, flat]) != 0)
    return {"size": list(mask.shape), "counts": np.diff(np.r_[0, edges, flat.size]).tolist()}


def packed(counts):
    """Run lengths in the compressed form of the COCO API."""
    text = ""
    for i, count in enumerate(counts):
        value, more = int(count - (counts[i - 2] if i > 2 else 0)), True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr((bits | (32 if more else 0)) + 48)
    return text


def coco(masks, names, classes, segmentation=rle):
    """A COCO file as plain data: masks (n, h, w) of class indices."""
    images = [
        {"id": i, "file_name": n, "height": m.shape[0], "width": m.shape[1]}
        for i, (n, m) in enumerate(zip(names, masks, strict=True))
    ]
    found = [
        {"id": f"{i}-{c}", "image_id": i, "category_id": c, "segmentation": segmentation(mask == c)}
        for i, mask in enumerate(masks)
        for c in range(1, len(classes))
        if (mask == c).any()
    ]
    kinds = [{"id": c, "name": name} for c, name in enumerate(classes) if c]
    return {"images": images, "annotations": found, "categories": kinds}


def write_coco(path: Path, *args, **kwargs) -> Path:
    """`coco` as a file."""
    path.write_text(json.dumps(coco(*args, **kwargs)))
    return path
