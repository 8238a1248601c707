"""Shards of tensors: uncompressed Arrow IPC files, one row per image.

Two columns: `image_id` (int64) and a tensor of the canonical extension type
`arrow.fixed_shape_tensor`. A shard is memory-mapped; its tensors are never copied.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .errors import Error, Refused

if TYPE_CHECKING:
    import numpy as np

#: Types of a tensor's numbers: bytes of one, and its type in Arrow's and numpy's words.
DTYPES = {
    "u8": (1, pa.uint8(), "uint8"),
    "f16": (2, pa.float16(), "float16"),
    "f32": (4, pa.float32(), "float32"),
}


class Shard:
    """A shard, memory-mapped: `ids[n]` is the image of row n, `shard[n]` its tensor.

    >>> import attend, numpy, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with attend.artifact("thing", folder + "/t", producer=("x", "1")) as out:
    ...     with out.shard("train-00000", "features", (4, 2), "f32") as shard:
    ...         shard.append(7, numpy.ones((4, 2), "float32"))
    >>> shard = attend.open(folder + "/t").shard("train-00000")
    >>> len(shard), shard.ids.tolist(), float(shard[0].sum()), shard.numpy().shape
    (1, [7], 8.0, (1, 4, 2))
    """

    def __init__(self, path: Path) -> None:
        import numpy as np

        self.path = path
        try:
            with open(path, "rb") as file:
                # Private: whoever writes into a tensor changes neither the file nor the page cache.
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            base = pa.py_buffer(self._map)
            reader = pa.ipc.open_file(pa.BufferReader(base))
            #: Name of the tensor column: `image` or `features`.
            self.column, self.dtype, self.shape = _tensor_type(reader.schema)
            numpy_type = DTYPES[self.dtype][2]
            ids, batches = [], []
            for n in range(reader.num_record_batches):
                batch = reader.get_batch(n)
                if batch.num_rows == 0:
                    continue
                if any(column.null_count for column in batch.columns):
                    raise ValueError("a value is null")
                ids.append(batch.column(0).to_numpy())
                column = batch.column(1)
                numbers = getattr(column, "storage", column).flatten()
                buffer = numbers.buffers()[1]
                start = buffer.address - base.address + numbers.offset * DTYPES[self.dtype][0]
                if not 0 <= start <= base.size:
                    raise ValueError("its batches are compressed; write them without compression")
                rows = np.frombuffer(self._map, numpy_type, len(numbers), start)
                batches.append(rows.reshape(-1, *self.shape))
            self._batches: list[np.ndarray] = batches
            #: The image of each row: int64 [n].
            self.ids: np.ndarray = np.concatenate(ids) if ids else np.zeros(0, "int64")
        except OSError as why:
            raise Error(f"{path}: {why.strerror or why}") from None
        except (ValueError, pa.ArrowException) as why:
            raise Refused(f"{path}: not a shard ({why}); make the artifact again") from None
        self._first = np.cumsum([0] + [len(batch) for batch in batches])

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> np.ndarray:
        if not -len(self) <= row < len(self):
            raise IndexError(f"{self.path} has {len(self)} rows, no row {row}")
        return _read_only(self._writable(row % len(self)))

    def _writable(self, row: int) -> np.ndarray:
        batch = int(self._first.searchsorted(row, "right")) - 1
        tensor: np.ndarray = self._batches[batch][row - self._first[batch]]
        return tensor

    def __iter__(self) -> Iterator[np.ndarray]:
        return (row for batch in self.batches() for row in batch)

    def batches(self) -> list[np.ndarray]:
        """The tensors as the file has them: arrays of some rows each, not copied."""
        return [_read_only(batch) for batch in self._batches]

    def numpy(self) -> np.ndarray:
        """All tensors, [n, ...]. Not copied if they are one batch of the file."""
        import numpy as np

        if len(self._batches) == 1:
            return self.batches()[0]
        empty = np.zeros((0, *self.shape), DTYPES[self.dtype][2])
        return np.concatenate([empty, *self._batches])

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        import numpy as np

        return np.asarray(self.numpy(), dtype)

    def torch(self, row: int) -> Any:
        """The tensor of a row as a torch tensor that shares the map's memory."""
        import torch

        self[row]  # is there such a row?
        return torch.from_numpy(self._writable(row % len(self)))


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _tensor_type(schema: pa.Schema) -> tuple[str, str, tuple[int, ...]]:
    if len(schema) != 2 or schema.field(0).type != pa.int64():
        raise ValueError(f"its columns are {', '.join(schema.names)}, not image_id and a tensor")
    column = schema.field(1)
    kind = column.type
    if isinstance(kind, pa.FixedShapeTensorType):
        shape, value = tuple(kind.shape), kind.value_type
        if kind.permutation not in (None, list(range(len(shape)))):
            raise ValueError(f"column {column.name!r} has its dimensions in another order")
    else:
        raise ValueError(f"column {column.name!r} is no arrow.fixed_shape_tensor")
    for name, (_, known, _) in DTYPES.items():
        if value == known:
            return column.name, name, shape
    raise ValueError(f"column {column.name!r} holds {value}, not u8, f16 or f32")
