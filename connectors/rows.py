"""A row of a file or an item of a push becomes a mention: columns, scales, dates, defaults."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.base import SourceConfig, apply
from connectors.columns import FIELDS, Columns, named
from connectors.values import Dates, as_flag, as_number, as_rating, as_text, clean
from listener.errors import InputError
from listener.model import KIND_ALIASES, KINDS, METRICS, Author, Mention, Reply, Score, mention_id, to_ms

_AUTHOR = ("handle", "name", "id", "followers", "verified", "url")
_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_MOST_KEYS = 1000  # keys of foreign JSON that are remembered; later ones are left out


class Scale(BaseModel):
    """What the numbers of a scale question mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: float = Field(description="the lowest answer")
    max: float = Field(description="the highest answer")
    direction: Literal["up", "down"] = Field("up", description="down where a lower answer is better")
    asked_about: str | None = Field(None, description="journey step the question was about")
    periodic: bool = Field(False, description="true for a survey by calendar, false for one after an interaction")

    @field_validator("max")
    @classmethod
    def _above_min(cls, value: float, info: Any) -> float:
        if value <= info.data.get("min", value - 1):
            raise ValueError("max must be above min")
        return value


class RowSettings(SourceConfig):
    """How the columns of a foreign file, or the keys of a foreign push, are read."""

    mapping: dict[str, str] = Field(
        default_factory=dict,
        description="field -> column, where names do not say it; an empty column leaves the field out",
    )
    scales: dict[Literal["rating", "nps", "csat", "ces"], Scale] = Field(
        default_factory=dict, description="scale of ratings and of nps, csat and ces answers, where not guessed right"
    )
    dates: str = Field(
        "auto", description="order in dates like 03/04/2026: auto, day or month first; or a strptime pattern"
    )
    timezone: str = Field("UTC", description="time zone of dates that name none")

    @field_validator("mapping")
    @classmethod
    def _known_fields(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in FIELDS and not name.startswith("engagement."):
                raise ValueError(f"{name!r} is no field; fields: {', '.join(FIELDS)}")
        return value

    @field_validator("dates")
    @classmethod
    def _known_order(cls, value: str) -> str:
        if value not in ("auto", "day", "month") and "%" not in value:
            raise ValueError("write auto, day, month or a strptime pattern such as %d.%m.%Y")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{value!r} is no time zone") from error
        return value

    def reading(self, order: str = "auto") -> Dates:
        """How dates are read; `order` as guessed from the file, where the settings leave it open."""
        zone = UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)
        if "%" in self.dates:
            return Dates("auto", self.dates, zone)
        return Dates(order if self.dates == "auto" else self.dates, None, zone)


class Rows:
    """Turns rows into mentions of one namespace.

    With `columns` (a file whose first rows were looked at) only these are read; keys not seen then, and all keys
    where it is None (a push), are taken by their name alone when `open_keys`.
    """

    def __init__(
        self,
        config: RowSettings,
        source: str,
        namespace: str,
        columns: Columns | None = None,
        open_keys: bool = False,
        channel: str = "file",
    ) -> None:
        self._config, self._source, self._namespace, self._channel = config, source, namespace, channel
        self._columns = columns or Columns({name: column for name, column in config.mapping.items() if column})
        self._fields = {name: [column] for name, column in self._columns.fields.items()}
        self._closed = {name for name, column in config.mapping.items()}
        self._seen = {*self._columns.fields.values(), *self._columns.left_out}
        self._open = open_keys
        self._dates = config.reading(self._columns.order)
        self._scale = config.scales.get("rating")
        self._engagement = [name for name in self._fields if name.startswith("engagement.")]
        self._authors = [name for name in self._fields if name.startswith("author")]

    def native_id(self, row: Mapping[str, Any]) -> str:
        """The id the row names, empty when it names none."""
        return as_text(self._get(self._opened(row) if self._open else row, "native_id"))

    def mention(self, row: Mapping[str, Any], received_at: datetime, fallback_id: str) -> Mention:
        """The mention of a row; an undated one is published when received, with version 0.

        `fallback_id` is the id of a row that names none. Raises InputError with the reason a row cannot be used.
        """
        if self._open:
            row = self._opened(row)
        get = self._get
        try:
            published, version = self._times(row, received_at)
            rating, original = self._rating(get(row, "rating"), get(row, "rating_original"))
            scores = self._scores(row, get(row, "rating"))
            text, title = as_text(get(row, "text")), as_text(get(row, "title")) or None
            if not text:
                text, title = title or "", None
            if not text and rating is None and not scores:
                raise ValueError("no text, no title and no rating")
            kind = self._kind(get(row, "kind")) or ("survey" if scores else "")
            native = as_text(get(row, "native_id")) or fallback_id
            author = self._author(row) if self._authors else None
            mention = Mention(
                mention_id(self._namespace, native), native, self._source, kind,
                as_text(get(row, "channel")).lower().replace(" ", "_"), text, published, received_at, version, title,
                _language(get(row, "language")), as_text(get(row, "brand")) or None,
                as_text(get(row, "product")) or None, as_text(get(row, "place")) or None,
                as_text(get(row, "audience")) or None, author, as_text(get(row, "url")) or None,
                as_text(get(row, "parent_id")) or None, as_text(get(row, "thread_id")) or None,
                rating, original, scores, self._counts(row) if self._engagement else {},
                self._replies(row, published), bool(as_flag(get(row, "own"))),
            )  # fmt: skip
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(str(error) or type(error).__name__) from error
        default = "review" if rating is not None else "post"
        return apply(self._config, mention, kind=default, channel=self._channel)

    def _get(self, row: Mapping[str, Any], name: str) -> Any:
        for column in self._fields.get(name, ()):
            value = row.get(column)
            if value is not None and value != "":
                return value
        return None

    def _opened(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        flat = _flat(row)
        for key in flat.keys() - self._seen:
            if len(self._seen) >= _MOST_KEYS:
                break
            self._seen.add(key)
            found = named(key)
            if found is None or found[0] in self._closed:
                continue
            name, rank = found
            columns = self._fields.setdefault(name, [])
            # A field's own name comes before any guess; other names fill what no column of the first rows is for.
            if rank == 0:
                columns.insert(0, key)
            elif name not in self._columns.fields:
                columns.append(key)
                columns.sort(key=lambda column: (named(column) or ("", 0))[1])
            self._engagement = [field for field in self._fields if field.startswith("engagement.")]
            self._authors = [field for field in self._fields if field.startswith("author")]
        return flat

    def _times(self, row: Mapping[str, Any], received_at: datetime) -> tuple[datetime, int]:
        published, updated = self._get(row, "published_at"), self._get(row, "updated_at")
        written = version = self._get(row, "version")
        edited = None if updated is None else self._dates(updated)
        at = edited if published is None else self._dates(published)
        if version is not None:
            version = int(as_number(written))
        if at is None:
            return received_at, version or 0
        return at, to_ms(max(at, edited or at)) if version is None else version

    def _kind(self, value: Any) -> str:
        kind = as_text(value).casefold()
        kind = KIND_ALIASES.get(kind, kind)
        if kind and kind not in KINDS:
            raise ValueError(f"unknown kind {kind[:40]!r} (allowed: {', '.join((*KINDS, *KIND_ALIASES))})")
        return kind

    def _rating(self, value: Any, original: Any) -> tuple[float | None, Score | None]:
        if value is None:
            return None, None
        if isinstance(original, Mapping):
            return as_number(value), _score(original)
        if isinstance(value, Mapping):
            score = _score({"metric": "rating", **value})
            return _to_stars(score.value, score.min, score.max, score.direction), score
        number, own = as_rating(value)
        if self._scale is not None:
            low, high, way = self._scale.min, self._scale.max, self._scale.direction
        else:
            (low, high), way = own or self._columns.scale or (1.0, 5.0), "up"
        if not low <= number <= high:
            raise ValueError(f"rating {number:g} is outside {low:g}..{high:g}: set `scales.rating`")
        same = (low, high, way) == (1.0, 5.0, "up")
        return _to_stars(number, low, high, way), None if same else Score("rating", number, low, high, way)

    def _scores(self, row: Mapping[str, Any], rating: Any) -> tuple[Score, ...]:
        listed = self._get(row, "scores")
        found = [_score(item) for item in listed] if isinstance(listed, (list, tuple)) else []
        if isinstance(rating, Mapping) and rating.get("metric") in METRICS:
            found.append(_score(rating))
        for metric in METRICS:
            if (value := self._get(row, metric)) is None:
                continue
            low, high = self._columns.ranges.get(metric) or {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}[metric]
            scale = self._config.scales.get(metric) or Scale(min=low, max=high)  # type: ignore[call-overload]
            number = as_rating(value)[0]
            if not scale.min <= number <= scale.max:
                raise ValueError(f"{metric} {number:g} is outside {scale.min:g}..{scale.max:g}: set `scales.{metric}`")
            found.append(
                Score(metric, number, scale.min, scale.max, scale.direction, scale.asked_about, scale.periodic)
            )
        return tuple(found)

    def _author(self, row: Mapping[str, Any]) -> Author | None:
        found = {name: self._get(row, f"author.{name}") for name in _AUTHOR}
        handle = as_text(found["handle"] or self._get(row, "author")) or None
        followers = found["followers"]
        author = Author(
            handle, as_text(found["name"]) or None, as_text(found["id"]) or None,
            None if followers is None else int(as_number(followers)), as_flag(found["verified"]),
            as_text(found["url"]) or None,
        )  # fmt: skip
        return None if author == Author() else author

    def _counts(self, row: Mapping[str, Any]) -> dict[str, int]:
        found = ((name.partition(".")[2], self._get(row, name)) for name in self._engagement)
        return {name: int(as_number(value)) for name, value in found if value is not None}

    def _replies(self, row: Mapping[str, Any], published: datetime) -> tuple[Reply, ...]:
        listed = self._get(row, "replies")
        if isinstance(listed, (list, tuple)):
            return tuple(Reply(self._dates(reply["at"]), clean(reply["text"])) for reply in listed)
        text = as_text(self._get(row, "reply.text"))
        if not text:
            return ()
        at = self._get(row, "reply.at")
        return (Reply(published if at is None else self._dates(at), text),)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping) and key not in ("rating", "rating_original"):
            flat.update((f"{key}.{inner}", item) for inner, item in value.items())
        else:
            flat[key] = value
    return flat


def flat_keys(rows: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """The rows with nested objects one level up (`author.handle`), and every key in order of appearance."""
    flats = [_flat(row) for row in rows]
    return list(dict.fromkeys(key for flat in flats for key in flat)), flats


def _score(data: Mapping[str, Any]) -> Score:
    score = Score(
        as_text(data["metric"]), as_number(data["value"]), as_number(data["min"]), as_number(data["max"]),
        as_text(data.get("direction")) or "up", as_text(data.get("asked_about")) or None,
        bool(as_flag(data.get("periodic"))),
    )  # fmt: skip
    if score.min >= score.max or not score.min <= score.value <= score.max:
        raise ValueError(f"{score.metric} {score.value:g} is outside {score.min:g}..{score.max:g}")
    return score


def _to_stars(value: float, low: float, high: float, direction: str) -> float:
    share = (value - low) / (high - low)
    return round(1 + 4 * (1 - share if direction == "down" else share), 4)


def _language(value: Any) -> str | None:
    code = as_text(value)
    return code.replace("_", "-") if code and _CODE.fullmatch(code) else None
