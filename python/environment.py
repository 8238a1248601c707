"""An environment of its own for the checks of a Python package."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path


def prepare(environment: Path, requirements: Path) -> Path | None:
    """Makes the environment, if it is not there with these requirements; returns its Python.
    Says why if it can't, and returns None."""
    python = environment / "bin" / "python"
    wanted = f"{sys.version}\n{requirements.read_text()}"
    stamp = environment / "requirements"
    if not stamp.is_file() or stamp.read_text() != wanted:
        try:
            venv.create(environment, clear=True, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as why:
            failed(f"{environment}: no environment ({why}); Debian's is python3-venv", 1)
            return None
        if not pip(python, "install", "-r", str(requirements)):
            return None
        stamp.write_text(wanted)
    return python


def pip(python: Path, *words: str) -> bool:
    return quietly(str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *words)


def quietly(*command: str) -> bool:
    """Runs a command; says its last line if it fails."""
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ended.returncode != 0:
        last = (ended.stdout.strip().splitlines() or ["no message"])[-1]
        failed(f"`{' '.join(command)}` failed: {last}", 1)
    return ended.returncode == 0


def failed(why: str, code: int) -> int:
    print(f"error: {why}", file=sys.stderr)
    return code
