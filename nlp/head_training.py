"""The heads of the first model: linear, on frozen features; penalties, thresholds and temperatures.

Used in training only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from listener.model import EMOTIONS, INTENTS, SENTIMENTS, STEPS
from nlp import fit
from nlp.examples import Example
from nlp.fit import Array, Linear

FOLDS = 4
# L2 strength per mean loss, on standardised features; chosen among 0.001 ... 0.3 (docs/model-card.md).
PENALTY = {"step": 0.03, "sentiment": 0.1, "segment": 0.03, "whole": 1e-3}
PRECISE = {"churn_risk": 0.75, "escalation": 0.75}  # intents that must not cry wolf
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SegmentSet:
    """Gold segments: features [n, 768] and their labels; `group` is the verbatim each belongs to."""

    features: Array
    step: Whole
    sentiment: Whole
    emotions: Array
    intents: Array
    effort: Array
    group: Whole


@dataclass(frozen=True, slots=True)
class TextSet:
    """Whole texts: features [n, 384] and what is known of them."""

    features: Array
    sentiment: Whole
    stars: Array
    emotions: Array
    intents: Array
    review: npt.NDArray[np.bool_]
    social: npt.NDArray[np.bool_]
    umsab: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Material:
    """All that the heads are fitted on, and what is held out for thresholds."""

    segments: SegmentSet
    held_segments: SegmentSet
    texts: TextSet
    held_texts: TextSet


def segment_set(verbatims: Sequence[dict[str, Any]], features: Array) -> SegmentSet:
    """The labels of every segment, in the order of the features."""
    parts = [(number, part) for number, item in enumerate(verbatims) for part in item["segments"]]
    return SegmentSet(
        features,
        np.array([STEPS.index(part["step"]) for _, part in parts]),
        np.array([SENTIMENTS.index(part["sentiment"]) for _, part in parts]),
        np.array([[float(name in part["emotions"]) for name in EMOTIONS] for _, part in parts], dtype=np.float32),
        np.array([[float(name in part["intents"]) for name in INTENTS] for _, part in parts], dtype=np.float32),
        np.array([float(part.get("effort") or np.nan) for _, part in parts], dtype=np.float32),
        np.array([number for number, _ in parts]),
    )


def text_set(texts: Sequence[Example], features: Array) -> TextSet:
    """The labels of every text, in the order of the features."""
    return TextSet(
        features,
        np.array([item.sentiment for item in texts]),
        np.array([item.stars for item in texts], dtype=np.float32),
        np.stack([item.emotions for item in texts]),
        np.stack([item.intents for item in texts]),
        np.array([item.kind in ("review", "survey") for item in texts]),
        np.array([item.kind == "social" for item in texts]),
        np.array([item.source.startswith("umsab") for item in texts]),
    )


def balanced(labels: Whole, power: float) -> Array:
    """Row weights by class: frequency to the power of minus `power`."""
    counts = np.bincount(labels).astype(np.float32)
    return np.asarray(counts[labels] ** -power, dtype=np.float32)


def macro_f1(gold: Whole, said: Whole, count: int) -> float:
    """The mean over the classes present in gold."""
    scores = []
    for label in range(count):
        hits = int(((gold == label) & (said == label)).sum())
        total = int((gold == label).sum() + (said == label).sum())
        if (gold == label).any():
            scores.append(2 * hits / total)
    return float(np.mean(scores))


def out_of_fold(seen: SegmentSet, wanted: Array) -> Array:
    """Logits of every segment from heads that did not see its verbatim."""
    fold = seen.group % FOLDS
    logits = np.empty(wanted.shape, dtype=np.float32)
    for number in range(FOLDS):
        inside = fold != number
        head = fit.labels(seen.features[inside], wanted[inside], PENALTY["segment"])
        logits[~inside] = head(seen.features[~inside])
    return logits


def fit_all(parts: Material) -> tuple[dict[str, npt.NDArray[Any]], dict[str, float], dict[str, Any]]:
    """Arrays of heads.npz, thresholds of certainty by kind, and a report of held-out figures."""
    heads: dict[str, tuple[Linear, npt.NDArray[Any]]] = {}
    report: dict[str, Any] = {"temperatures": {}, "thresholds": {}}
    _segment_heads(parts, heads, report)
    _effort_heads(parts, heads)
    _whole_heads(parts, heads, report)
    certain = _certain(parts, heads)
    report["certain"] = certain
    arrays: dict[str, npt.NDArray[Any]] = {"centre": parts.texts.features.mean(axis=0)}
    for name, (head, point) in heads.items():
        arrays |= {f"{name}.weights": head.weights, f"{name}.bias": head.bias, f"{name}.point": point}
    return arrays, certain, report


def _segment_heads(parts: Material, heads: dict[str, tuple[Linear, npt.NDArray[Any]]], report: dict[str, Any]) -> None:
    seen, held = parts.segments, parts.held_segments
    for name, gold, held_gold, power in (
        ("step", seen.step, held.step, 0.5),
        ("sentiment", seen.sentiment, held.sentiment, 0.3),
    ):
        count = len(STEPS) if name == "step" else len(SENTIMENTS)
        head = fit.classes(seen.features, gold, count, balanced(gold, power), PENALTY[name])
        logits = head(held.features)
        heat = fit.temperature(logits, held_gold)
        heads[f"segment_{name}"] = (head, _array(heat))
        report[f"segment_{name}"] = round(macro_f1(held_gold, logits.argmax(axis=1), count), 4)
        report["temperatures"][f"segment_{name}"] = round(heat, 4)
    for name, labels, wanted, held_wanted in (
        ("emotions", EMOTIONS, seen.emotions, held.emotions),
        ("intents", INTENTS, seen.intents, held.intents),
    ):
        head = fit.labels(seen.features, wanted, PENALTY["segment"])
        folds = out_of_fold(seen, wanted)
        points = [fit.decision(folds[:, at], wanted[:, at], PRECISE.get(label, 0.0)) for at, label in enumerate(labels)]
        heads[f"segment_{name}"] = (head, _array(points))
        said = head(held.features) >= np.array(points)
        report[f"segment_{name}"] = _precision_recall(labels, said, held_wanted)
        report["thresholds"][f"segment_{name}"] = _rounded(labels, points)


def _effort_heads(parts: Material, heads: dict[str, tuple[Linear, npt.NDArray[Any]]]) -> None:
    seen = parts.segments
    told = (~np.isnan(seen.effort)).astype(np.float32)[:, None]
    told_head = fit.labels(seen.features, told, PENALTY["segment"])
    known = told[:, 0] > 0
    folds = out_of_fold(seen, told)
    heads["segment_effort_told"] = (told_head, _array(fit.decision(folds[:, 0], told[:, 0], 0.6)))
    heads["segment_effort"] = (fit.values(seen.features[known], seen.effort[known], 1.0), _array(0.0))


def _whole_heads(parts: Material, heads: dict[str, tuple[Linear, npt.NDArray[Any]]], report: dict[str, Any]) -> None:
    seen, held = parts.texts, parts.held_texts
    known, held_known = seen.sentiment >= 0, held.sentiment >= 0
    gold = seen.sentiment[known]
    weights = balanced(gold, 0.7) * np.where(seen.umsab[known], 3.0, 1.0).astype(np.float32)
    head = fit.classes(seen.features[known], gold, len(SENTIMENTS), weights, PENALTY["whole"])
    logits = head(held.features)
    heat = fit.temperature(logits[held_known], held.sentiment[held_known])
    heads["whole_sentiment"] = (head, _array(heat))
    umsab = held.umsab & held_known
    report["umsab_all_languages"] = round(macro_f1(held.sentiment[umsab], logits[umsab].argmax(axis=1), 3), 4)
    report["temperatures"]["whole_sentiment"] = round(heat, 4)
    for name, labels, target, held_target in (
        ("emotions", EMOTIONS, seen.emotions, held.emotions),
        ("intents", INTENTS, seen.intents, held.intents),
    ):
        head = fit.labels(seen.features, _filled(target), PENALTY["whole"])
        points = _points(labels, head(held.features), held_target, head(seen.features), target)
        heads[f"whole_{name}"] = (head, _array(points))
        report[f"whole_{name}"] = _precision_recall(labels, head(held.features) >= np.array(points), held_target)
        report["thresholds"][f"whole_{name}"] = _rounded(labels, points)
    rated = ~np.isnan(seen.stars)
    stars = fit.values(seen.features[rated], seen.stars[rated], 0.05)
    heads["whole_stars"] = (stars, _array(0.0))
    held_rated = ~np.isnan(held.stars)
    errors = np.abs(np.clip(stars(held.features[held_rated])[:, 0], 1, 5) - held.stars[held_rated])
    report["stars_mean_error"] = round(float(errors.mean()), 4)


def _filled(target: Array) -> Array:
    """A column that nothing is known of becomes all no: its head then says no."""
    empty = np.isnan(target).all(axis=0)
    return np.asarray(np.where(empty, 0.0, target), dtype=np.float32)


def _points(labels: Sequence[str], held: Array, held_gold: Array, seen: Array, seen_gold: Array) -> list[float]:
    """Decision points from held-out rows where they hold enough positives, else from the seen ones."""
    points = []
    for at, label in enumerate(labels):
        if np.nansum(held_gold[:, at]) >= 30:
            points.append(fit.decision(held[:, at], held_gold[:, at], PRECISE.get(label, 0.0)))
        elif np.nansum(seen_gold[:, at]) >= 30:
            points.append(fit.decision(seen[:, at], seen_gold[:, at], PRECISE.get(label, 0.0)))
        else:
            points.append(0.0)
    return points


def _certain(parts: Material, heads: dict[str, tuple[Linear, npt.NDArray[Any]]]) -> dict[str, float]:
    """By kind: how sure of negative / not negative to be, so that 95 % of the rest is right on held-out rows."""
    found = {}
    held = parts.held_texts
    head, heat = heads["whole_sentiment"]
    for kind, mask in (("review", held.review), ("social", held.social)):
        rows = mask & (held.sentiment >= 0)
        found[kind] = _threshold(fit.softmax(head(held.features[rows]) / heat), held.sentiment[rows])
    head, heat = heads["segment_sentiment"]
    segments = parts.held_segments
    found["segment"] = _threshold(fit.softmax(head(segments.features) / heat), segments.sentiment)
    return found


def _threshold(chances: Array, gold: Whole) -> float:
    negative = chances[:, 0]
    confidence = np.maximum(negative, 1 - negative)
    return round(fit.certain(confidence, (negative >= 0.5) == (gold == 0)), 6)


def _precision_recall(labels: Sequence[str], said: npt.NDArray[np.bool_], gold: Array) -> dict[str, list[float]]:
    """Precision, recall and number of positives of each label over the rows where it is known."""
    found = {}
    for at, label in enumerate(labels):
        known = ~np.isnan(gold[:, at])
        truth, claim = gold[known, at] > 0, said[known, at]
        hits = int((truth & claim).sum())
        found[label] = [
            round(hits / max(1, int(claim.sum())), 3),
            round(hits / max(1, int(truth.sum())), 3),
            int(truth.sum()),
        ]
    return found


def _rounded(labels: Sequence[str], points: Sequence[float]) -> dict[str, float]:
    return {label: round(point, 4) for label, point in zip(labels, points, strict=True)}


def _array(value: float | Sequence[float]) -> npt.NDArray[np.float32]:
    return np.asarray(value, dtype=np.float32)
