"""Runs a program: log lines, signals, the exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._disk import at, log
from .errors import Error, Interrupted, escaped

#: Signals within this time are one request: shells and runners send several.
_SAME_REQUEST = 2.0


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.msg, record.args = escaped(record.getMessage()), ()
        record.levelname = {"WARNING": "WARN"}.get(record.levelname, record.levelname)
        return super().format(record)


def log_to(handler: logging.Handler, prefix: str = "") -> None:
    handler.setFormatter(_Lines(prefix + "%(levelname)5s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def ended(run: Callable[[], None], name: str) -> int:
    """Runs a program; tells an error in one line, and returns the exit code."""
    log_to(logging.StreamHandler(sys.stderr))
    try:
        run()
        sys.stdout.flush()
        return 0
    except Interrupted as why:
        end = "interrupted; finished parts are kept, and the same command makes the rest"
        return _told(end, why.code)
    except Error as why:
        return _told(str(why), why.code)
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as why:
        return _told(str(at(Path(name), why)), Error.code)
    except Exception as why:
        if os.environ.get("ATTEND_TRACEBACK"):
            traceback.print_exc()
        last = traceback.extract_tb(why.__traceback__)[-1]
        what = f"{type(why).__name__}: {why} ({last.filename}:{last.lineno})"
        return _told(
            f"internal error in {name}: {what}; ATTEND_TRACEBACK=1 prints more", Error.code
        )
    finally:
        for handler in log.handlers[:]:
            log.removeHandler(handler)


def _told(message: str, code: int) -> int:
    line = "error: " + escaped(message.rstrip(), keep="\n").replace("\n", "\n  ")
    print(line, file=sys.stderr)
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream:
            handler.stream.write(line + "\n")
    return code


def catch_signals() -> dict[int, Any]:
    """Makes SIGINT, SIGTERM and SIGHUP raise `Interrupted`; a later one ends the program.
    Returns their handlers from before."""
    first: list[float] = []

    def handle(number: int, frame: Any) -> None:
        if first and time.monotonic() - first[0] > _SAME_REQUEST:
            os._exit(Interrupted.code)
        if not first:
            first.append(time.monotonic())
            raise Interrupted

    before: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) == signal.SIG_IGN:
            continue
        try:
            before[number] = signal.signal(number, handle)
        except ValueError:  # not in the main thread
            break
    return before
