"""Reads and writes the artifacts of attend, and makes stages of its pipelines.

- `open`: a finished artifact, as numpy, Arrow, polars, pandas and torch.
- `artifact`: writes one, in one step or not at all.
- `stage`: the command line of a stage, in one decorator.

Modules: `manifest` (what an artifact says of itself), `artifact` and `shard` and `vocabulary`
(reading), `staging` and `tables` and `contract` (writing), `stages` and `config` (the command
line), `errors` (exit codes).

>>> import attend, numpy, tempfile
>>> path = tempfile.mkdtemp() + "/features"
>>> made_from = {"dataset": attend.Input("dataset", "0" * 64)}  # an artifact, or its folder
>>> with attend.artifact("features", path, ("my-stage", "1.0"), inputs=made_from) as out:
...     out.json("encoder.json", {"kind": "foreign", "name": "mine", "image_size": [64, 64],
...                               "grid": [2, 2], "channels": 3})
...     with out.shard("train-00000", "features", (4, 3), "f16") as shard:
...         shard.append(7, numpy.ones((4, 3), "float16"))
>>> features = attend.open(path, kind="features", verify=True)
>>> features.counts["images"], features.grid, features.row(7).shape
(1, (2, 2), (4, 3))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._draft import Loose, Source, current, draft
from ._shard_writer import ShardWriter
from ._words import split
from .artifact import Artifact, Dataset, Features, PathLike, Vocabulary
from .artifact import open_artifact as open
from .errors import BadInput, Error, Interrupted, Refused, Usage, escaped
from .manifest import Input, Manifest, digest_file
from .shard import Shard
from .stages import Stage, stage
from .staging import Staging
from .tables import left_out
from .vocabulary import PIECE, Words

__all__ = [
    "Artifact", "BadInput", "Dataset", "Error", "Features", "Input", "Interrupted", "Loose",
    "Manifest", "PIECE", "Refused", "Shard", "ShardWriter", "Stage", "Staging", "Usage",
    "Vocabulary", "Words", "artifact", "digest_file", "escaped", "left_out", "open",
    "split", "stage", "up_to_date",
]  # fmt: skip


def artifact(
    kind: str,
    path: PathLike,
    producer: Sequence[str],
    config: Mapping[str, Any] = {},
    inputs: Mapping[str, Source] = {},
    discard: bool = False,
) -> Staging:
    """Writes the artifact at `path`, in a `with` block.

    `producer` is the program's name and version; `config` holds the parameters that shaped the
    artifact (section -> key -> value, no paths); `inputs` are artifacts, their folders, or loose
    files (`attend.Loose("weights", path)`), by name. Only an artifact of the same kind is ever
    replaced; one that took more than a minute to make otherwise, only with `discard`.
    """
    return Staging(path, draft(kind, producer, config, inputs), discard)


def up_to_date(
    kind: str,
    path: PathLike,
    producer: Sequence[str],
    config: Mapping[str, Any] = {},
    inputs: Mapping[str, Source] = {},
) -> bool:
    """Whether `artifact` with these arguments has nothing to do: there is a whole artifact of
    the same producer, parameters and inputs.

    >>> import tempfile
    >>> made = dict(kind="thing", path=tempfile.mkdtemp() + "/t", producer=("x", "1"))
    >>> up_to_date(**made)
    False
    >>> with artifact(**made) as out:
    ...     out.json("a.json", [])
    >>> up_to_date(**made), up_to_date(**made, config={"x": {"seed": 2}})
    (True, False)
    """
    return current(path, draft(kind, producer, config, inputs)) is not None
