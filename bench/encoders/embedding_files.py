"""Files of precomputed features: npz or parquet, by split and image id, without pickle."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.encoders.features import Features
from bench.errors import EncoderError, UserError
from bench.files import npz_bytes, npz_names, read_npz, sha256_file, write_atomic
from bench.words import SPLITS

Splits = dict[str, tuple[np.ndarray, Features]]
"""Split name -> (ids (n,), features)."""
MAX_BYTES = 16 << 30
PACKED, SURE = 200, 1 << 28
"""How many times its own size a file may unpack to, beyond this many bytes: features, also sparse ones, pack less."""


def write_embeddings(path: Path | str, splits: Mapping[str, tuple[Sequence[str] | np.ndarray, Features]]) -> str:
    """Write one task's features, atomically; `.npz` or `.parquet` by the path's ending. Returns the file's sha256.

    splits: split name -> (ids, features). The same features give the same bytes. Raises EncoderError for ids that
    repeat or do not fit the features, and for values that are not finite.
    """
    path = Path(path)
    held = {name: (np.asarray(ids, dtype=np.str_), features) for name, (ids, features) in splits.items()}
    _check(held, path)
    if path.suffix == ".npz":
        write_atomic(path, npz_bytes(_to_arrays(held)))
    elif path.suffix == ".parquet":
        write_atomic(path, _to_parquet(held))
    else:
        raise EncoderError("embeddings are .npz or .parquet files", where=path)
    return sha256_file(path)


def read_embeddings(path: Path) -> Splits:
    """Inverse of `write_embeddings`. Raises EncoderError when the file is not what it should be."""
    try:
        npz = path.suffix == ".npz"
        held = _from_arrays(read_npz(path, max_bytes=_most(path)), path) if npz else _from_parquet(path)
    except EncoderError:
        raise
    except UserError as error:
        raise EncoderError(error.what, where=error.where, fix=error.fix) from None
    _check(held, path)
    return held


def check_names(path: Path) -> None:
    """EncoderError when a file's arrays or columns are not called as features are; none of them is read."""
    if path.suffix == ".parquet":
        _columns(path)
        return
    try:
        _split_names(npz_names(path), path)
    except EncoderError:
        raise
    except UserError as error:
        raise EncoderError(error.what, where=error.where, fix=error.fix) from None


def _check(held: Splits, path: Path) -> None:
    if not held:
        raise EncoderError("holds no split", where=path)
    if len({f.pooled.shape[1:] for _, f in held.values() if f.pooled is not None}) > 1:
        raise EncoderError("features of different splits differ in length", where=path)
    for split, (ids, features) in held.items():
        where = f"{path}, split {split!r}"
        if split not in SPLITS:
            raise EncoderError(f"unknown split {split[:80]!r}", where=path, fix=f"one of: {', '.join(SPLITS)}")
        if len(np.unique(ids)) != len(ids):
            raise EncoderError("an id occurs twice", where=where)
        for name, array, ndims in (("pooled", features.pooled, (2,)), ("grid", features.grid, (4, 5))):
            if array is None:
                continue
            if array.ndim not in ndims or len(array) != len(ids) or array.dtype.kind != "f":
                raise EncoderError(f"{name} is {array.dtype} {array.shape} for {len(ids)} ids", where=where)
            if not np.isfinite(array).all():
                raise EncoderError(f"{name} holds NaN or infinite values", where=where)
            if not array[:1].size and len(array):
                raise EncoderError(f"{name} has no features: its shape is {array.shape}", where=where)
            if array.dtype.itemsize > 4 and np.abs(array).max(initial=0) > np.finfo(np.float32).max:
                raise EncoderError(f"{name} holds values beyond those of float32", where=where)
        if features.pooled is None:
            raise EncoderError("has no pooled features", where=where)


def _most(path: Path) -> int:
    """Bytes that a file of features may unpack to."""
    size = path.stat().st_size if path.is_file() else 0
    return min(MAX_BYTES, max(SURE, PACKED * size))


def _to_arrays(held: Splits) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for split, (ids, features) in held.items():
        arrays[f"{split}/ids"] = ids
        arrays[f"{split}/pooled"] = features.vectors.astype(np.float32)
        if features.grid is not None:
            arrays[f"{split}/grid"] = features.grid
    return arrays


def _from_arrays(arrays: dict[str, np.ndarray], path: Path) -> Splits:
    return {
        split: (
            arrays[f"{split}/ids"].astype(np.str_),
            Features(arrays[f"{split}/pooled"], arrays.get(f"{split}/grid")),
        )
        for split in _split_names(list(arrays), path)
    }


def _split_names(names: Sequence[str], path: Path) -> list[str]:
    """The splits that arrays are of. Raises EncoderError when their names are not those of features."""
    splits = sorted({name.split("/")[0] for name in names})
    for split in splits:
        extra = {n for n in names if n.split("/")[0] == split} - {f"{split}/{k}" for k in ("ids", "pooled", "grid")}
        if extra or f"{split}/ids" not in names or f"{split}/pooled" not in names:
            raise EncoderError(
                f"has the arrays {', '.join(sorted(names))[:200]}",
                where=path,
                fix="expected '{split}/ids', '{split}/pooled' and maybe '{split}/grid'",
            )
    return splits


def _to_parquet(held: Splits) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for split, (ids, features) in held.items():
        columns = {"split": pa.array([split] * len(ids)), "id": pa.array(ids.tolist())}
        columns["pooled"] = _lists(features.vectors.astype(np.float32))
        if features.grid is not None:
            if features.grid.ndim == 5:
                raise EncoderError("grids of volumes are kept in .npz files")
            gh, gw = features.grid.shape[1:3]
            columns |= {"grid": _lists(features.grid.reshape(len(ids), -1).astype(np.float32))}
            columns |= {name: pa.array([side] * len(ids), pa.int32()) for name, side in (("gh", gh), ("gw", gw))}
        tables.append(pa.table(columns))
    buffer = io.BytesIO()
    pq.write_table(pa.concat_tables(tables), buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def _lists(rows: np.ndarray):
    import pyarrow as pa

    offsets = np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int64)
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(rows.reshape(-1)))


def _columns(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        held = pq.read_schema(path).names
    except (pa.ArrowException, OSError, ValueError) as error:
        raise EncoderError(f"is not an embeddings file: {str(error)[:200]}", where=path) from None
    if missing := [name for name in ("split", "id", "pooled") if name not in held]:
        what = f"has the columns {', '.join(held)[:200]}, not {', '.join(missing)}"
        raise EncoderError(what, where=path, fix="expected 'split', 'id', 'pooled' and maybe 'grid', 'gh', 'gw'")


def _from_parquet(path: Path) -> Splits:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if _bytes_in_memory(pq.read_metadata(path)) > MAX_BYTES:
            raise EncoderError(f"unpacks to more than {MAX_BYTES:,} bytes", where=path)
        _check_types(pq.read_schema(path), path)
        table = pq.read_table(path, read_dictionary=["split", "id"], page_checksum_verification=True)
        names, ids = (_texts(table[name], path) for name in ("split", "id"))
        pooled = _rectangle(table["pooled"])
        grid = None
        if "grid" in table.column_names:
            gh, gw = (int(table[name][0].as_py()) for name in ("gh", "gw"))
            grid = _rectangle(table["grid"]).reshape(len(ids), gh, gw, -1)
    except (pa.ArrowException, OSError, KeyError, ValueError, IndexError, TypeError) as error:
        raise EncoderError(f"is not an embeddings file: {str(error)[:200]}", where=path) from None
    splits = {str(name): names == name for name in dict.fromkeys(names)}
    return {n: (ids[rows], Features(pooled[rows], None if grid is None else grid[rows])) for n, rows in splits.items()}


def _check_types(schema, path: Path) -> None:
    """EncoderError where split and id are no texts, or features no lists of floating-point numbers."""
    import pyarrow.types as of

    texts = {n: getattr(schema.field(n).type, "value_type", schema.field(n).type) for n in ("split", "id")}
    lists = {n: schema.field(n).type for n in ("pooled", "grid") if n in schema.names}
    wrong = [f"{n} is {kind}, expected text" for n, kind in texts.items() if not _is_text(kind)]
    wrong += [
        f"{n} is {kind}, expected lists of floats"
        for n, kind in lists.items()
        if not (of.is_list(kind) or of.is_large_list(kind) or of.is_fixed_size_list(kind))
        or not of.is_floating(kind.value_type)
    ]
    if wrong:
        raise EncoderError(wrong[0], where=path)


def _is_text(kind) -> bool:
    import pyarrow.types as of

    return of.is_string(kind) or of.is_large_string(kind)


def _bytes_in_memory(meta) -> int:
    """Bytes of a file's values at the most, whatever they are packed in: a run of equal ones takes none in the file."""
    groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
    return sum(max(g.total_byte_size, 8 * sum(g.column(i).num_values for i in range(g.num_columns))) for g in groups)


def _texts(column, path: Path) -> np.ndarray:
    """str (n,) from a column of text in dictionaries. Raises EncoderError when it unpacks to more than MAX_BYTES."""
    longest = max((len(text) for chunk in column.chunks for text in chunk.dictionary.to_pylist()), default=0)
    if 4 * longest * len(column) > MAX_BYTES:
        raise EncoderError(f"unpacks to more than {MAX_BYTES:,} bytes", where=path)
    return column.to_numpy(zero_copy_only=False).astype(np.str_)


def _rectangle(column) -> np.ndarray:
    """(n, d) from a column of n lists of equal length. Raises ValueError when they differ."""
    array = column.combine_chunks()
    lengths = np.unique(array.value_lengths().to_numpy(zero_copy_only=False))
    if len(lengths) != 1:
        raise ValueError("features of different lengths")
    return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), int(lengths[0]))
