"""`manifest.json`: an artifact's kind, its origin and its files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from blake3 import blake3

from ._json import dumps, loads
from .errors import Error, Refused

#: The file that makes a folder an artifact. It is written last.
FILE = "manifest.json"

_NEWER = {"features": 2, "model": 2, "evaluation": 2}


def schema(kind: str) -> int:
    """The schema version that this package writes for a kind, and the newest that it reads.

    >>> schema("features"), schema("dataset")
    (2, 1)
    """
    return _NEWER.get(kind, 1)


class Producer(NamedTuple):
    """A program, by name and version."""

    name: str
    version: str


class Input(NamedTuple):
    """What an artifact was made from: another artifact with its digest, or a loose file (of a
    kind such as `weights`) with its BLAKE3."""

    kind: str
    digest: str


class File(NamedTuple):
    """A file of an artifact: its name with `/`, its size, its rows if it has any, its BLAKE3."""

    name: str
    bytes: int
    rows: int | None
    blake3: str


class Manifest(NamedTuple):
    """The contents of `manifest.json`."""

    kind: str
    schema: int
    producer: Producer
    config: dict[str, Any]
    inputs: dict[str, Input]
    files: list[File]
    counts: dict[str, int]

    def content(self) -> dict[str, Any]:
        """The content as JSON has it, without the digest."""
        return {
            "kind": self.kind,
            "schema": self.schema,
            "producer": self.producer._asdict(),
            "config": self.config,
            "inputs": {name: self.inputs[name]._asdict() for name in sorted(self.inputs)},
            "files": [file._asdict() for file in self.files],
            "counts": {name: self.counts[name] for name in sorted(self.counts)},
        }

    @property
    def digest(self) -> str:
        """BLAKE3 of the content as compact JSON with sorted keys."""
        return blake3(dumps(self.content(), sort=True).encode()).hexdigest()

    def text(self) -> str:
        """The file's text."""
        return dumps({**self.content(), "digest": self.digest}, indent=2) + "\n"

    def file(self, name: str) -> File | None:
        """The entry of a file."""
        return next((file for file in self.files if file.name == name), None)

    @staticmethod
    def parse(value: dict[str, Any]) -> Manifest:
        """The manifest in a JSON object, whose digest is not looked at."""
        return Manifest(
            kind=_typed(value, "kind", str),
            schema=_typed(value, "schema", int),
            producer=_fields(Producer, _typed(value, "producer", dict)),
            config=_typed(value, "config", dict),
            inputs={k: _fields(Input, v) for k, v in _typed(value, "inputs", dict).items()},
            files=[_fields(File, {"rows": None, **v}) for v in _typed(value, "files", list)],
            counts=_typed(value, "counts", dict),
        )

    @staticmethod
    def read(folder: Path) -> Manifest:
        """Reads and checks the manifest of the artifact in `folder`."""
        path = folder / FILE
        try:
            value = loads(path.read_bytes())
            newest = schema(str(value["kind"]))
            if value["schema"] > newest:
                raise Refused(
                    f"{path}: schema version {value['schema']} is newer than version {newest},"
                    " the newest that this package knows; update attend-artifacts"
                )
            manifest, digest = Manifest.parse(value), _typed(value, "digest", str)
        except (FileNotFoundError, NotADirectoryError):
            why = "has no manifest.json, so it is not a finished artifact"
            why = why if folder.exists() else "does not exist"
            raise Refused(f"{folder} {why}; run the stage that makes it") from None
        except OSError as why:
            raise Error(f"{path}: {why.strerror}") from None
        except (ValueError, TypeError, LookupError, RecursionError) as why:
            raise Refused(f"{path}: not a manifest ({why}); make the artifact again") from None
        for file in manifest.files:
            name = PurePosixPath(file.name)
            if name.is_absolute() or not name.parts or ".." in name.parts:
                raise Refused(f"{path}: it lists {file.name!r}, which is not in this folder")
        if manifest.digest != digest:
            raise Refused(
                f"{path}: it states the digest {digest[:12]}, but its content has"
                f" {manifest.digest[:12]}: the manifest was changed; make the artifact again"
            )
        return manifest


def _fields(kind: Any, value: dict[str, Any]) -> Any:
    return kind(*(value[name] for name in kind._fields))


def _typed(value: dict[str, Any], key: str, kind: type) -> Any:
    if key not in value:
        raise LookupError(f"no {key}")
    if not isinstance(value[key], kind):
        raise TypeError(f"{key} is a {type(value[key]).__name__}")
    return value[key]


def digest_file(path: Path) -> str:
    """BLAKE3 of a file's bytes, in hexadecimal."""
    hasher = blake3()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                hasher.update(chunk)
    except OSError as why:
        raise Error(f"{path}: {why.strerror}") from None
    return hasher.hexdigest()
