"""Writes artifacts: in a folder beside the destination that becomes the artifact at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from . import contract, tables
from ._disk import (
    JOURNAL,
    SOURCES,
    WORK,
    Lock,
    at,
    log,
    remove_staging,
    replace,
    sibling,
    sync_folders,
    write_synced,
)
from ._draft import Draft, sources
from ._json import dumps, loads
from ._place import check, destination, is_begun
from ._shard_writer import ShardWriter
from .artifact import PathLike
from .errors import Error, Refused
from .manifest import FILE, File, Manifest, digest_file

#: Seconds of work that may be deleted without consent.
SHORT = 60
_DIM_NAMES = {"image": ("C", "H", "W"), "features": ("cell", "channel")}


class Staging:
    """An artifact that is being written. Use it in a `with` block: at the end of the block the
    artifact takes its place in one step; if the block raises, what is finished stays beside it
    in `NAME.staging`, and the next run with the same parameters and inputs continues there."""

    def __init__(
        self, path: PathLike, wanted: Draft, discard: bool = False, force: bool = False
    ) -> None:
        self._draft = wanted
        self.path = destination(Path(path), wanted.folders)
        self.folder = sibling(self.path, ".staging")
        self._begun, self._before = time.time(), 0
        self._files: dict[str, File] = {}
        self._counts: dict[str, int] = {}
        self._abandoned = False
        self._lock = Lock(self.path)
        try:
            self._begin(discard or force, force)
        except OSError as why:
            self._lock.release()
            raise at(self.folder, why) from None
        except BaseException:
            self._lock.release()
            raise

    def _begin(self, discard: bool, force: bool) -> None:
        mine = self._draft.manifest
        there, goes_on = check(self.path, mine), is_begun(self.path)
        first, finished = _journal(self.folder)
        if goes_on and (force or first != mine.digest):
            goes_on = False
            self._may_delete(self.folder, _old(self.folder), _spent(self.folder), discard)
        if goes_on:
            log.info("continuing from %s", self.folder)
            self._before, self._files = _spent(self.folder) or 0, finished
        else:
            if there:
                self._may_delete(self.path, _old(self.path), _seconds(self.path), discard)
            remove_staging(self.folder)
        self.folder.mkdir(exist_ok=True)
        lines = [mine.digest] + [dumps(file._asdict()) for file in self._files.values()]
        journal = "".join(line + "\n" for line in lines).encode()
        if goes_on:
            write_synced(self.folder / JOURNAL, journal)
        else:  # the first file of the folder: it makes it a staging folder
            with open(self.folder / JOURNAL, "wb") as file:
                file.write(journal)
                file.flush()
                os.fsync(file.fileno())
        self._write_work(self._before)

    def _may_delete(
        self, folder: Path, old: Manifest | None, seconds: int | None, discard: bool
    ) -> None:
        """Refuses to delete more than a minute of other work without consent."""
        difference = self._draft.differs(old) if old else "parameters or inputs"
        if not difference:
            return
        took = "" if seconds is None else f", {seconds} s of work"
        what = f"{folder}: was made with other {difference}{took}"
        if discard or (seconds is not None and seconds <= SHORT):
            log.warning("%s; starting over", what)
            return
        raise Refused(
            f"{what}; nothing was deleted. Repeat its parameters and inputs, name another"
            " --output, or let this run delete it with --discard"
        )

    def _write_work(self, seconds: int) -> None:
        draft = {**self._draft.manifest.content(), "digest": ""}
        write_synced(self.folder / WORK, dumps({"seconds": seconds, "draft": draft}).encode())

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and not self._abandoned:
                self._commit()
            elif not self._files:
                remove_staging(self.folder)
        except OSError as why:
            if kind is None:
                raise at(self.folder, why) from None
        finally:
            self._lock.release()

    def abandon(self) -> None:
        """Ends without an artifact: there is nothing to do."""
        self._abandoned = True

    def __contains__(self, name: str) -> bool:
        """Whether this file is finished, by an interrupted run before this one."""
        return name in self._files or _shard_file(name) in self._files

    @contextmanager
    def file(self, name: str, rows: int | None = None) -> Iterator[Path]:
        """A context that gives the path at which to write the file `name`.

        >>> import attend, tempfile
        >>> with attend.artifact("thing", tempfile.mkdtemp() + "/t", producer=("x", "1")) as out:
        ...     with out.file("notes/words.txt") as path:
        ...         _ = path.write_text("hello")
        >>> attend.open(out.path).files[0].name
        'notes/words.txt'
        """
        path = self._path(name)
        yield path
        if not path.is_file():
            raise Error(f"{self.path}: {name} was not written")
        self._enter(name, rows)

    def table(self, name: str, rows: Any) -> None:
        """Writes a Parquet table: a list of dictionaries, a dictionary of columns, or anything
        that Arrow takes for a table. Checks the columns that the contract names."""
        path = self._path(name)
        self._enter(name, tables.write(path, rows))

    def json(self, name: str, value: Any, indent: int = 2) -> None:
        """Writes a JSON file."""
        path = self._path(name)
        path.write_text(dumps(value, indent) + "\n", encoding="utf-8")
        self._enter(name, None)

    @contextmanager
    def shard(
        self,
        name: str,
        column: str,
        shape: Sequence[int],
        dtype: str,
        dim_names: Sequence[str] | None = None,
    ) -> Iterator[ShardWriter]:
        """A context that gives a `ShardWriter` for the shard `name` (`train-00000`): `append`
        the tensor of each image. `dtype` is `u8`, `f16` or `f32`."""
        if dim_names is None:
            dim_names = _DIM_NAMES.get(column) or [f"dim_{n}" for n in range(len(shape))]
        name = _shard_file(name)
        with open(self._path(name), "wb") as file:
            writer = ShardWriter(file, name, column, shape, dtype, dim_names)
            yield writer
            digest = writer.finish()
        self._enter(name, writer.rows, digest)

    def counts(self, **counts: int) -> None:
        """Sets counts of the manifest. Those that follow from the files need not be given."""
        self._counts.update({name: int(n) for name, n in counts.items()})

    def note(self, path: PathLike) -> None:
        """Notes a loose file or folder that shapes the artifact, so that the runner knows
        without starting the stage whether it has changed."""
        self._draft.loose.append(Path(path))

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if name in (FILE, "") or "" in parts or any(part.startswith(".") for part in parts):
            raise Error(f"{name!r} is no name for a file of an artifact")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path

    def _enter(self, name: str, rows: int | None, digest: str | None = None) -> None:
        path = self.folder / name
        if digest is None:
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
        size = path.stat().st_size
        entry = File(name, size, rows, digest or digest_file(path))
        self._files[name] = entry
        with open(self.folder / JOURNAL, "ab") as journal:
            journal.write((dumps(entry._asdict()) + "\n").encode())
            journal.flush()
            os.fsync(journal.fileno())

    def _commit(self) -> None:
        files = [self._files[name] for name in sorted(self._files, key=str.encode)]
        manifest = self._draft.manifest._replace(files=files)
        contract.check(manifest)
        counts = {**contract.counts(manifest, self.folder), **self._counts}
        manifest = manifest._replace(counts=counts)
        check(self.path, manifest)
        self._remove_others()
        seconds = self._before + int(time.time() - self._begun)
        self._write_work(seconds)
        write_synced(self.folder / SOURCES, sources(self._draft.loose))
        write_synced(self.folder / FILE, manifest.text().encode())
        sync_folders(self.folder)
        replace(self.folder, self.path)
        log.info("%s: %s %s", self.path, manifest.kind, manifest.digest[:12])

    def _remove_others(self) -> None:
        keep = {*self._files, JOURNAL, WORK}
        for below, folders, names in os.walk(self.folder, topdown=False):
            for name in names:
                path = Path(below, name)
                if path.relative_to(self.folder).as_posix() not in keep:
                    path.unlink()
            for name in folders:
                if not os.listdir(Path(below, name)):
                    Path(below, name).rmdir()


def _shard_file(name: str) -> str:
    return name if name.endswith(".arrow") else f"shards/{name}.arrow"


def _journal(folder: Path) -> tuple[str, dict[str, File]]:
    """The digest of the draft of the run that began a staging folder, and the files that it
    finished and that still have their sizes."""
    try:
        lines = (folder / JOURNAL).read_bytes().decode(errors="replace").split("\n")
    except OSError:
        return "", {}
    finished = {}
    for line in lines[1:-1]:  # the last one is incomplete
        try:
            entry = loads(line)
            file = File(*(entry[key] for key in File._fields))
            if (folder / file.name).stat().st_size == file.bytes:
                finished[file.name] = file
        except (ValueError, LookupError, TypeError, OSError):
            continue
    return (lines[0] if len(lines) > 1 else ""), finished


def _work(folder: Path) -> dict[str, Any]:
    try:
        return dict(loads((folder / WORK).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _seconds(folder: Path) -> int | None:
    """Seconds that an artifact took to make, if that is known."""
    seconds = _work(folder).get("seconds")
    return seconds if isinstance(seconds, int) else None


def _spent(folder: Path) -> int | None:
    """Seconds that runs worked on a staging folder, up to the time of its newest file."""
    seconds = _seconds(folder)
    if seconds is None:
        return 0 if all(name.startswith(".") for name in os.listdir(folder)) else None
    times = [
        os.lstat(os.path.join(below, name)).st_mtime
        for below, _, names in os.walk(folder)
        for name in names
    ]
    return seconds + max(0, int(max(times) - (folder / WORK).stat().st_mtime))


def _old(folder: Path) -> Manifest | None:
    """What an artifact or a staging folder was begun with, if that is known."""
    try:
        return Manifest.read(folder)
    except Refused:
        pass
    try:
        return Manifest.parse(_work(folder)["draft"])
    except (LookupError, TypeError):
        return None
