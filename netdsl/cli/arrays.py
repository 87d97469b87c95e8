"""Arrays from and to `.npy` files; nothing in a file is ever run or unpickled."""

import io
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.publish import publish

Array = NDArray[np.generic]

MAX_BYTES = 4 * 2**30
MAX_RANK = 32


def read_npy(path: str) -> Array:
    """The array of a `.npy` file.

    Raises: NetError: E0701: it cannot be read; E0706: it is no array of numbers or bools, or too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as stream:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise _refused(path, "it is not a regular file")
            return _read(path, stream, info.st_size)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(Diagnostic("E0701", f"`{path}` cannot be read: {reason}")) from None


def _read(path: str, stream: io.BufferedReader, size_bytes: int) -> Array:
    try:
        version = npy.read_magic(stream)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read_header is None:
            raise _refused(path, f"its format is version {version[0]}.{version[1]}, not 1.0 or 2.0")
        shape, is_fortran, dtype = read_header(stream, max_header_size=10_000)
    except ValueError as error:
        raise _refused(path, f"it is not a `.npy` file: {str(error).splitlines()[0]}") from None
    if dtype.hasobject or dtype.kind not in "biuf":
        raise _refused(path, f"it holds {dtype}, not numbers or bools")
    if len(shape) > MAX_RANK or any(size < 0 for size in shape):
        raise _refused(path, "its shape is no shape")
    count = 1
    for size in shape:
        count *= size
    wanted = count * dtype.itemsize
    if wanted > MAX_BYTES:
        raise _refused(path, f"it holds {wanted:,} bytes, more than {MAX_BYTES:,}")
    if wanted != size_bytes - stream.tell():
        raise _refused(path, f"it holds {size_bytes - stream.tell():,} bytes of data where its header says {wanted:,}")
    data = np.frombuffer(stream.read(wanted), dtype)
    array = data.reshape(shape[::-1]).T if is_fortran else data.reshape(shape)
    return np.ascontiguousarray(array.astype(dtype.newbyteorder("="), copy=False)).reshape(shape)


def write_npy(path: Path, array: Any) -> None:
    """Write an array, atomically.

    Raises: NetError: as `publish`.
    """
    stream = io.BytesIO()
    npy.write_array(stream, np.asarray(array), allow_pickle=False)
    publish(path, stream.getvalue())


def _refused(path: str, reason: str) -> NetError:
    return NetError(Diagnostic("E0706", f"`{path}` cannot be used: {reason}"))
