"""The bundled sample as a source: invented texts about invented brands, dated back from the first ingest.

Most of them are past when the demo begins; the last thirty arrive one by one while it serves, dated when they arrive.
The file packaged beside this module is made by tools/build_sample.py, whose docstring lists its keys.
"""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from connectors.base import Context, SourceConfig, apply
from listener.errors import InputError
from listener.model import Mention, Page, iso, mention_from_json, mention_id, parse_time, to_ms

OUR_BRAND = "Lunaveste"  # fashion and things for the home, in shops and online
RIVALS = (
    "Aerolinde", "Avelune", "Bancorel", "Bazamio", "Casaluma", "Halvarro", "Hauswerra", "Kelvora", "Kilovara",
    "Kredanta", "Mindori", "Mirelba", "Norrvia", "Ovelano", "Planikko", "Previlan", "Railvento", "Saffranello",
    "Telviko", "Telvora", "Tradoza", "Velmodi", "Voltenza",
)  # fmt: skip
NAMESPACE = "sample"
PAGE = 100
_OURS_ALONE = ("phase", "age", "day_age", "delay", "edit_age", "gold")


@cache
def _rows() -> tuple[str, ...]:
    packed = files("connectors").joinpath("data/sample.jsonl.gz").read_bytes()
    return tuple(gzip.decompress(packed).decode("utf8").splitlines())


def rows() -> list[dict[str, Any]]:
    """Every row as packaged, the past part oldest first, then the live part in the order of its `delay`."""
    return [json.loads(line) for line in _rows()]


def past(first_ingest: datetime) -> Iterator[dict[str, Any]]:
    """The past part under the field names of the JSONL contract, its times counted back from `first_ingest`."""
    for row in rows():
        if row["phase"] == "past":
            yield _dated(row, first_ingest)


def live() -> list[tuple[float, dict[str, Any]]]:
    """What arrives while the demo serves: (seconds after its start, row without any time), in order."""
    return [(row["delay"], _fields(row)) for row in rows() if row["phase"] == "live"]


def write(folder: Path, first_ingest: datetime) -> Path:
    """Write the past part as `sample.jsonl` in `folder`, for a `file` source; returns the file."""
    path = folder / "sample.jsonl"
    lines = (json.dumps(row, ensure_ascii=False) for row in past(first_ingest))
    path.write_text("".join(f"{line}\n" for line in lines), "utf8")
    return path


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in _OURS_ALONE}


def _at(row: Mapping[str, Any], first_ingest: datetime) -> datetime:
    # Most times count from midnight, so that people write by day at whatever hour the demo is first run.
    if "age" in row:
        return first_ingest - timedelta(seconds=row["age"])
    midnight = first_ingest.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(seconds=row["day_age"])


def _dated(row: Mapping[str, Any], first_ingest: datetime) -> dict[str, Any]:
    published = _at(row, first_ingest)
    dated = {**_fields(row), "published_at": iso(published)}
    if "edit_age" in row:
        dated["version"] = to_ms(_at({"day_age": row["edit_age"]}, first_ingest))
    if "replies" in row:
        dated["replies"] = [{"at": iso(_at(reply, first_ingest)), "text": reply["text"]} for reply in row["replies"]]
    return dated


class SampleConfig(SourceConfig):
    """The bundled sample, of the demo and of a first look."""

    connector: Literal["sample"] = "sample"
    live: bool = Field(True, description="false hands on the past part alone")
    speed: float = Field(1.0, gt=0, allow_inf_nan=False, description="how many times faster the live part arrives")


class Sample:
    """Hands on the past part at once, then the live part row by row; a restart goes on with what remains.

    The cursor is JSON: `first` the first ingest, to which every time is fixed, `past` and `live` the numbers of rows
    handed on of each part.
    """

    Config: ClassVar[type[SourceConfig]] = SampleConfig
    push: ClassVar[bool] = False
    live: ClassVar[bool] = True

    def __init__(self, config: SampleConfig, context: Context) -> None:
        self._config, self._context = config, context

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """Pages of up to 100 past mentions, then one live mention a page, slept for. Raises InputError."""
        first, past_done, live_done = _read(cursor) if cursor else (self._context.now(), 0, 0)
        dated = list(past(first))
        while past_done < len(dated):
            some = dated[past_done : past_done + PAGE]
            past_done += len(some)
            yield Page(tuple(map(self._mention, some)), _cursor(first, past_done, live_done))
        if not self._config.live:
            return
        arriving = live()
        while live_done < len(arriving):
            delay, row = arriving[live_done]
            before = arriving[live_done - 1][0] if live_done else 0.0
            await asyncio.sleep((delay - before) / self._config.speed)
            # Known before it arrives: handed on twice after a crash, the mention is the same version both times.
            row |= {"published_at": iso(self._context.now()), "version": to_ms(first) + live_done}
            live_done += 1
            yield Page((self._mention(row),), _cursor(first, past_done, live_done))

    async def close(self) -> None:
        """Nothing is held open."""

    def _mention(self, row: Mapping[str, Any]) -> Mention:
        published = parse_time(row["published_at"])
        mention = mention_from_json({
            "version": to_ms(published), **row, "id": mention_id(NAMESPACE, row["native_id"]),
            "source": self._context.source, "received_at": iso(self._context.now()),
        })  # fmt: skip
        return apply(self._config, mention, kind=mention.kind, channel=mention.channel)


def _cursor(first: datetime, past_done: int, live_done: int) -> str:
    return json.dumps({"first": iso(first), "past": past_done, "live": live_done})


def _read(cursor: str) -> tuple[datetime, int, int]:
    try:
        data = json.loads(cursor)
        return parse_time(data["first"]), int(data["past"]), int(data["live"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"not a cursor of the sample: {cursor[:80]!r}") from error
