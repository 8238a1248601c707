"""Locks, syncs and renames, as attend's own programs do them (crates/artifact/src/staging)."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ._json import dumps
from .errors import Error, Refused
from .manifest import Manifest, Producer

try:
    import fcntl
except ImportError:  # no Unix
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("attend")

#: A folder of an artifact that replaces another one, until that one is removed.
REPLACED = ".replaced"
#: Hidden files of artifacts that are no content: finished files, the run's draft and its
#: seconds, loose files, notes.
JOURNAL, WORK, SOURCES, NOTES = ".journal.jsonl", ".work.json", ".sources", ".notes"


def sibling(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def write_synced(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as why:
        if why.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)


def sync_folders(folder: Path) -> None:
    for below, _, _ in os.walk(folder):
        sync_folder(Path(below))


class Lock:
    """While it is held, no other run writes the artifact at `destination`."""

    def __init__(self, destination: Path) -> None:
        destination.parent.mkdir(parents=True, exist_ok=True)
        self._file = _acquire(sibling(destination, ".lock"), destination)
        remove_replaced(destination)

    def release(self) -> None:
        self._file.close()


def _acquire(path: Path, destination: Path) -> BinaryIO:
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    holder = file.read(200).decode(errors="replace").strip()
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = f"another run ({holder})" if holder else "another run"
            log.info("%s is writing %s; waiting for it", who, destination)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as why:
            log.warning("%s: no lock to be had (%s); going on without", path, why.strerror)
    if not holder or holder.startswith("process "):
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        file.flush()
    return file


def replace(folder: Path, destination: Path) -> None:
    """Replaces `destination` by `folder`: in one step if the system can exchange two names,
    else the old one is moved into the new one first."""
    if destination.exists():
        (folder / REPLACED).mkdir()
        if not _exchange(folder, destination):
            os.rename(destination, folder / REPLACED / destination.name)
            os.rename(folder, destination)
        remove_replaced(destination)
    else:
        os.rename(folder, destination)
    sync_folder(destination.parent)


def remove_replaced(destination: Path) -> None:
    """Removes the artifact that the one at `destination` has replaced. It is in the folder
    `REPLACED`; if that is empty, the names were exchanged, and it is the staging folder."""
    replaced = destination / REPLACED
    if not replaced.is_dir():
        return
    try:
        Manifest.read(destination)
    except Refused:
        return  # what is no artifact has replaced nothing
    if not any(replaced.iterdir()):
        remove_staging(sibling(destination, ".staging"))
    remove(replaced)


def remove_staging(folder: Path) -> None:
    """Removes a staging folder. What makes it one goes last, so that a half-removed one can be
    told from a folder of the user, and be deleted without consent."""
    if not folder.exists():
        return
    nothing = Manifest("", 1, Producer("", ""), {}, {}, [], {}).content()
    work = dumps({"seconds": 0, "draft": {**nothing, "digest": ""}}).encode()
    with suppress(OSError):  # a full disk must not prevent the removal
        write_synced(folder / WORK, work)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif not path.name.startswith(".journal") and path.name != WORK:
            path.unlink()
    shutil.rmtree(folder)


def remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _exchange(a: Path, b: Path) -> bool:
    rename: Any = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2
    return rename is not None and rename(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0


def followed(path: Path) -> Path:
    """The target of a link, even if nothing is there yet."""
    for _ in range(40):
        if not path.is_symlink():
            break
        path = path.parent / os.readlink(path)
    return path


def at(path: Path, why: OSError) -> Error:
    """The error of an operation on `path`."""
    return Error(f"{why.filename or path}: {why.strerror or why}")
