"""What an artifact is made from, known before it is made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Union

from ._json import dumps, loads
from .artifact import Artifact, PathLike
from .errors import BadInput, Error, Refused
from .manifest import Input, Manifest, Producer, digest_file, schema


class Loose(NamedTuple):
    """A loose file, of no artifact, as an input: the word for it, and its path."""

    kind: str
    path: Path


#: What an artifact may be made from: an artifact or its folder, a loose file, an entry of a
#: manifest.
Source = Union[Artifact, PathLike, Loose, Input]


class Draft(NamedTuple):
    """What an artifact is to be made from: its manifest without files, and its loose files."""

    manifest: Manifest
    loose: list[Path]
    folders: list[Path]

    def differs(self, old: Manifest) -> str:
        """How an older artifact was made: other parameters or inputs, or `""` if the same."""
        new, said = self.manifest, []
        if old.producer != new.producer:
            said.append(f"programs ({' '.join(old.producer)} -> {' '.join(new.producer)})")
        changed = []
        for section in {**old.config, **new.config}:
            a, b = old.config.get(section) or {}, new.config.get(section) or {}
            for key in {**a, **b}:
                if _exactly(a.get(key)) != _exactly(b.get(key)):
                    changed.append(
                        f"{section}.{key} {_exactly(a.get(key))} -> {_exactly(b.get(key))}"
                    )
        said += [f"parameters ({', '.join(changed)})"] if changed else []
        changed = []
        for name in {**old.inputs, **new.inputs}:
            a_input, b_input = old.inputs.get(name), new.inputs.get(name)
            if a_input != b_input:
                digests = [entry.digest[:12] if entry else "none" for entry in (a_input, b_input)]
                changed.append(f"{name} {' -> '.join(digests)}")
        said += [f"inputs ({', '.join(changed)})"] if changed else []
        return " and other ".join(said)


def _exactly(value: Any) -> str:
    return "none" if value is None else dumps(value, sort=True)


def check_file(source: Loose) -> Path:
    """The path of a loose file, which must be there."""
    path = Path(source.path)
    if not path.is_file():
        why = "is no regular file" if path.exists() else "no such file"
        raise BadInput(f"{path}: {why}")
    return path


def draft(
    kind: str, producer: Sequence[str], config: Mapping[str, Any], inputs: Mapping[str, Source]
) -> Draft:
    """Reads the digests of the inputs."""
    loose, folders, entries = [], [], {}
    for name, source in inputs.items():
        if isinstance(source, Loose):
            path = check_file(source)
            loose.append(path)
            entries[name] = Input(source.kind, digest_file(path))
        elif isinstance(source, Input):
            entries[name] = source
        else:
            artifact = source if isinstance(source, Artifact) else Artifact(source)
            folders.append(artifact.path)
            entries[name] = Input(artifact.kind, artifact.digest)
    if not all(isinstance(keys, Mapping) for keys in config.values()):
        raise Error("config: give sections of parameters, {'section': {'key': value}}")
    # As it reads back: a tuple is a list.
    plain = loads(dumps(dict(config)))
    name, version = producer
    return Draft(
        Manifest(kind, schema(kind), Producer(name, version), plain, entries, [], {}),
        loose,
        folders,
    )


def current(path: PathLike, wanted: Draft) -> Artifact | None:
    """The artifact at `path`, if it is whole and was made by the same producer from the same
    parameters and inputs."""
    try:
        artifact = Artifact(path)
    except Refused:
        return None
    same = artifact.kind == wanted.manifest.kind and not wanted.differs(artifact.manifest)
    return artifact if same else None


def sources(paths: Iterable[Path]) -> bytes:
    """`.sources`: path, size (or `folder`) and time of each loose file."""
    lines = []
    for path in sorted({os.path.abspath(path) for path in paths}):
        try:
            found = os.stat(path)
            size: Any = "folder" if os.path.isdir(path) else found.st_size
            lines.append(dumps([path, size, found.st_mtime_ns]))
        except OSError:
            lines.append(dumps([path, None, None]))
    return "".join(line + "\n" for line in lines).encode()
