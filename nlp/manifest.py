"""What stands in a model folder: files with their sums, version, thresholds."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from listener.errors import ConfigError

FILES = ("encoder.onnx", "tokenizer.json", "heads.npz", "language.npz")


@dataclass(frozen=True, slots=True)
class Manifest:
    """`certain` holds, by kind of text, how sure of negative / not negative an answer must be not to be uncertain."""

    name: str
    version: str
    sha256: dict[str, str]
    certain: dict[str, float]  # review, social, segment
    temperatures: dict[str, float] = field(default_factory=dict)
    thresholds: dict[str, dict[str, float]] = field(default_factory=dict)


def digest(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json into the folder."""
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False, sort_keys=True)
    (folder / "manifest.json").write_text(text + "\n", encoding="utf8")


def read(folder: Path) -> Manifest:
    """The manifest of a model folder; raises ConfigError where a file is missing or not the one it names."""
    try:
        stored: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf8"))
        manifest = Manifest(**stored)
        for name in FILES:
            if digest(folder / name) != manifest.sha256[name]:
                raise ConfigError(f"the model file {name} in {folder} is damaged: install the package again")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{folder} holds no usable model ({error}): install the package again") from error
    return manifest
