"""The tables of artifacts: Parquet files whose columns the contract names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .errors import Error, Refused


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


_ID, _TEXT, _COUNT, _F32, _F64 = pa.int64(), pa.string(), pa.uint32(), pa.float32(), pa.float64()

#: The columns of each table, none of them ever null. A table may have more.
COLUMNS: dict[str, pa.Schema] = {
    "images.parquet": _schema(
        image_id=_ID,
        split=_TEXT,
        file_name=_TEXT,
        width=_COUNT,
        height=_COUNT,
        shard=_TEXT,
        row=_COUNT,
    ),
    "captions.parquet": _schema(caption_id=_ID, image_id=_ID, split=_TEXT, caption=_TEXT),
    "objects.parquet": _schema(image_id=_ID, name=_TEXT, x=_F32, y=_F32, width=_F32, height=_F32),
    "rejected.parquet": _schema(
        kind=_TEXT, id=_ID, image_id=_ID, file_name=_TEXT, reason=_TEXT, detail=_TEXT
    ),
    "encoded.parquet": _schema(
        caption_id=_ID, image_id=_ID, split=_TEXT, tokens=pa.list_(pa.int32())
    ),
    "per_image.parquet": _schema(image_id=_ID, beam=_COUNT, caption=_TEXT),
    "words.parquet": _schema(
        image_id=_ID,
        words=pa.list_(pa.string()),
        log_probs=pa.list_(pa.float32()),
        attention=pa.list_(pa.uint8()),
        grid_height=_COUNT,
        grid_width=_COUNT,
    ),
}


def read(path: Path) -> pa.Table:
    """Reads a table and checks the columns that the contract names."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as why:
        raise Refused(
            f"{path}: not a Parquet table ({_line(why)}); make the artifact again"
        ) from None
    known = COLUMNS.get(path.name)
    if known is None:
        return table
    try:
        return _fitting(table, known)
    except (Error, pa.ArrowException) as why:
        raise Refused(f"{path}: {_line(why)}; make the artifact again") from None


def write(path: Path, rows: Any) -> int:
    """Writes a table of `rows`: a list of dictionaries, a dictionary of columns, or anything
    that Arrow takes for a table. Returns the number of rows."""
    known = COLUMNS.get(path.name)
    table = _table(rows, known, path.name)
    # Without pandas' or Arrow's own notes, which say more of the writer than of the rows.
    table = table.replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd", store_schema=False)
    return int(table.num_rows)


def left_out(
    kind: str, id: int, image_id: int, reason: str, detail: str = "", file_name: str = ""
) -> dict[str, Any]:
    """A row of `rejected.parquet`: an `image`, `caption` or `box` that was left out, with a
    stable reason code such as `corrupt`, `too-long` or `image-rejected`."""
    row = {"kind": kind, "id": id, "image_id": image_id, "file_name": file_name}
    return {**row, "reason": reason, "detail": detail}


def _table(rows: Any, known: pa.Schema | None, name: str) -> pa.Table:
    try:
        if isinstance(rows, pa.Table):
            table = rows
        elif isinstance(rows, list):
            names = list(rows[0]) if rows else (known.names if known else [])
            columns = {key: [row[key] for row in rows] for key in names}
            table = pa.table({key: _array(key, values, known) for key, values in columns.items()})
        elif isinstance(rows, dict):
            table = pa.table({key: _array(key, values, known) for key, values in rows.items()})
        else:
            table = pa.table(rows)
        return _fitting(table, known) if known else table
    except KeyError as why:
        raise Error(f"{name}: a row has no {why}") from None
    except (Error, pa.ArrowException) as why:
        raise Error(f"{name}: {_line(why)}") from None


def _array(name: str, values: Any, known: pa.Schema | None) -> pa.Array:
    kind = known.field(name).type if known and name in known.names else None
    return pa.array(values, kind)


def _fitting(table: pa.Table, known: pa.Schema) -> pa.Table:
    """The table with the known columns first, in their types."""
    columns = {}
    for field in known:
        if field.name not in table.column_names:
            raise Error(f"has no column {field.name!r}")
        column = table.column(field.name)
        if column.null_count:
            raise Error(f"column {field.name!r} has an empty cell")
        columns[field.name] = column.cast(field.type)
    more = [name for name in table.column_names if name not in columns]
    fields = list(known) + [table.schema.field(name) for name in more]
    return pa.table(
        list(columns.values()) + [table.column(name) for name in more], pa.schema(fields)
    )


def _line(why: Exception) -> str:
    return " ".join(str(why).split())
