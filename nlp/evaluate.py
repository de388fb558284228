"""Figures of a classifier: `python -m nlp.evaluate --data DIR [--split validation] [--model NAME] [--json FILE]`.

Every quality figure is a function of what the classifier says of {text}. Deterministic; prints a table, then JSON.
"""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from listener.model import EMOTIONS, SENTIMENTS, STEPS, Analysis, Verbatim
from nlp import training_data as data
from nlp.classifier import Classifier
from nlp.measures import f1, macro_f1, matched, met
from nlp.registry import load

CHUNK = 256
LENGTHS = (20, 40, 80)
SPEED_FILES = (
    "avis_assurance.fr", "us_airline.en", "kosovan_stores.uk", "cuba_hotels.es", "umsab.de", "waimai_10k.zh",
    "elsahar_reviews.ar",
)  # fmt: skip
SPEED_PIECES = 128
Report = dict[str, Any]


def analyse(classifier: Classifier, texts: Sequence[str], kind: str | None = None) -> list[Analysis]:
    """The analyses of all texts; the first error met is raised."""
    found: list[Analysis] = []
    for start in range(0, len(texts), CHUNK):
        for outcome in classifier.analyse([Verbatim(text, kind=kind) for text in texts[start : start + CHUNK]]):
            if isinstance(outcome, Exception):
                raise outcome
            found.append(outcome)
    return found


def journey(classifier: Classifier, folder: Path, names: Sequence[str]) -> Report:
    """Step, segment sentiment, anger and joy, segments met, against the gold segments of the named files."""
    verbatims = data.journey(folder, *names)
    analyses = analyse(classifier, [item["text"] for item in verbatims])
    gold = [(item["lang"], part, a) for item, a in zip(verbatims, analyses, strict=True) for part in item["segments"]]
    found = [matched(part, analysis) for _, part, analysis in gold]
    steps = [part["step"] for _, part, _ in gold]
    said = [segment.step if segment else "none" for segment in found]
    feelings = [segment.sentiment.label if segment else "neutral" for segment in found]
    emotions = [
        f1([name in p["emotions"] for _, p, _ in gold], [s is not None and s.emotions[name] >= 0.5 for s in found])
        for name in ("anger", "joy")
    ]
    sure = [(p["sentiment"], s.sentiment) for (_, p, _), s in zip(gold, found, strict=True) if s and not s.uncertain]
    right = [(g == "negative") == (s.scores["negative"] >= 0.5) for g, s in sure]
    return {
        "step_macro_f1": macro_f1(steps, said, STEPS),
        "step_f1": {s: f1([g == s for g in steps], [x == s for x in said]) for s in STEPS},
        "sentiment_macro_f1": macro_f1([p["sentiment"] for _, p, _ in gold], feelings, SENTIMENTS),
        "anger_joy_f1": sum(emotions) / 2,
        "iou_half": sum(met(part, analysis) for _, part, analysis in gold) / len(gold),
        "predicted_per_gold": sum(len(analysis.segments) for analysis in analyses) / len(gold),
        "certain_share": len(sure) / len(gold),
        "certain_right": sum(right) / max(1, len(right)),
        "segments": len(gold),
        "verbatims": len(verbatims),
    }


def umsab(classifier: Classifier, rows: Sequence[data.Row]) -> Report:
    """Macro-F1 of three classes for each language, and their mean."""
    found = {}
    for name, members in _by_file(rows, lambda row: row.name.startswith("umsab.")).items():
        analyses = analyse(classifier, [row.text for row in members], "post")
        gold = [row.fields["label"] for row in members]
        found[name.split(".")[1]] = macro_f1(gold, [a.sentiment.label for a in analyses], SENTIMENTS)
    return {"mean": _mean(found.values()), "by_language": found}


def polar_reviews(classifier: Classifier, rows: Sequence[data.Row], most: int) -> Report:
    """Native reviews of polar rating: the higher of positive and negative is right; mean of files, then languages."""
    languages: dict[str, list[float]] = defaultdict(list)
    sure = right = total = 0

    def wanted(row: data.Row) -> bool:
        polar = row.fields.get("label") in ("positive", "negative")
        return polar and row.fields.get("kind") == "review" and not row.name.startswith("mabsa")

    for name, members in _by_file(rows, wanted).items():
        if len(members) < 80:
            continue
        chosen = random.Random(0).sample(members, min(most, len(members)))
        hits = 0
        for row, analysis in zip(chosen, analyse(classifier, [row.text for row in chosen], "review"), strict=True):
            scores = analysis.sentiment.scores
            hits += (scores["positive"] > scores["negative"]) == (row.fields["label"] == "positive")
            total += 1
            sure += not analysis.uncertain
            right += not analysis.uncertain and (scores["negative"] >= 0.5) == (row.fields["label"] == "negative")
        languages[data.language_of(name)].append(hits / len(chosen))
    by_language = {language: _mean(values) for language, values in sorted(languages.items())}
    return {
        "mean": _mean(by_language.values()), "by_language": by_language, "rows_per_file": most,
        "certain_share": sure / max(1, total), "certain_right": right / max(1, sure),
    }  # fmt: skip


def brighter(classifier: Classifier, rows: Sequence[data.Row], most: int) -> Report:
    """F1 over the annotated emotions, mean of the languages with training data."""
    untrained = ("id", "jv", "xh", "zu")
    absent = {"brighter.en": "disgust", "brighter.af": "surprise"}
    found = {}
    for name, members in _by_file(rows, lambda row: row.name.startswith("brighter.")).items():
        if name.split(".")[1] in untrained:
            continue
        chosen = members[:most]
        analyses = analyse(classifier, [row.text for row in chosen])
        scores = []
        for emotion in EMOTIONS:
            if emotion != absent.get(name):
                gold = [emotion in row.fields["labels"].split("|") for row in chosen]
                scores.append(f1(gold, [a.emotions[emotion] >= 0.5 for a in analyses]))
        found[name] = _mean(scores)
    return {"mean": _mean(found.values()), "by_file": found, "rows_per_file": most}


def languages(classifier: Classifier, rows: Sequence[data.Row], most: int = 100, least: int = 30) -> Report:
    """Share of texts cut at 20, 40, 80 characters whose language is right: best file per language, mean."""
    found: Report = {}
    usable = _by_file(rows, lambda row: not row.name.endswith(".zh-ze"))
    for length in LENGTHS:
        best: dict[str, float] = {}
        for name, members in usable.items():
            texts = [row.text[:length] for row in members if len(row.text) >= length][:most]
            if len(texts) >= least:
                said = _detect(classifier, texts)
                language = data.language_of(name)
                best[language] = max(best.get(language, 0.0), said.count(language) / len(texts))
        found[str(length)] = {"mean": _mean(best.values()), "languages": len(best), "by_language": best}
    return found


def _detect(classifier: Classifier, texts: Sequence[str]) -> list[str]:
    """Through the detector alone where the classifier shows one: the encoder has no say in the language."""
    detect: Callable[[str], str] | None = getattr(classifier, "detect", None)
    return [detect(text) for text in texts] if detect else [a.language for a in analyse(classifier, texts)]


def speed(classifier: Classifier, folder: Path) -> Report:
    """Texts a second, everything included, warm, over the fixed texts of the training notes cut at 128 pieces."""
    texts: list[str] = []
    for name in SPEED_FILES:
        members = [row.text for row in data.read_all(folder / "sentiment" / f"{name}.csv.gz")]
        random.Random(0).shuffle(members)
        texts += members[:300]
    cut: Callable[[str, int], str] | None = getattr(classifier, "cut", None)
    if cut:
        texts = [cut(text, SPEED_PIECES) for text in texts]
    analyse(classifier, texts[:200])
    start = time.perf_counter()
    analyse(classifier, texts)
    return {"texts_per_second": len(texts) / (time.perf_counter() - start), "texts": len(texts)}


def _by_file(rows: Sequence[data.Row], wanted: Callable[[data.Row], bool]) -> dict[str, list[data.Row]]:
    found: dict[str, list[data.Row]] = defaultdict(list)
    for row in rows:
        if wanted(row):
            found[row.name].append(row)
    return dict(sorted(found.items()))


def _mean(values: Any) -> float:
    listed = list(values)
    return float(sum(listed) / max(1, len(listed)))


def table(report: Report) -> str:
    """The chief figures, one a line."""
    lines = [
        ("journey step, macro-F1", report["journey"]["step_macro_f1"]),
        ("journey segment sentiment, macro-F1", report["journey"]["sentiment_macro_f1"]),
        ("journey anger and joy, mean F1", report["journey"]["anger_joy_f1"]),
        ("journey segments met (IoU >= 0.5)", report["journey"]["iou_half"]),
        ("journey predicted per gold", report["journey"]["predicted_per_gold"]),
        ("UMSAB macro-F1, mean of languages", report["umsab"]["mean"]),
        ("native polar reviews, accuracy", report["polar_reviews"]["mean"]),
        ("BRIGHTER F1, mean of languages", report["brighter"]["mean"]),
        *((f"language at {n} characters", report["language"][str(n)]["mean"]) for n in LENGTHS),
        ("texts a second", report["speed"]["texts_per_second"]),
    ]
    return "\n".join(f"{name:40} {value:8.3f}" for name, value in lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure a classifier on the data folder.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="validation", choices=["validation"])
    parser.add_argument("--model", default="listener-e5")
    parser.add_argument("--threads", type=int, default=0, help="of the encoder; 0: one a core")
    parser.add_argument("--rows", type=int, default=100, help="at most so many of a file of reviews or emotions")
    parser.add_argument("--json", type=Path, help="write the whole report there too")
    options = parser.parse_args()
    classifier = load(options.model, **({"threads": options.threads} if options.threads else {}))
    rows = [row for row in data.load(options.data) if row.split == options.split]
    report: Report = {"model": classifier.name, "split": options.split}
    stages: dict[str, Callable[[], Report]] = {
        "journey": lambda: journey(classifier, options.data, ("validation", "rare_validation")),
        "umsab": lambda: umsab(classifier, rows),
        "polar_reviews": lambda: polar_reviews(classifier, rows, options.rows),
        "brighter": lambda: brighter(classifier, rows, options.rows),
        "language": lambda: languages(classifier, rows),
        "speed": lambda: speed(classifier, options.data),
    }
    for name, stage in stages.items():
        report[name] = stage()
        print(f"{name} measured", file=sys.stderr, flush=True)
    print(table(report))
    print(json.dumps(report, ensure_ascii=False))
    if options.json:
        options.json.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
