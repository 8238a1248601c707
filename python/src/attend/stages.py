"""The command line of a stage, and its run from arguments to exit code."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, NoReturn

from ._disk import REPLACED, SOURCES, at, log, write_synced
from ._draft import Draft, Loose, Source, current, draft, sources
from ._place import destination
from .artifact import Artifact, open_artifact
from .config import Parameters, load
from .errors import Error, Interrupted, Usage, escaped
from .staging import Staging

#: Signals within this time are one request: shells and runners send several.
_SAME_REQUEST = 2.0


class Stage:
    """One run of a stage."""

    def __init__(self, config: Parameters, inputs: dict[str, Artifact], jobs: int) -> None:
        #: The effective parameters: section -> key -> value.
        self.config = config
        #: The artifacts to read, by kind; those that were not given are not there.
        self.inputs = inputs
        #: Number of threads to work with, at least 1.
        self.jobs = jobs
        #: The artifact to write. It takes its place when the stage's function returns.
        self.out: Staging

    def input(self, kind: str) -> Any:
        """The input artifact of a kind."""
        if kind not in self.inputs:
            raise Usage(f"--input {kind}=PATH is needed here")
        return self.inputs[kind]


class _Spec:
    def __init__(self, **given: Any) -> None:
        self.name: str = given["name"]
        self.version: str = str(given["version"])
        self.about: str = given["about"]
        self.inputs: dict[str, bool] = dict(given["inputs"])
        self.output: str = given["output"]
        self.parameters: Mapping[str, Mapping[str, Any]] = given["parameters"]
        self.files: dict[str, str] = dict(given["files"])
        self.unrecorded: list[str] = [*given["unrecorded"], *self.files]
        for name in self.unrecorded:
            section, _, key = name.partition(".")
            if key not in self.parameters.get(section, {}):
                raise ValueError(f"{self.name}: {name} is no parameter")

    def describe(self) -> dict[str, Any]:
        inputs = [{"kind": kind, "required": bool(need)} for kind, need in self.inputs.items()]
        return {
            "name": self.name,
            "version": self.version,
            "about": self.about,
            "inputs": inputs,
            "output": self.output,
            "parts": "none",
            "parameters": self.parameters,
            "unrecorded": self.unrecorded,
            "paths": list(self.files),
            "discard": True,
            "extends": False,
            "log": True,
        }


def stage(
    name: str,
    version: str,
    output: str,
    inputs: Mapping[str, bool] = {},
    parameters: Mapping[str, Mapping[str, Any]] = {},
    files: Mapping[str, str] = {},
    unrecorded: Sequence[str] = (),
    about: str = "",
) -> Callable[[Callable[[Stage], None]], Callable[..., NoReturn]]:
    """Makes a stage's program of a function. The function gets a `Stage`, reads
    `stage.input(kind)` and writes into `stage.out`; it is called only if there is something to
    do. Calling the result runs the program and ends it with attend's exit codes.

    - `inputs`: kind of artifact -> whether the stage needs it. `output`: kind that it makes.
    - `parameters`: section -> key -> default. A config can set no others.
    - `files`: parameters (`section.key`) that name a loose file -> a word for such a file. Their
      BLAKE3 stands in the manifest as an input, named by the key; the path does not.
    - `unrecorded`: parameters that don't shape the output, such as a device.

    >>> @stage("my-stage", "1", output="notes", parameters={"notes": {"text": "hello"}})
    ... def main(stage):
    ...     stage.out.json("notes.json", [stage.config["notes"]["text"]])
    >>> import attend, tempfile
    >>> path = tempfile.mkdtemp() + "/notes"
    >>> try:
    ...     main(["--output", path, "--set", "notes.text=good day"])
    ... except SystemExit as end:
    ...     end.code, attend.open(path).json("notes.json")
    (0, ['good day'])
    """
    spec = _Spec(
        name=name, version=version, about=about, inputs=inputs, output=output,
        parameters=parameters, files=files, unrecorded=unrecorded,
    )  # fmt: skip

    def program(body: Callable[[Stage], None]) -> Callable[..., NoReturn]:
        def main(arguments: Sequence[str] | None = None) -> NoReturn:
            sys.exit(_ended(lambda: _run(spec, body, arguments), spec.name))

        main.__doc__ = body.__doc__
        return main

    return program


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message}; --help shows the command line")


def _arguments(spec: _Spec, given: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog=spec.name, description=spec.about or None, allow_abbrev=False)
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="config (TOML); reads only its own sections")
    add(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override a parameter",
    )
    add("--input", action="append", default=[], metavar="KIND=PATH", help="artifact to read")
    add("--output", type=Path, metavar="PATH", help="where to put the artifact")
    add("--jobs", type=int, metavar="N", help="number of threads [default: all cores]")
    add("--force", action="store_true", help="make the output again even if it is up to date")
    add("--discard", action="store_true", help="delete output made with other parameters or inputs")
    add("--log", type=Path, metavar="FILE", help="append the log lines to this file, too")
    add("--describe", action="store_true", help="print name, version, parameters, … as JSON")
    add("--version", action="version", version=f"{spec.name} {spec.version}")
    return parser.parse_args(given)


def _run(spec: _Spec, body: Callable[[Stage], None], given: Sequence[str] | None) -> None:
    args = _arguments(spec, given)
    if args.log:
        _log_to(logging.FileHandler(args.log, encoding="utf-8"), "%(asctime)s ")
    if args.describe:
        print(json.dumps(spec.describe(), indent=2))
        return
    if args.output is None:
        raise Usage("--output PATH is needed; --help shows the command line")
    config = load(spec.parameters, args.config, args.set)
    inputs = _inputs(spec, args.input)
    place = destination(args.output, [artifact.path for artifact in inputs.values()])
    wanted = _draft(spec, config, inputs)
    if not args.force and not (place / REPLACED).is_dir() and _is_current(place, wanted):
        return
    cores = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    stage = Stage(config, inputs, max(1, args.jobs or len(cores)))
    stage.out = Staging(place, wanted, args.discard, args.force)
    with stage.out:
        # Another run may have made it while this one waited.
        if not args.force and _is_current(place, wanted):
            stage.out.abandon()
        else:
            body(stage)


def _inputs(spec: _Spec, given: Sequence[str]) -> dict[str, Artifact]:
    inputs = {}
    for item in given:
        kind, equals, path = item.partition("=")
        if not equals:
            raise Usage(f"--input {item}: expected KIND=PATH")
        if kind not in spec.inputs:
            takes = ", ".join(spec.inputs) or "none"
            raise Usage(f"--input {item}: {spec.name} takes {takes}, not {kind}")
        inputs[kind] = open_artifact(path, kind=kind)
    for kind, needed in spec.inputs.items():
        if needed and kind not in inputs:
            raise Usage(f"{spec.name} needs --input {kind}=PATH")
    return inputs


def _draft(spec: _Spec, config: Parameters, inputs: Mapping[str, Artifact]) -> Draft:
    sources: dict[str, Source] = dict(inputs)
    recorded = {section: dict(keys) for section, keys in config.items()}
    for name in spec.unrecorded:
        section, _, key = name.partition(".")
        value = recorded[section].pop(key)
        if name in spec.files and value:
            sources[key] = Loose(spec.files[name], Path(value))
    return draft(spec.output, (spec.name, spec.version), recorded, sources)


def _is_current(place: Path, wanted: Draft) -> bool:
    artifact = current(place, wanted)
    if artifact is None:
        return False
    try:  # a loose file may have been touched without a change
        write_synced(place / SOURCES, sources(wanted.loose))
    except OSError:
        pass  # another user's artifact stays as it is
    log.info("%s is up to date (%s)", place, artifact.digest[:12])
    return True


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        record.msg, record.args = escaped(record.getMessage()), ()
        record.levelname = {"WARNING": "WARN"}.get(record.levelname, record.levelname)
        return super().format(record)


def _log_to(handler: logging.Handler, prefix: str = "") -> None:
    handler.setFormatter(_Lines(prefix + "%(levelname)5s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def _ended(run: Callable[[], None], name: str) -> int:
    """Runs a program; tells an error in one line, and returns the exit code."""
    _log_to(logging.StreamHandler(sys.stderr))
    _catch_signals()
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


def _catch_signals() -> None:
    """Makes SIGINT, SIGTERM and SIGHUP raise `Interrupted`; a later one ends the program."""
    first: list[float] = []

    def handle(number: int, frame: Any) -> None:
        if first and time.monotonic() - first[0] > _SAME_REQUEST:
            os._exit(Interrupted.code)
        if not first:
            first.append(time.monotonic())
            raise Interrupted

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            try:
                signal.signal(number, handle)
            except ValueError:
                return  # not in the main thread
