"""Opens finished artifacts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import pyarrow as pa

from . import tables
from ._json import loads
from .errors import BadInput, Error, Refused
from .manifest import File, Input, Manifest, Producer, digest_file
from .shard import Shard
from .vocabulary import FORMAT, Words

if TYPE_CHECKING:
    import numpy as np

PathLike = Union[str, "os.PathLike[str]"]


class Artifact:
    """A finished artifact. Its manifest is valid, and its files have the sizes in it."""

    def __init__(self, path: PathLike, manifest: Manifest | None = None) -> None:
        self.path = Path(path)
        self.manifest = manifest or Manifest.read(self.path)
        self._shards: dict[str, Shard] = {}
        for file in self.files:
            try:
                found = os.stat(self.path / file.name).st_size
            except OSError as why:
                raise Refused(
                    f"{self.path / file.name}: {why.strerror}, but the manifest lists it;"
                    " make the artifact again"
                ) from None
            if found != file.bytes:
                raise Refused(
                    f"{self.path / file.name} has {found} bytes, but the manifest says"
                    f" {file.bytes}; make the artifact again"
                )

    def __repr__(self) -> str:
        return f"<{self.kind} {self.digest[:12]} at {self.path}>"

    def __reduce__(self) -> Any:  # maps can't be sent to another process; paths can
        return open_artifact, (str(self.path),)

    @property
    def kind(self) -> str:
        """`dataset`, `vocabulary`, `features`, `model`, `evaluation`, …"""
        return self.manifest.kind

    @property
    def digest(self) -> str:
        """BLAKE3 of all that matters; two artifacts with one digest have the same content."""
        return self.manifest.digest

    @property
    def producer(self) -> Producer:
        """The program that made it."""
        return self.manifest.producer

    @property
    def config(self) -> dict[str, Any]:
        """The parameters that shaped it: section -> key -> value."""
        return self.manifest.config

    @property
    def inputs(self) -> dict[str, Input]:
        """What it was made from, by name."""
        return self.manifest.inputs

    @property
    def counts(self) -> dict[str, int]:
        """Counts, so that a reader need not open the files."""
        return self.manifest.counts

    @property
    def files(self) -> list[File]:
        """Its files, sorted by name."""
        return self.manifest.files

    def file(self, name: str) -> Path:
        """The path of one of its files."""
        if self.manifest.file(name) is None:
            raise Refused(f"{self.path}: the {self.kind} artifact has no file {name!r}")
        return self.path / name

    def table(self, name: str) -> pa.Table:
        """One of its Parquet tables."""
        return tables.read(self.file(name))

    def polars(self, name: str) -> Any:
        """One of its tables as a polars DataFrame."""
        import polars

        return polars.from_arrow(self.table(name))

    def pandas(self, name: str) -> Any:
        """One of its tables as a pandas DataFrame."""
        return self.table(name).to_pandas()

    def json(self, name: str) -> Any:
        """One of its JSON files."""
        path = self.file(name)
        try:
            return loads(path.read_bytes())
        except ValueError as why:
            raise Refused(f"{path}: not valid JSON ({why})") from None

    def shard(self, name: str) -> Shard:
        """A shard, by its file or in short: `train-00000`."""
        file = name if name.endswith(".arrow") else f"shards/{name}.arrow"
        if file not in self._shards:
            self._shards[file] = Shard(self.file(file))
        return self._shards[file]

    @property
    def shards(self) -> list[str]:
        """The files of its shards."""
        return [file.name for file in self.files if file.name.startswith("shards/")]

    def verify(self) -> Artifact:
        """Reads every file and compares its BLAKE3 with the manifest; returns itself."""
        damaged = [f.name for f in self.files if digest_file(self.path / f.name) != f.blake3]
        if damaged:
            raise Refused(
                f"{self.path}: {len(damaged)} of {len(self.files)} files are damaged"
                f" ({', '.join(damaged[:5])}): their BLAKE3 is not what manifest.json says;"
                " make the artifact again"
            )
        return self


class Tensors(Artifact):
    """An artifact with one tensor for each image."""

    _index: dict[int, tuple[str, int]] | None = None

    @property
    def _places(self) -> dict[int, tuple[str, int]]:
        if self._index is None:
            self._index = {}
            for file in self.shards:
                for row, image_id in enumerate(self.shard(file).ids.tolist()):
                    if image_id in self._index:
                        raise Refused(f"{self.path / file}: image {image_id} comes twice")
                    self._index[image_id] = file, row
        return self._index

    @property
    def ids(self) -> list[int]:
        """The images, shard by shard."""
        return list(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._places

    def _place(self, image_id: int) -> tuple[Shard, int]:
        try:
            file, row = self._places[int(image_id)]
        except KeyError:
            raise Error(f"{self.path} has no image {image_id}") from None
        return self.shard(file), row

    def row(self, image_id: int) -> np.ndarray:
        """The tensor of an image, straight from the memory map."""
        shard, row = self._place(image_id)
        return shard[row]

    def torch(self, image_ids: Sequence[int] | None = None) -> TorchTensors:
        """These images (all, if none are given) for `torch.utils.data.DataLoader`."""
        return TorchTensors(self, self.ids if image_ids is None else list(image_ids))


class TorchTensors:
    """A map-style data set of torch: item n is the image's id and its tensor, which shares the
    map's memory."""

    def __init__(self, artifact: Tensors, ids: list[int]) -> None:
        self.artifact, self.ids = artifact, ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, n: int) -> tuple[int, Any]:
        shard, row = self.artifact._place(self.ids[n])
        return self.ids[n], shard.torch(row)


class Dataset(Tensors):
    """Images of one size, uint8 [3, H, W], and their captions."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.counts["image_height"], self.counts["image_width"]

    @property
    def images(self) -> pa.Table:
        """`images.parquet`: one row per image, by split, then as in the source."""
        return self.table("images.parquet")

    @property
    def captions(self) -> pa.Table:
        """`captions.parquet`: one row per caption, in the order of their images."""
        return self.table("captions.parquet")

    def split(self, name: str) -> list[int]:
        """The images of a split."""
        images = self.images.select(["image_id", "split"]).to_pylist()
        ids = [image["image_id"] for image in images if image["split"] == name]
        if not ids:
            known = ", ".join(dict.fromkeys(image["split"] for image in images)) or "none at all"
            raise BadInput(f"the data set has no image in split {name!r}; it has {known}")
        return ids


class Features(Tensors):
    """The output of an encoder for each image: f16 or f32 [cells, channels]."""

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the encoder's grid, in cells."""
        return self.counts["grid_height"], self.counts["grid_width"]

    @property
    def encoder(self) -> dict[str, Any]:
        """`encoder.json`: what made them."""
        return dict(self.json("encoder.json"))


class Vocabulary(Artifact):
    """The words, and the captions as ids."""

    _words: Words | None = None

    @property
    def words(self) -> Words:
        """The words and their ids, which encode and decode captions."""
        if self._words is None:
            path, content = self.file("vocab.json"), self.json("vocab.json")
            try:
                if content["format"] != FORMAT:
                    raise Error(f"has format {content['format']!r}, not {FORMAT!r}")
                known = Words((word["word"] for word in content["words"]), content["tokenizer"])
                if [word["id"] for word in content["words"]] != list(known.ids.values()):
                    raise Error("the ids of the words are not 1 and so on")
                if content["specials"] != known.specials():
                    raise Error(f"the specials are {content['specials']}, not {known.specials()}")
            except (Error, LookupError, TypeError) as why:
                raise Refused(
                    f"{path}: not a vocabulary ({why}); make the artifact again"
                ) from None
            self._words = known
        return self._words

    def encode(self, caption: str) -> list[int]:
        """`<start>`, the ids of the caption's words, `<end>`."""
        return self.words.encode(caption)

    def decode(self, ids: Iterable[int]) -> str:
        """The caption of these ids."""
        return self.words.decode(ids)

    @property
    def encoded(self) -> pa.Table:
        """`encoded.parquet`: the captions as ids."""
        return self.table("encoded.parquet")


_KINDS = {"dataset": Dataset, "features": Features, "vocabulary": Vocabulary}


def open_artifact(path: PathLike, verify: bool = False, kind: str | None = None) -> Any:
    """Opens the artifact at `path`: a `Dataset`, `Features`, `Vocabulary` or plain `Artifact`.

    Checks the manifest and the sizes of all files, with `verify` also the BLAKE3 of each.
    Raises `Refused` if something is wrong, or if it is not of the `kind` that is wanted.
    """
    manifest = Manifest.read(Path(path))
    if kind is not None and manifest.kind != kind:
        raise Refused(f"{path} is an artifact of kind {manifest.kind!r}, not {kind!r}")
    artifact = _KINDS.get(manifest.kind, Artifact)(path, manifest)
    return artifact.verify() if verify else artifact
