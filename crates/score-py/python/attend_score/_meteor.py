"""Brings METEOR's data, which is not ours to distribute: the package `pycocoevalcap` ships it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from . import _native
from ._files import replaced

FILES = ("meteor-1.5.jar", "data/paraphrase-en.gz")
PACKAGE = "pycocoevalcap==1.2"


def setup(folder: Optional[Path] = None) -> Path:
    """Copies the data from an installed `pycocoevalcap`, or downloads that package with pip, into
    `folder` [default: where `attend` looks for it]; returns the folder."""
    folder = Path(folder or _native.meteor_folder() or "meteor-1.5")
    if all((folder / name).is_file() for name in FILES):
        return folder
    installed = _installed()
    if installed is not None:
        _take(folder, lambda name: (installed / name).open("rb"))
        return folder
    with tempfile.TemporaryDirectory() as scratch:
        words = ["download", "--no-deps", "--only-binary=:all:", "--dest", scratch, PACKAGE]
        ended = subprocess.run([sys.executable, "-m", "pip", *words])
        wheels = list(Path(scratch).glob("*.whl"))
        if ended.returncode != 0 or not wheels:
            raise OSError(f"pip could not download {PACKAGE}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            _take(folder, lambda name: wheel.open(f"pycocoevalcap/meteor/{name}"))
    return folder


def _installed() -> Optional[Path]:
    try:
        spec = find_spec("pycocoevalcap.meteor")
    except (ImportError, ValueError):
        return None
    places = [Path(place) for place in (spec and spec.submodule_search_locations) or []]
    whole = (place for place in places if all((place / name).is_file() for name in FILES))
    return next(whole, None)


def _take(folder: Path, opened) -> None:  # noqa: ANN001
    for name in FILES:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with replaced(target) as part, opened(name) as source, part.open("wb") as copy:
            shutil.copyfileobj(source, copy)
