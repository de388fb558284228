"""Linear heads fitted with L-BFGS, and the thresholds and temperatures read off held-out scores.

Used in training only. Everything is numpy and deterministic.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Wide = npt.NDArray[np.float64]
Objective = Callable[[Wide], tuple[float, Wide]]


@dataclass(frozen=True, slots=True)
class Linear:
    """x @ weights + bias: weights [features, outputs], bias [outputs]."""

    weights: Array
    bias: Array

    def __call__(self, features: Array) -> Array:
        return features @ self.weights + self.bias


def minimise(objective: Objective, start: Wide, steps: int = 120, memory: int = 10) -> Wide:
    """The point where L-BFGS with a backtracking line search stops (gradient small, or `steps` taken)."""
    point, (value, slope) = start, objective(start)
    pairs: list[tuple[Wide, Wide]] = []
    for _ in range(steps):
        direction = _direction(slope, pairs)
        descent = float(slope @ direction)
        if descent > -1e-12:
            break
        size = 1.0 if pairs else min(1.0, 1.0 / float(np.abs(slope).sum() + 1e-12))
        for _ in range(30):
            there = point + size * direction
            value_there, slope_there = objective(there)
            if value_there <= value + 1e-4 * size * descent:
                break
            size *= 0.5
        else:
            break
        move, change = there - point, slope_there - slope
        if float(move @ change) > 1e-12:
            pairs = [*pairs, (move, change)][-memory:]
        done = abs(value - value_there) < 1e-6 * max(1.0, abs(value))
        point, value, slope = there, value_there, slope_there
        if done:
            break
    return point


def _direction(slope: Wide, pairs: list[tuple[Wide, Wide]]) -> Wide:
    """The two-loop recursion over the remembered (move, change) pairs."""
    found = -slope
    factors = []
    for move, change in reversed(pairs):
        factor = float(move @ found) / float(move @ change)
        found = found - factor * change
        factors.append(factor)
    if pairs:
        move, change = pairs[-1]
        found = found * (float(move @ change) / float(change @ change))
    for (move, change), factor in zip(pairs, reversed(factors), strict=True):
        found = found + (factor - float(change @ found) / float(move @ change)) * move
    return found


def _scaled(features: Array) -> tuple[Array, Array, Array]:
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    return (features - centre) / spread, centre, spread


def _unscaled(weights: Wide, bias: Wide, centre: Array, spread: Array) -> Linear:
    folded = (weights / spread[:, None]).astype(np.float32)
    return Linear(folded, (bias - centre @ folded).astype(np.float32))


def softmax(logits: Array) -> Array:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(logits: Array) -> Array:
    """Element by element, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))


def classes(features: Array, labels: npt.NDArray[np.int64], count: int, weights: Array, penalty: float) -> Linear:
    """Softmax regression over `count` classes; `weights` one per row, `penalty` the L2 strength per mean loss."""
    scaled, centre, spread = _scaled(features)
    rows, width = scaled.shape
    share = (weights / weights.sum()).astype(np.float32)
    wanted = np.zeros((rows, count), dtype=np.float32)
    wanted[np.arange(rows), labels] = 1.0

    def objective(flat: Wide) -> tuple[float, Wide]:
        matrix, bias = flat[: width * count].reshape(width, count), flat[width * count :]
        chances = softmax(scaled @ matrix.astype(np.float32) + bias.astype(np.float32))
        loss = -float(share @ np.log(chances[np.arange(rows), labels] + 1e-12))
        error = (chances - wanted) * share[:, None]
        slope = np.concatenate([(scaled.T @ error + penalty * matrix).ravel(), error.sum(axis=0)])
        return loss + 0.5 * penalty * float((matrix**2).sum()), slope.astype(np.float64)

    flat = minimise(objective, np.zeros(width * count + count))
    return _unscaled(flat[: width * count].reshape(width, count), flat[width * count :], centre, spread)


def labels(features: Array, targets: Array, penalty: float) -> Linear:
    """One logistic regression for each column of `targets` (0, 1, NaN unknown); features [rows, width]."""
    parts = [_label(features, targets[:, column], penalty) for column in range(targets.shape[1])]
    return Linear(np.concatenate([p.weights for p in parts], axis=1), np.concatenate([p.bias for p in parts]))


def _label(features: Array, target: Array, penalty: float) -> Linear:
    known = ~np.isnan(target)
    scaled, centre, spread = _scaled(features[known])
    wanted = target[known]
    width = scaled.shape[1]

    def objective(flat: Wide) -> tuple[float, Wide]:
        logits = scaled @ flat[:width].astype(np.float32) + np.float32(flat[width])
        loss = float(np.mean(np.logaddexp(0, logits) - wanted * logits))
        error = (sigmoid(logits) - wanted) / len(wanted)
        slope = np.concatenate([scaled.T @ error + penalty * flat[:width], [error.sum()]])
        return loss + 0.5 * penalty * float((flat[:width] ** 2).sum()), slope.astype(np.float64)

    flat = minimise(objective, np.zeros(width + 1))
    return _unscaled(flat[:width, None], flat[width:], centre, spread)


def values(features: Array, targets: Array, penalty: float) -> Linear:
    """Ridge regression of one number."""
    scaled, centre, spread = _scaled(features)
    middle = float(targets.mean())
    square = scaled.T @ scaled / len(scaled) + penalty * np.eye(scaled.shape[1], dtype=np.float32)
    weights = np.linalg.solve(
        square.astype(np.float64), (scaled.T @ (targets - middle) / len(scaled)).astype(np.float64)
    )
    return _unscaled(weights[:, None], np.array([middle]), centre, spread)


def temperature(logits: Array, gold: npt.NDArray[np.int64]) -> float:
    """The divisor of the logits that makes the gold labels likeliest."""
    choices = np.exp(np.linspace(np.log(0.3), np.log(4.0), 60))
    losses = [-np.log(softmax(logits / t)[np.arange(len(gold)), gold] + 1e-12).mean() for t in choices]
    return float(choices[int(np.argmin(losses))])


def decision(logits: Array, gold: Array, precision: float = 0.0) -> float:
    """The logit to decide at: best F1 among those of at least that precision; the most precise where none has it."""
    known = ~np.isnan(gold)
    scores, truth = logits[known], gold[known]
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    said = np.arange(1, len(order) + 1)
    exact, f1 = hits / said, 2 * hits / (said + truth.sum() + 1e-9)
    fine = (exact >= precision) & (hits >= min(5, truth.sum()))
    best = int(np.argmax(np.where(fine, f1, -1))) if fine.any() else int(np.argmax(np.where(hits >= 3, exact, -1)))
    following = scores[order[best + 1]] if best + 1 < len(order) else scores[order[best]] - 1
    return float((scores[order[best]] + following) / 2)


def certain(confidence: Array, right: npt.NDArray[np.bool_], wanted: float = 0.95) -> float:
    """The least confidence from which on the share of right answers is `wanted`; 1.0 where it never is."""
    order = np.argsort(-confidence, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    fine = np.flatnonzero(share >= wanted)
    return float(confidence[order[fine[-1]]]) if len(fine) else 1.0
