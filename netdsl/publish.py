"""Output files appear whole or not at all, whatever happens while they are written."""

import contextlib
import errno
import io
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.record import dataclass

if sys.platform != "win32":
    import fcntl

Data = bytes | Callable[[BinaryIO], None]

_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_ABANDONED_AFTER_S = 24 * 3600


def publish(path: Path, data: Data) -> None:
    """Put `data` (bytes, or what a function writes into the file it is given) at `path`, all of it or nothing.

    A reader, and a machine that loses power, sees the old content or the new one. A new file gets the permissions that
    the umask leaves, a file that was there keeps its own. What an interrupted run left behind for `path` is removed.

    Raises: NetError: `path` cannot be written (an `OSError` of the function counts as that), or is a folder, a symbolic
        link or a device.
    """
    publish_all({path: data})


def publish_all(files: Mapping[Path, Data]) -> None:
    """Publish several files in the given order, after all of them have been written out.

    An error while writing changes no file. A crash between two replacements can leave the first files new and the
    last ones old, so the file that readers trust stands last.

    Raises: NetError: as in `publish`.
    """
    staged: list[_Staged] = []
    try:
        for path, data in files.items():
            with _reported(path):
                mode = _mode_of(path)
                staged.append(_Staged.create(path))
                staged[-1].fill(data, mode)
        for each in staged:
            with _reported(each.target):
                each.replace_target()
        for each in staged:
            with _reported(each.target):
                _sync_folder(each.target.parent)
    finally:
        for each in staged:
            each.discard()
    for path in files:
        with contextlib.suppress(OSError):
            _remove_abandoned(path)


@dataclass(slots=True)
class _Staged:
    """A temporary file in the folder of its target. Its lock says that its writer lives."""

    target: Path
    temporary: Path
    descriptor: int | None
    is_published: bool = False

    @classmethod
    def create(cls, target: Path) -> "_Staged":
        while True:
            temporary = target.parent / f"{_prefix(target)}{secrets.token_hex(8)}.tmp"
            descriptor = os.open(temporary, _CREATE, 0o600)
            staged = cls(target, temporary, descriptor)
            try:
                _lock(descriptor)
                if os.fstat(descriptor).st_nlink:
                    return staged
            except BaseException:
                staged.discard()
                raise
            staged.discard()  # another writer took it for an abandoned one, between its creation and its lock

    def fill(self, data: Data, mode: int) -> None:
        assert self.descriptor is not None
        with io.BufferedWriter(_Output(self.descriptor)) as stream:
            if callable(data):
                data(cast(BinaryIO, stream))
            else:
                stream.write(data)
        if hasattr(os, "fchmod"):
            os.fchmod(self.descriptor, mode)
        os.fsync(self.descriptor)

    def replace_target(self) -> None:
        if sys.platform == "win32":  # an open file cannot be renamed there
            self._close()
        os.replace(self.temporary, self.target)
        self.is_published = True

    def discard(self) -> None:
        """Remove the temporary file, unless it has become the target, and let go of its lock."""
        if not self.is_published:
            with contextlib.suppress(OSError):
                os.unlink(self.temporary)
        self._close()

    def _close(self) -> None:
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


class _Output(io.RawIOBase):
    """The raw end of a stream on an open descriptor; closing the stream leaves the descriptor open."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self.descriptor, offset, whence)

    def fileno(self) -> int:
        return self.descriptor

    def write(self, data: object) -> int:
        return os.write(self.descriptor, cast(bytes, data))


def _mode_of(path: Path) -> int:
    """The permissions of what will stand at `path`. A link is never followed, also not one that appears later.

    Raises: NetError: what is there must not be replaced, or has no folder.
    """
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not os.path.isdir(path.parent):
            raise NetError(
                Diagnostic(
                    "E0704",
                    f"cannot write `{path}`: its folder does not exist",
                    help=f"create the folder `{path.parent}` first",
                )
            ) from None
        return 0o666 & ~_umask()
    if stat.S_ISLNK(mode):
        raise NetError(
            Diagnostic(
                "E0703",
                f"cannot write `{path}`: expected a file, found a symbolic link",
                help="name the file that the link points to, or remove the link",
            )
        )
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "device or pipe"
        help = f"name a file in it: `{path / 'NAME'}`" if kind == "folder" else "name a file"
        raise NetError(Diagnostic("E0702", f"cannot write `{path}`: expected a file, found a {kind}", help=help))
    return stat.S_IMODE(mode) & 0o777


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a diagnostic about `path`."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        code = "E0705" if error.errno in _FULL else "E0701"
        help = "name another folder" if code == "E0701" else "make room, or name a folder on another disk"
        raise NetError(Diagnostic(code, f"cannot write `{path}`: {reason}", help=help)) from error


def _sync_folder(folder: Path) -> None:
    """Make the folder's new entries last; some file systems cannot be asked to (`EINVAL`)."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _prefix(target: Path) -> str:
    """How the names of temporary files for `target` begin; short enough for every file system."""
    return f".{target.name[:50]}.netdsl-"


def _remove_abandoned(target: Path) -> None:
    """Remove the temporary files for `target` whose writers are gone."""
    pattern = re.compile(re.escape(_prefix(target)) + r"[0-9a-f]{16}\.tmp")
    for name in os.listdir(target.parent):
        if pattern.fullmatch(name):
            with contextlib.suppress(OSError):
                _remove_if_abandoned(target.parent / name)


def _remove_if_abandoned(temporary: Path) -> None:
    if sys.platform == "win32":
        if time.time() - os.lstat(temporary).st_mtime > _ABANDONED_AFTER_S:
            os.unlink(temporary)
        return
    descriptor = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(temporary)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock the file until it is closed; a file system without locks has none to mistake for abandoned ones either."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _umask() -> int:
    """The process's umask, which can only be read by setting it: for that moment, to the strictest."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
