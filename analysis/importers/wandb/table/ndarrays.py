"""Columns of NumPy arrays, which W&B saves beside a table as `.npz`."""

import math
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from secondguess.analysis.errors import BadInput, NotFound
from secondguess.analysis.importers.wandb.media import MediaFiles
from secondguess.analysis.importers.wandb.table.types import WandbType
from secondguess.analysis.opening import open_regular

_LIMIT = 256 << 20


def load_arrays(types: Sequence[WandbType], files: MediaFiles | None) -> tuple[dict[int, NDArray[Any]], list[str]]:
    """The arrays of the columns that have them, by column, one per row; and what to say of those that are left out."""
    arrays, notes = {}, []
    for column, kind in enumerate(types):
        if kind.array is None:
            continue
        path, key = kind.array
        try:
            if files is None:
                raise NotFound(f"no folder to take {path!r} from")
            with open_regular(files.local(path)) as file:
                arrays[column] = _load(file, path, key)
        except (NotFound, BadInput) as error:
            notes.append(f"the arrays of column {key!r} are read as NULL: {error}")
    return arrays, notes


def _load(file: BinaryIO, path: str, key: str) -> NDArray[Any]:
    """One array out of an `.npz`; raises BadInput where it is none, is too large, or holds pickled objects."""
    try:
        with zipfile.ZipFile(file) as archive:
            member = archive.getinfo(f"{key}.npy")
            with archive.open(member) as head:
                version = np.lib.format.read_magic(head)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(head)
            if dtype.hasobject:
                raise BadInput(f"{path!r} holds pickled Python objects, which are never loaded")
            if math.prod(shape) * dtype.itemsize > min(_LIMIT, member.file_size) or not shape:
                raise BadInput(f"{path!r} claims an array of {shape}; at most {_LIMIT:,} bytes are read")
            with archive.open(member) as data:
                array: NDArray[Any] = np.lib.format.read_array(data, allow_pickle=False)
                return array
    except (KeyError, ValueError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise error if isinstance(error, BadInput) else BadInput(f"{path!r} is no array file: {error}") from None
