#!/usr/bin/env python3
"""Builds the wheel, installs it into an environment of its own, and runs the package's tests.

    python3 check.py VENV [FOLDER]

VENV is the folder of the environment, which is made if it is not there and otherwise only
brought up to date. FOLDER gets the wheel.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "python"))

from environment import pip, prepare, quietly  # noqa: E402


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    environment = Path(arguments[0]).absolute()
    python = prepare(environment, HERE / "requirements-test.txt")
    if python is None:
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        build = ("build", "--manifest-path", str(HERE / "Cargo.toml"))
        if not quietly(str(python), "-m", "maturin", *build, "--out", scratch):
            return 1
        (wheel,) = Path(scratch).glob("*.whl")
        if not pip(python, "install", "--no-deps", "--force-reinstall", str(wheel)):
            return 1
        if len(arguments) == 2:
            folder = Path(arguments[1]).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            print(shutil.copy(wheel, folder))
    # Not from the folder of the sources: the installed package is tested.
    tests = [str(python), "-m", "unittest", "discover", "--buffer", "-s", str(HERE / "tests")]
    return subprocess.run(tests, cwd=HERE / "tests").returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
