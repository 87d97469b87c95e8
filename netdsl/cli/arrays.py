"""Arrays from `.npy` and `.npz` files, and to `.npy` files; nothing in a file is ever run or unpickled."""

import io
import math
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from netdsl.cli.paths import cannot_read
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.publish import publish
from netdsl.reading import open_regular

Array = NDArray[np.generic]

MAX_BYTES = 4 * 2**30
MAX_RANK = 32
_MAX_HEADER = 10_000
_HEADER = re.compile(
    r"\{\s*'descr':\s*('[^'\s]+'|\[.*\])\s*,\s*'fortran_order':\s*(True|False)\s*,"
    r"\s*'shape':\s*\(((?:\d{1,19}\s*,\s*)*(?:\d{1,19})?)\s*\)\s*,?\s*\}\s*"
)
_NUMBERS = re.compile(r"'(?:[|<>=]?(?:b1|[iu]1)|[<>=]?(?:[iu][248]|f[248]))'")


def read_npy(path: str) -> Array:
    """The array of a `.npy` file.

    Raises: NetError: E0701: it cannot be read; E0706: it is no array of numbers or bools, or too large.
    """
    try:
        with open_regular(Path(path)) as stream:
            return _read(path, stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        raise cannot_read(path, (error.strerror or str(error)).lower()) from None


def read_arrays(path: str) -> "Array | dict[str, Array]":
    """The array of a `.npy` file, or the fields of a struct from a `.npz` file.

    Raises: NetError: as `read_npy` and `read_npz`.
    """
    return read_npz(path) if path.endswith(".npz") else read_npy(path)


def read_npz(path: str) -> dict[str, Array]:
    """The arrays of a `.npz` file by name.

    Raises: NetError: E0701: it cannot be read; E0706: it is no archive of arrays of numbers or bools, or too large.
    """
    try:
        with open_regular(Path(path)) as descriptor, zipfile.ZipFile(descriptor) as archive:
            found = {}
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise _refused(path, f"it holds more than {MAX_BYTES:,} bytes")
            for entry in entries:
                with archive.open(entry) as stream:
                    found[entry.filename.removesuffix(".npy")] = _read(path, stream, entry.file_size)
            return found
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        raise _refused(path, "it is not a `.npz` file") from None
    except OSError as error:
        raise cannot_read(path, (error.strerror or str(error)).lower()) from None


def _read(path: str, stream: IO[bytes], size_bytes: int) -> Array:
    """The header is matched, not evaluated: numpy's own reader raises many kinds of errors on a wrong one."""
    magic, width = stream.read(8), 0
    if len(magic) == 8 and magic.startswith(b"\x93NUMPY"):
        width = {1: 2, 2: 4, 3: 4}.get(magic[6], 0)
        if not width:
            raise _refused(path, f"its format is version {magic[6]}.{magic[7]}, which is not known")
    length = int.from_bytes(stream.read(width), "little")
    match = _HEADER.fullmatch(stream.read(length).decode("latin-1")) if 0 < length <= _MAX_HEADER else None
    if match is None:
        raise _refused(path, "it is not a `.npy` file")
    written, order, sizes = match.groups()
    if not _NUMBERS.fullmatch(written):
        raise _refused(path, f"it holds {written[:40]}, not numbers or bools")
    dtype = np.dtype(written[1:-1])
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    if len(shape) > MAX_RANK:
        raise _refused(path, f"it has {len(shape)} axes, more than {MAX_RANK}")
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > MAX_BYTES:
        raise _refused(path, f"it holds {wanted:,} bytes, more than {MAX_BYTES:,}")
    there = size_bytes - stream.tell()
    if wanted != there:
        raise _refused(path, f"it holds {there:,} bytes of data where its header says {wanted:,}")
    data = np.frombuffer(stream.read(wanted), dtype)
    array = data.reshape(shape[::-1]).T if order == "True" else data.reshape(shape)
    return np.ascontiguousarray(array.astype(dtype.newbyteorder("="), copy=False)).reshape(shape)


def write_npy(path: Path, array: Any) -> None:
    """Write an array, atomically.

    Raises: NetError: as `publish`.
    """
    stream = io.BytesIO()
    npy.write_array(stream, np.asarray(array), allow_pickle=False)
    publish(path, stream.getvalue())


def _refused(path: str, reason: str) -> NetError:
    help = "write it with `numpy.save(path, array)`"
    return NetError(Diagnostic("E0706", f"`{path}` cannot be used: {reason}", help=help))
