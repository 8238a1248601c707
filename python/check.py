#!/usr/bin/env python3
"""Builds the wheel, installs it into an environment of its own, and runs the package's tests and
the examples against attend's programs.

    python3 check.py PROGRAMS VENV

PROGRAMS is the folder of the built programs (target/release), VENV that of the environment,
which is made if it is not there and otherwise only brought up to date.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import failed, pip, prepare

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements-test.txt"


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    programs, environment = (Path(path).absolute() for path in arguments)
    if not (programs / "attend-verify").is_file():
        return failed(f"{programs} has no attend-verify; build the programs first", 2)
    python = prepare(environment, REQUIREMENTS)
    if python is None:
        return 1
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"  # the build leaves its files there
        shutil.copytree(HERE, source)
        wheel = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
        if not pip(python, *wheel, str(source)):
            return 1
        built = [str(path) for path in Path(folder).glob("*.whl")]
        if not pip(python, "install", "--no-deps", "--force-reinstall", *built):
            return 1
    path = f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"ATTEND_BIN_DIR": str(programs), "PATH": path, "OMP_NUM_THREADS": "2"}
    tests = [str(python), "-m", "unittest", "discover", "--buffer", "-s", str(HERE / "tests")]
    # Not from the folder of the sources: the installed package is tested.
    return subprocess.run(tests, env={**os.environ, **own}, cwd=HERE / "tests").returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
