"""Rows of .xlsx and Parquet files, by row number; the libraries come with the extra `tables` and load on use."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from connectors.text_file import Record
from listener.errors import ConfigError, InputError

SUFFIXES = (".xlsx", ".parquet")
_EXTRA = "reading {} needs the extra `tables`: pip install 'listener[tables]'"


def sheet_rows(path: Path, skip: int, sheet: str | None = None) -> Iterator[Record]:
    """The rows behind the first `skip` ones; `number` and `end` count rows. Raises ConfigError without the extra."""
    rows = _parquet(path) if path.suffix.lower() == ".parquet" else _xlsx(path, sheet)
    for number, row in enumerate(rows, 1):
        if number > skip and any(value is not None and value != "" for value in row.values()):
            yield Record(number, number, raw_of(row), row)


def raw_of(row: dict[str, Any]) -> bytes:
    """A row of a binary table as JSON bytes, for the dead letters and the ids of rows without one."""
    return json.dumps(row, ensure_ascii=False, default=str).encode("utf8", "surrogatepass")


def _xlsx(path: Path, sheet: str | None) -> Iterator[dict[str, Any]]:
    try:
        import openpyxl  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(_EXTRA.format(".xlsx"), path="connector file") from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # openpyxl lets zipfile, XML and key errors through alike
        raise InputError(f"{path.name} cannot be read as .xlsx: {error}") from error
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise InputError(f"{path.name} has no sheet {sheet!r}; sheets: {', '.join(book.sheetnames)}")
        rows = (book[sheet] if sheet is not None else book.worksheets[0]).iter_rows(values_only=True)
        header: list[str] | None = None
        for cells in rows:
            if header is None:
                if any(cell is not None for cell in cells):
                    names = ("" if cell is None else str(cell).strip() for cell in cells)
                    header = [name or f"column {place}" for place, name in enumerate(names, 1)]
                continue
            yield dict(zip(header, cells, strict=False))
    finally:
        book.close()


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import ArrowInvalid, parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(_EXTRA.format("Parquet"), path="connector file") from error
    try:
        with parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=500):
                yield from batch.to_pylist()
    except (ArrowInvalid, OSError) as error:
        raise InputError(f"{path.name} cannot be read as Parquet: {error}") from error
