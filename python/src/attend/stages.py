"""The command line of a stage, and its run from arguments to exit code."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, NoReturn

from ._disk import REPLACED, SOURCES, log, write_synced
from ._draft import Draft, Loose, Source, check_file, current, draft, sources
from ._place import destination
from ._program import catch_signals, ended, log_to
from .artifact import Artifact, open_artifact
from .config import Parameters, load
from .errors import Interrupted, Usage
from .staging import Staging


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


#: Refuses wrong parameters; returns what `--check` prints.
Check = Callable[[Stage], "Mapping[str, Any] | None"]


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
        self.check: Check = given["check"] or (lambda stage: None)
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
            "check": True,
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
    check: Check | None = None,
) -> Callable[[Callable[[Stage], None]], Callable[..., NoReturn]]:
    """Makes a stage's program of a function. The function gets a `Stage`, reads
    `stage.input(kind)` and writes into `stage.out`; it is called only if there is something to
    do. Calling the result runs the program and ends it with attend's exit codes.

    - `inputs`: kind of artifact -> whether the stage needs it. `output`: kind that it makes.
    - `parameters`: section -> key -> default. A config can set no others.
    - `files`: parameters (`section.key`) that name a loose file -> a word for such a file. Their
      BLAKE3 stands in the manifest as an input, named by the key; the path does not. If the
      default is `""`, a file must be named; if it is `None`, there need not be one.
    - `unrecorded`: parameters that don't shape the output, such as a device.
    - `check`: refuses wrong parameters (`raise attend.Usage(…)`), before anything is made. With
      `--check` the runner asks so before a pipeline's first stage runs; then inputs that are
      still to be made are not there. It may return what a stage's check says as JSON.

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
        parameters=parameters, files=files, unrecorded=unrecorded, check=check,
    )  # fmt: skip

    def program(body: Callable[[Stage], None]) -> Callable[..., NoReturn]:
        def main(arguments: Sequence[str] | None = None) -> NoReturn:
            before = catch_signals()
            try:
                code = ended(lambda: _run(spec, body, arguments), spec.name)
                for number, handler in before.items():
                    # The work is done: a signal no longer changes how the program ends.
                    signal.signal(number, signal.SIG_IGN if arguments is None else handler)
            except Interrupted as why:
                code = why.code
            sys.exit(code)

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
    add("--check", action="store_true", help="only check parameters, files and inputs that exist")
    add("--describe", action="store_true", help="print name, version, parameters, … as JSON")
    add("--version", action="version", version=f"{spec.name} {spec.version}")
    return parser.parse_args(given)


def _run(spec: _Spec, body: Callable[[Stage], None], given: Sequence[str] | None) -> None:
    args = _arguments(spec, given)
    if args.log:
        log_to(logging.FileHandler(args.log, encoding="utf-8"), "%(asctime)s ")
    if args.describe:
        print(json.dumps(spec.describe(), indent=2))
        return
    if args.output is None and not args.check:
        raise Usage("--output PATH is needed; --help shows the command line")
    config = load(spec.parameters, args.config, args.set)
    inputs = _inputs(spec, args.input, args.check)
    cores = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    stage = Stage(config, inputs, max(1, args.jobs or len(cores)))
    if args.check:
        for name, path in _loose(spec, config):
            check_file(Loose(spec.files[name], path))
        print(json.dumps(spec.check(stage) or {}))
        return
    place = destination(args.output, [artifact.path for artifact in inputs.values()])
    wanted = _draft(spec, config, inputs)
    if not args.force and not (place / REPLACED).is_dir() and _is_current(place, wanted):
        return
    spec.check(stage)
    stage.out = Staging(place, wanted, args.discard, args.force)
    with stage.out:
        # Another run may have made it while this one waited.
        if not args.force and _is_current(place, wanted):
            stage.out.abandon()
        else:
            body(stage)


def _inputs(spec: _Spec, given: Sequence[str], check: bool) -> dict[str, Artifact]:
    """Opens the inputs. With `check`, those that don't exist yet are left out."""
    inputs, promised = {}, set()
    for item in given:
        kind, equals, path = item.partition("=")
        if not equals:
            raise Usage(f"--input {item}: expected KIND=PATH")
        if kind not in spec.inputs:
            takes = ", ".join(spec.inputs) or "none"
            raise Usage(f"--input {item}: {spec.name} takes {takes}, not {kind}")
        if check and not os.path.exists(path):
            promised.add(kind)
        else:
            inputs[kind] = open_artifact(path, kind=kind)
    for kind, needed in spec.inputs.items():
        if needed and kind not in inputs and kind not in promised:
            raise Usage(f"{spec.name} needs --input {kind}=PATH")
    return inputs


def _loose(spec: _Spec, config: Parameters) -> list[tuple[str, Path]]:
    """The loose files that parameters name."""
    found = []
    for name, kind in spec.files.items():
        section, _, key = name.partition(".")
        value = config[section][key]
        if value == "":
            raise Usage(f"{name} is not set: name a file ({kind})")
        if value is not None:
            found.append((name, Path(value)))
    return found


def _draft(spec: _Spec, config: Parameters, inputs: Mapping[str, Artifact]) -> Draft:
    sources: dict[str, Source] = dict(inputs)
    recorded = {section: dict(keys) for section, keys in config.items()}
    for name, path in _loose(spec, config):
        sources[name.partition(".")[2]] = Loose(spec.files[name], path)
    for name in spec.unrecorded:
        section, _, key = name.partition(".")
        del recorded[section][key]
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
