"""Make the shipped model: `python -m nlp.train --data DIR --work DIR [--out DIR]`.

Stages, each skipped where its result stands in the work folder: pruned vocabulary and encoder, language model,
features, heads. About half an hour on two cores; no network.
"""

import argparse
import json
import random
import shutil
import sys
from pathlib import Path

import numpy as np

from nlp import base_encoder, export, head_training, language_training, manifest, vocabulary
from nlp import training_data as data
from nlp.encoder import Encoder
from nlp.examples import cap, sample
from nlp.features import Features
from nlp.registry import MODELS
from nlp.tokenizer import PieceTokenizer

NAME, VERSION = "listener-e5", "1"
PIECES = 75_000
COUNTED_ROWS, COUNTED_CHARACTERS = 2500, 600  # of each file, for the choice of the pieces


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_encoder(rows: list[data.Row], work: Path) -> None:
    """tokenizer.json and encoder.onnx in the work folder, the vocabulary chosen from the train rows."""
    base = base_encoder.read(base_encoder.locate())
    counts, scripts = vocabulary.count(vocabulary.build(base), _counted(rows))
    kept = vocabulary.choose(base, counts, scripts, PIECES)
    vocabulary.build(base, kept).save(str(work / "tokenizer.json"), pretty=False)
    export.write(export.encoder(base, kept), work / "encoder.onnx")
    _say(f"encoder: {len(kept)} pieces")


def _counted(rows: list[data.Row]) -> list[tuple[str, str]]:
    files: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        files.setdefault(row.name, []).append((row.language, row.text[:COUNTED_CHARACTERS]))
    draw = random.Random(0)
    return [item for name in sorted(files) for item in draw.sample(files[name], min(COUNTED_ROWS, len(files[name])))]


def validation_cap(name: str) -> int:
    """How many validation rows of a file help to set thresholds and temperatures."""
    caps = {"umsab": 330, "brighter": 100, "xed": 0, "kote": 0, "tweeteval": 0, "minibar": 0, "google": 0}
    return next((most for prefix, most in caps.items() if name.startswith(prefix)), 50)


def make_heads(rows: list[data.Row], leaks: data.Leaks, folder: Path, work: Path) -> manifest.Manifest:
    """heads.npz in the work folder; returns the manifest without the files' sums."""
    features = Features(PieceTokenizer(work / "tokenizer.json"), Encoder(work / "encoder.onnx", 2), work / "features")
    verbatims = [
        item
        for item in data.journey(folder, "train", "rare_train", "synthetic_1", "synthetic_2")
        if data.allowed(item["id"]) and not leaks.leaks_text(item["text"])
    ]
    held = data.journey(folder, "validation", "rare_validation")
    texts = sample(data.trainable(rows, leaks), cap)
    held_texts = sample([row for row in rows if row.split == "validation"], validation_cap)
    _say(f"features of {len(verbatims)} verbatims and {len(texts)} texts, validation {len(held)}, {len(held_texts)}")
    parts = head_training.Material(
        head_training.segment_set(verbatims, features.segments(verbatims)),
        head_training.segment_set(held, features.segments(held)),
        head_training.text_set(texts, features.texts([item.text for item in texts])),
        head_training.text_set(held_texts, features.texts([item.text for item in held_texts])),
    )
    heads, certain, report = head_training.fit_all(parts)
    np.savez(work / "heads.npz", **heads)  # type: ignore[arg-type]  # the stub takes the arrays for its own options
    _say(json.dumps(report, indent=1))
    return manifest.Manifest(NAME, VERSION, {}, certain, report["temperatures"], report["thresholds"])


def ship(work: Path, out: Path, made: manifest.Manifest) -> None:
    """Copy the files to the package and write the manifest beside them."""
    out.mkdir(parents=True, exist_ok=True)
    for name in manifest.FILES:
        shutil.copyfile(work / name, out / name)
    sums = {name: manifest.digest(out / name) for name in manifest.FILES}
    manifest.write(
        out, manifest.Manifest(made.name, made.version, sums, made.certain, made.temperatures, made.thresholds)
    )
    _say(f"{out}: {sum((out / name).stat().st_size for name in manifest.FILES) / 1e6:.1f} MB")


def main() -> None:
    """Run the stages."""
    parser = argparse.ArgumentParser(description="Make the shipped classifier from the data folder.")
    parser.add_argument("--data", type=Path, required=True, help="folder with sentiment, emotion, support, journey")
    parser.add_argument("--work", type=Path, required=True, help="folder for what lies between the stages")
    parser.add_argument("--out", type=Path, default=MODELS / NAME, help="model folder to write")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = data.load(options.data)
    leaks = data.Leaks(rows, data.journey(options.data, "validation", "rare_validation"))
    trainable = data.trainable(rows, leaks)
    _say(f"{len(rows)} rows, {len(trainable)} may be trained on")
    if not (options.work / "encoder.onnx").exists():
        make_encoder(trainable, options.work)
    if not (options.work / "language.npz").exists():
        language_training.train(language_training.languages(trainable), options.work / "language.npz")
    ship(options.work, options.out, make_heads(rows, leaks, options.data, options.work))


if __name__ == "__main__":
    main()
