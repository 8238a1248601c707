#!/usr/bin/env python3
"""Opens attend's pages in headless Chromium and uses them as people do.

    python3 check.py PROGRAMS VENV [SHOTS]

PROGRAMS is the folder of the built programs (target/debug), VENV that of a Python environment,
which is made if it is not there. Screenshots are kept in SHOTS. The tests are test_*.py beside
this script; they find a small run of the demo, made by these programs, in $ATTEND_RUN.

Without a browser it says so and succeeds: it needs Debian's `chromium`, which it installs itself
only as root, or another Chromium or Chrome on PATH.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "python"))

from environment import failed, prepare, quietly  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# A small version of the demo, which says more than one word.
SMALL = {
    "run.name": "small",
    "scenes.train": 400,
    "scenes.val": 8,
    "scenes.test": 24,
    "encoder.last_stage": "layer1",
    "decoder.hidden": 64,
    "train.epochs": 2,
    "train.warmup_steps": 4,
}


def main(arguments: list[str]) -> int:
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    programs, environment, *shots = (Path(path).absolute() for path in arguments)
    if not (programs / "attend-serve").is_file():
        return failed(f"{programs} has no attend-serve; build the programs first", 2)
    browser = find_browser()
    if browser is None:
        return skipped("no Chromium; install the package chromium")
    python = prepare(environment, HERE / "requirements.txt")
    if python is None:
        return skipped("no environment with playwright and axe-core, see above")
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(programs, Path(folder))
        if run is None:
            return 1
        own = {
            "ATTEND_BIN_DIR": programs,
            "ATTEND_RUN": run,
            "ATTEND_BROWSER": browser,
            "ATTEND_SHOTS": shots[0] if shots else Path(folder) / "shots",
        }
        tests = [str(python), "-m", "unittest", "discover", "-s", str(HERE)]
        env = {**os.environ, **{name: str(value) for name, value in own.items()}}
        return subprocess.run(tests, env=env, cwd=HERE).returncode


def find_browser() -> str | None:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing Debian's chromium", file=sys.stderr)
        packages = ("chromium", "fonts-dejavu-core")
        apt = ("apt-get", "-y", "-qq", "-o", "Acquire::Retries=0")
        if quietly(*apt, "update"):
            quietly(*apt, "install", "--no-install-recommends", *packages)
        found = shutil.which("chromium")
    return found


def make_run(programs: Path, folder: Path) -> Path | None:
    """A run of the demo: model, evaluation and drawn scenes."""
    made = subprocess.run(
        [programs / "xtask", "run", "demo", "--config", "configs/demo.toml"]
        + ["--artifacts", folder]
        + [f"--set={key}={value}" for key, value in SMALL.items()],
        env={**os.environ, "ATTEND_BIN_DIR": str(programs)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if made.returncode != 0:
        print(made.stdout, file=sys.stderr)
        failed("the demo's small run failed, see above", 1)
        return None
    return folder / "small"


def skipped(why: str) -> int:
    print(f"skipped: {why}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
