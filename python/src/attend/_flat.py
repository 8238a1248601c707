"""Writes FlatBuffers, the encoding of Arrow's messages, back to front.

pyarrow writes the same messages with other padding and another order of tables, and not
the same ones in every version. These bytes are those of arrow-rs, which the programs of
attend use, so that a shard has one digest whoever wrote it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Union


class Scalar(NamedTuple):
    """A number of a table: its slot, its format (as in `struct`) and its value."""

    slot: int
    format: str
    value: int


class Offset(NamedTuple):
    """A string, vector or table that a table refers to: its slot, and its position."""

    slot: int
    position: int


Field = Union[Scalar, Offset]


class Builder:
    """A buffer that grows to the front. Positions count from its end.

    >>> builder = Builder()
    >>> builder.finish(builder.table([Scalar(0, "<h", 4)])).hex()
    '0c00000000000600080006000600000000000400'
    """

    def __init__(self) -> None:
        self._bytes = b""
        self._align = 1
        self._vtables: dict[bytes, int] = {}

    def _put(self, data: bytes) -> int:
        self._bytes = data + self._bytes
        return len(self._bytes)

    def _pad(self, size: int, align: int) -> None:
        """Pads so that the next `size` bytes begin at a multiple of `align`."""
        self._align = max(self._align, align)
        self._put(bytes(-(len(self._bytes) + size) % align))

    def _number(self, form: str, value: int) -> int:
        data = struct.pack(form, value)
        self._pad(len(data), len(data))
        return self._put(data)

    def _refer(self, position: int) -> int:
        self._pad(4, 4)
        return self._put(struct.pack("<I", len(self._bytes) + 4 - position))

    def string(self, text: str) -> int:
        """A string; returns its position."""
        data = text.encode()
        self._pad(len(data) + 1, 4)
        self._put(data + b"\0")
        return self._number("<I", len(data))

    def structs(self, items: Sequence[bytes]) -> int:
        """A vector of structures whose alignment is 8."""
        data = b"".join(items)
        self._pad(len(data), 8)
        self._put(data)
        return self._number("<I", len(items))

    def tables(self, positions: Sequence[int]) -> int:
        """A vector of tables."""
        self._pad(4 * len(positions), 4)
        for position in reversed(positions):
            self._refer(position)
        return self._number("<I", len(positions))

    def table(self, fields: Iterable[Field]) -> int:
        """A table; its fields are written in this order."""
        end = len(self._bytes)
        places = {}
        for field in fields:
            if isinstance(field, Scalar):
                places[field.slot] = self._number(field.format, field.value)
            else:
                places[field.slot] = self._refer(field.position)
        table = self._number("<I", 0)
        slots = [
            table - places[n] if n in places else 0 for n in range(max(places, default=-1) + 1)
        ]
        vtable = struct.pack(f"<{len(slots) + 2}H", 2 * len(slots) + 4, table - end, *slots)
        if vtable not in self._vtables:
            self._vtables[vtable] = self._put(vtable)
        at = len(self._bytes) - table
        to_vtable = struct.pack("<i", self._vtables[vtable] - table)
        self._bytes = self._bytes[:at] + to_vtable + self._bytes[at + 4 :]
        return table

    def finish(self, root: int) -> bytes:
        """The whole buffer, whose root is the table at this position."""
        self._pad(4, self._align)
        self._refer(root)
        return self._bytes
