"""Where an artifact goes, and what it never replaces."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import manifest
from ._disk import JOURNAL, NOTES, REPLACED, SOURCES, WORK, followed, sibling
from ._json import loads
from .errors import Refused, Usage
from .manifest import Manifest


def destination(output: Path, inputs: Iterable[Path] = ()) -> Path:
    """The folder that `output` names; follows a link. Refuses names that can't be replaced."""
    place = followed(output)
    if not place.name or place.name == "..":
        raise Usage(f"--output {output}: give the artifact's folder a name")
    if place.name.endswith(".staging"):
        raise Usage(f"--output {output}: unfinished artifacts are called so; name another folder")
    real = Path(os.path.realpath(place))
    for above in real.parents:
        if (above / JOURNAL).exists():
            raise Usage(f"--output {output}: is inside {above}")
    for folder in inputs:
        other = Path(os.path.realpath(folder))
        if real == other or real in other.parents or other in real.parents:
            raise Usage(
                f"--output {output}: is, contains or is inside {folder}, which this run reads;"
                " name another place"
            )
    return place


def check(place: Path, draft: Manifest) -> bool:
    """Whether there is an artifact of this kind; refuses anything else, and an artifact with
    files that don't belong to it."""

    def refused(why: str) -> Refused:
        return Refused(f"--output {place}: {why}; name another place or move it away")

    if not place.exists():
        return False
    if not place.is_dir():
        raise refused("there is a file")
    if not any(place.iterdir()):
        return False
    try:  # without Manifest.read: a damaged artifact is still one
        value = loads((place / manifest.FILE).read_bytes())
        kind, newest = value["kind"], manifest.schema(draft.kind)
        value["digest"], value["files"]
    except (OSError, ValueError, LookupError, TypeError):
        if (place / JOURNAL).is_file():
            return True
        raise refused("it holds something that is not an artifact") from None
    if kind != draft.kind:
        raise refused(
            f"there is an artifact of kind {kind!r}, which {draft.producer.name} does not make"
        )
    if value["schema"] > newest:
        raise refused("there is an artifact of a newer version of attend")
    try:
        files = {file.name for file in Manifest.read(place).files}
    except Refused:
        return True
    for name in _strange(place, files):
        raise Refused(
            f"--output {place}: holds {name}, which is not a file of the artifact and would be"
            " lost with it; move it away"
        )
    return True


def _strange(place: Path, files: Iterable[str]) -> Iterator[str]:
    own = {manifest.FILE, WORK, SOURCES, ".DS_Store", *files}
    for below, folders, names in os.walk(place):
        if Path(below) == place:
            folders[:] = [name for name in folders if name not in (REPLACED, NOTES)]
        for name in names:
            name = os.path.relpath(os.path.join(below, name), place)
            journal = name.startswith(".journal") and name.endswith(".jsonl")
            if name not in own and not journal and not name.startswith(".nfs"):
                yield name


def is_begun(place: Path) -> bool:
    """Whether there is a staging folder; refuses anything else of its name."""
    folder = sibling(place, ".staging")
    if not folder.exists() and not folder.is_symlink():
        return False
    names = set(os.listdir(folder)) if folder.is_dir() and not folder.is_symlink() else {"?"}
    if names and WORK not in names and not any(n.startswith(".journal") for n in names):
        raise Refused(
            f"{folder}: is not an unfinished artifact, but has the name of one; move it away"
        )
    return True
