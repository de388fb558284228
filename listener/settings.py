"""The settings: one `listener.toml`, validated whole, every problem listed at once.

    settings = load(find(None))     # --config FILE, else LISTENER_CONFIG, else ./listener.toml

Relative paths are relative to the file's folder, secrets stand in it only as `env:NAME` or `file:PATH`.
`python -m listener.settings --docs` prints docs/settings.md, `--example` a commented file.
"""

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from connectors.base import Duration, SecretReference, SourceConfig
from listener.errors import ConfigError, Problem
from listener.notifiers import NotifierConfig
from listener.settings_fields import anchored, keys_of
from listener.settings_plugins import classifiers, destination_config, source_config
from listener.settings_problems import Lines, problems_of, too_long

FILE_NAME = "listener.toml"
VARIABLE = "LISTENER_CONFIG"
ENGINES_TO_COME = ("elasticsearch", "opensearch")


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise PydanticCustomError("time_zone", "is not an IANA time zone such as Europe/Paris") from error
    return name


def _engine(name: str) -> str:
    if name in ENGINES_TO_COME:
        text = "comes in a later release; set engine = 'embedded' today"
        raise PydanticCustomError("engine", text, {"allowed": ("embedded",)})
    return name


def _journey(name: str) -> str:
    if name != "default":
        # Taken but not read it would show the wrong steps without a word.
        text = "a journey of your own comes in a later release; set journey = 'default' today"
        raise PydanticCustomError("journey", text, {"allowed": ("default",)})
    return name


def _folder(info: ValidationInfo) -> Path:
    """Where the settings file lies; the working folder for settings that come from no file."""
    return cast("Path", (info.context or {}).get("folder", Path()))


def _classifier(name: str) -> str:
    if name not in classifiers():
        raise PydanticCustomError("classifier", "unknown classifier", {"allowed": classifiers()})
    return name


def _some_time(length: timedelta) -> timedelta:
    if length < timedelta(0):
        raise PydanticCustomError("duration", "is below zero")
    return length


def _length(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        raise PydanticCustomError("duration", "is not a duration: write 90s, 20m, 4h, 7d or 1h30m")
    return value


Length = Annotated[Duration, BeforeValidator(_length), AfterValidator(_some_time)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,64}$")]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Section(BaseModel):
    """A table of the settings; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Index(Section):
    """Where mentions live."""

    engine: Annotated[Literal["embedded", "elasticsearch", "opensearch"], AfterValidator(_engine)] = Field(
        "embedded", description="what keeps and searches mentions; the clusters come in a later release"
    )
    path: Path = Field(Path("listener.db"), description="file of the embedded engine")
    readers: int = Field(2, ge=1, le=64, description="connections that read side by side")
    vectors: bool = Field(True, description="keep a vector per mention, for search by meaning")


class Classifier(Section):
    """What reads the texts."""

    name: Annotated[str, AfterValidator(_classifier)] = Field(
        "listener-e5",
        description="`listener-e5`, `rule` (a small fake for trials) or `none` (no analysis), or another's",
    )
    threads: int = Field(0, ge=0, le=1024, description="processor threads of the model; 0 takes all cores")
    token_budget: int = Field(4096, ge=1, description="pieces of text in one batch; less means less memory")
    capacity: int = Field(2000, ge=1, description="texts that may wait; beyond them sources are slowed")


class Alerts(Section):
    """When alerts are written, and in which language."""

    max_age: Length = Field(
        timedelta(hours=24), description="a mention first received later than this after it was published never alerts"
    )
    language: Literal["en"] = Field("en", description="language of alerts")


class Serve(Section):
    """The HTTP server of `listener serve`."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on; 0.0.0.0 is every interface")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    inbox_limit: int = Field(10000, ge=1, description="pushes of one source that may wait; beyond them senders get 503")


class Privacy(Section):
    """What is known of authors."""

    pseudonymise: SecretReference | None = Field(
        None, description="key under which authors are hashed before anything is stored; a lost key cannot be replaced"
    )


class Limits(Section):
    """How much may be under way at once."""

    pages: int = Field(2, ge=1, le=100, description="pages of one source between reading and storing")
    grace: Length = Field(timedelta(seconds=20), description="how long a stop waits for what is in hand")


def _source(value: Any, info: ValidationInfo) -> SourceConfig:
    return source_config(value, _folder(info))


def _destination(value: Any, info: ValidationInfo) -> NotifierConfig:
    return destination_config(value, _folder(info))


class Settings(Section):
    """All settings of one service."""

    timezone: Annotated[str, AfterValidator(_time_zone)] = Field(
        "UTC", description="IANA time zone of days, weeks and business hours", examples=["Europe/Paris"]
    )
    brand: Words | None = Field(None, description="our own brand, on which every view opens", examples=["Acme"])
    journey: Annotated[str, AfterValidator(_journey)] = Field(
        "default", description="the customer journey; one of your own comes in a later release"
    )
    index: Index = Field(Index(), description="Where mentions live.")
    classifier: Classifier = Field(Classifier(), description="What reads the texts.")
    brands: Mapping[Words, tuple[Words, ...]] = Field(
        {},
        description="Words that name a brand in a text, for mentions whose source names none.",
        examples=[{"Acme": ["acme", "@acme"]}],
    )
    alerts: Alerts = Field(Alerts(), description="When alerts are written, and in which language.")
    serve: Serve = Field(Serve(), description="The HTTP server of `listener serve`.")
    privacy: Privacy = Field(Privacy(), description="What is known of authors.")
    limits: Limits = Field(Limits(), description="How much may be under way at once.")
    sources: Mapping[Name, Annotated[SerializeAsAny[SourceConfig], BeforeValidator(_source)]] = Field(
        {}, description="Where mentions come from: one table per source, named by you (a-z 0-9 _ -)."
    )
    destinations: Mapping[Name, Annotated[SerializeAsAny[NotifierConfig], BeforeValidator(_destination)]] = Field(
        {}, description="Where alerts go: one table per destination, named by you; `console` is always there."
    )


# --- reading --------------------------------------------------------------------------------------


def find(argument: str | Path | None) -> Path:
    """The settings file: `argument`, else LISTENER_CONFIG, else ./listener.toml. Raises ConfigError where it is not."""
    if argument is not None:
        path, origin = Path(argument), "given with --config"
    elif os.environ.get(VARIABLE):
        path, origin = Path(os.environ[VARIABLE]), f"named by {VARIABLE}"
    else:
        path, origin = Path(FILE_NAME), f"looked for here, as neither --config nor {VARIABLE} names another"
    if not path.is_file():
        raise ConfigError(f"there is no such file ({origin}); `listener init DIR` writes one", path=str(path))
    return path


def load(path: str | Path) -> Settings:
    """The settings of a file. Raises ConfigError with every problem found."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(Problem(path.name, "is not UTF-8 text", line=line)) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=str(path)) from error
    return loads(text, path.parent, path.name)


def loads(text: str, folder: Path, name: str = FILE_NAME) -> Settings:
    """The settings of a TOML text, its relative paths taken from `folder`. Raises ConfigError."""
    try:
        data = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError("is not valid TOML: nested too deeply", path=name) from error
    except ValueError as error:  # TOMLDecodeError, and whole numbers of more digits than Python reads
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        message = f"is not valid TOML: {str(error)[: place.start()] if place else error}"
        message += f" (column {place[2]})" if place else ""
        raise ConfigError(Problem(name, message, line=int(place[1]) if place else None)) from error
    return validate(data, folder, Lines(text))


def validate(data: Mapping[str, Any], folder: Path, lines: Lines | None = None) -> Settings:
    """The settings of parsed TOML. Raises ConfigError with every problem, and its line where `lines` are given."""
    folder = folder.absolute()
    shaped = anchored(keys_of(Settings), data, folder)
    destinations = shaped.get("destinations", {})
    if isinstance(destinations, Mapping):  # subscriptions deliver to the console unless they say otherwise
        shaped["destinations"] = {"console": {"type": "console"}, **destinations}
    try:
        return Settings.model_validate(shaped, context={"folder": folder})
    except ValidationError as error:
        raise ConfigError(problems_of(error, data, Settings, lines)) from None
    except OverflowError:  # a duration longer than Python's; it leaves pydantic without its path
        raise ConfigError(too_long(data, lines) or "a number is too large") from None


def main(arguments: list[str]) -> int:
    """Print the reference (`--docs`) or a commented file (`--example`)."""
    from listener.settings_text import example, reference

    texts = {"--docs": reference, "--example": example}
    if len(arguments) != 1 or arguments[0] not in texts:
        print("usage: python -m listener.settings --docs | --example", file=sys.stderr)
        return 2
    sys.stdout.write(texts[arguments[0]]())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
