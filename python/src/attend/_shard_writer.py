"""Writes shards. Their bytes are those that attend's own programs write."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, BinaryIO, Callable

from blake3 import blake3

from ._flat import Builder, Field, Offset, Scalar
from .errors import Error
from .shard import DTYPES

#: Size of one record batch.
BATCH_BYTES = 1 << 20
_ALIGN = 64
_MAGIC = b"ARROW1"
_V5 = 4
_SCHEMA, _BATCH = 1, 3


class ShardWriter:
    """Writes a shard, row by row. Its bytes are those that attend's own programs write."""

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        column: str,
        shape: Sequence[int],
        dtype: str,
        dim_names: Sequence[str],
    ) -> None:
        if dtype not in DTYPES:
            raise Error(f"{name}: dtype {dtype!r} is not {', '.join(DTYPES)}")
        if not shape or min(shape) < 1 or len(shape) != len(dim_names):
            raise Error(f"{name}: shape {tuple(shape)} with dimensions called {tuple(dim_names)}")
        self.name, self.shape, self.dtype = name, tuple(map(int, shape)), dtype
        self.rows, self.bytes = 0, 0
        self._column, self._dim_names = column, list(dim_names)
        self._file, self._hasher = file, blake3()
        self._size = DTYPES[dtype][0]
        for n in self.shape:
            self._size *= n
        self._ids: list[int] = []
        self._values: list[bytes] = []
        self._known: set[int] = set()
        self._blocks: list[bytes] = []
        self._write(_padded(_MAGIC))
        self._message(_SCHEMA, self._schema, 0)

    def append(self, image_id: int, tensor: Any) -> None:
        """Appends the tensor of one image: a numpy array, a torch tensor, or its bytes."""
        data = self._numbers(image_id, tensor)
        image_id = int(image_id)
        if image_id in self._known:
            raise Error(f"{self.name}: image {image_id} comes twice")
        self._known.add(image_id)
        self._ids.append(image_id)
        self._values.append(data)
        self.rows += 1
        if (len(self._values) + 1) * self._size > BATCH_BYTES:
            self._flush()

    def extend(self, image_ids: Iterable[int], tensors: Iterable[Any]) -> None:
        """Appends several images."""
        end: Any = object()
        for image_id, tensor in zip_longest(image_ids, tensors, fillvalue=end):
            if image_id is end or tensor is end:
                raise Error(f"{self.name}: not as many images as tensors")
            self.append(image_id, tensor)

    def _numbers(self, image_id: int, tensor: Any) -> bytes:
        import numpy as np

        expected = np.dtype(DTYPES[self.dtype][2])
        if isinstance(tensor, (bytes, bytearray, memoryview)):
            size = memoryview(tensor).nbytes
            if size != self._size:
                raise Error(f"{self.name}: image {image_id} has {size} bytes, not {self._size}")
            array = np.frombuffer(tensor, expected)
        else:
            if hasattr(tensor, "detach"):
                tensor = tensor.detach().cpu().numpy()
            array = np.asarray(tensor)
            if array.dtype != expected or array.shape != self.shape:
                raise Error(
                    f"{self.name}: image {image_id} has {array.dtype} {list(array.shape)},"
                    f" not {expected} {list(self.shape)}"
                )
        if self.dtype != "u8" and not np.isfinite(array).all():
            raise Error(f"{self.name}: the numbers of image {image_id} are NaN or infinite")
        return array.tobytes()

    def finish(self) -> str:
        """Writes the remaining rows and the footer; returns the file's BLAKE3."""
        if self._ids:
            self._flush()
        self._write(struct.pack("<iI", -1, 0))
        builder = Builder()
        dictionaries = builder.structs([])
        blocks = builder.structs(self._blocks)
        schema = self._schema(builder)
        footer = builder.table(
            [Scalar(0, "<h", _V5), Offset(1, schema), Offset(2, dictionaries), Offset(3, blocks)]
        )
        data = builder.finish(footer)
        self._write(data + struct.pack("<i", len(data)) + _MAGIC)
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._hasher.hexdigest()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hasher.update(data)
        self.bytes += len(data)

    def _message(self, kind: int, header: Any, body: int) -> int:
        """Writes a message without its body; returns its length."""
        builder = Builder()
        position = header(builder)
        length = [Scalar(3, "<q", body)] if body else []
        fields: list[Field] = [Scalar(0, "<h", _V5), Scalar(1, "<B", kind), *length]
        fields.append(Offset(2, position))
        data = builder.finish(builder.table(fields))
        data = _padded(bytes(8) + data)[8:]
        self._write(struct.pack("<iI", -1, len(data)) + data)
        return len(data) + 8

    def _flush(self) -> None:
        ids = _padded(struct.pack(f"<{len(self._ids)}q", *self._ids))
        rows, size = len(self._ids), len(self._values) * self._size
        values = _padded(b"".join(self._values))
        per_row = self._size // DTYPES[self.dtype][0]
        # Of each column its length and nulls; its validity (absent) and its values.
        nodes = [(rows, 0), (rows, 0), (rows * per_row, 0)]
        at = len(ids)
        buffers = [(0, 0), (0, rows * 8), (at, 0), (at, 0), (at, size)]

        def header(builder: Builder) -> int:
            places = builder.structs([struct.pack("<2q", *buffer) for buffer in buffers])
            lengths = builder.structs([struct.pack("<2q", *node) for node in nodes])
            return builder.table([Scalar(0, "<q", rows), Offset(1, lengths), Offset(2, places)])

        start, body = self.bytes, len(ids) + len(values)
        length = self._message(_BATCH, header, body)
        self._blocks.append(struct.pack("<qi4xq", start, length, body))
        self._write(ids)
        self._write(values)
        self._ids, self._values = [], []

    def _schema(self, builder: Builder) -> int:
        return builder.table(
            [Offset(1, builder.tables([self._id_field(builder), self._tensor_field(builder)]))]
        )

    def _id_field(self, builder: Builder) -> int:
        return _field(builder, "image_id", lambda: (2, _integer(builder, 64, True)))

    def _tensor_field(self, builder: Builder) -> int:
        shape = {"shape": list(self.shape), "dim_names": self._dim_names}
        metadata = {
            "ARROW:extension:metadata": json.dumps(
                shape, separators=(",", ":"), ensure_ascii=False
            ),
            "ARROW:extension:name": "arrow.fixed_shape_tensor",
        }
        pairs = []
        for key, value in metadata.items():
            key_at, value_at = builder.string(key), builder.string(value)
            pairs.append(builder.table([Offset(0, key_at), Offset(1, value_at)]))
        attached = builder.tables(pairs)

        def number() -> tuple[int, int]:
            if self.dtype == "u8":
                return 2, _integer(builder, 8, False)
            precision: list[Field] = [Scalar(0, "<h", 1)] if self.dtype == "f32" else []
            return 3, builder.table(precision)

        name = builder.string(self._column)
        item = _field(builder, "item", number)
        elements = self._size // DTYPES[self.dtype][0]
        size = builder.table([Scalar(0, "<i", elements)])
        children = builder.tables([item])
        return builder.table(
            [
                Offset(0, name),
                Scalar(2, "<B", 16),
                Offset(5, children),
                Offset(3, size),
                Offset(6, attached),
            ]
        )


def _field(builder: Builder, name: str, kind: Callable[[], tuple[int, int]]) -> int:
    """A field of a number that is never null; `kind` writes its type."""
    name_at, children = builder.string(name), builder.tables([])
    number, table = kind()
    return builder.table(
        [Offset(0, name_at), Scalar(2, "<B", number), Offset(5, children), Offset(3, table)]
    )


def _integer(builder: Builder, bits: int, signed: bool) -> int:
    return builder.table(([Scalar(1, "<B", 1)] if signed else []) + [Scalar(0, "<i", bits)])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)
