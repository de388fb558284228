"""Classifiers by name: built-ins in one table, others by entry point."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from listener.errors import ConfigError, Problem
from nlp.classifier import Classifier

GROUP = "listener.classifiers"
MODELS = Path(__file__).parent / "models"


def _e5(threads: int = 0) -> Classifier:
    from nlp.runtime import OnnxClassifier  # onnxruntime is loaded by those who need it

    return OnnxClassifier(MODELS / "listener-e5", threads)


def _rule(threads: int = 0) -> Classifier:
    from nlp.fake import RuleClassifier

    return RuleClassifier()


BUILT_IN: Mapping[str, Callable[..., Classifier]] = {"listener-e5": _e5, "rule": _rule}


def names() -> tuple[str, ...]:
    """Every classifier that `load` knows."""
    return tuple(sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))}))


def load(name: str = "listener-e5", **options: Any) -> Classifier:
    """The classifier of that name, ready; raises ConfigError for an unknown name or unknown options."""
    make = BUILT_IN.get(name)
    if make is None:
        points = [point for point in entry_points(group=GROUP) if point.name == name]
        if not points:
            raise ConfigError(Problem("classifier.name", "there is no such classifier", name, names()))
        make = cast(Callable[..., Classifier], points[0].load())
    try:
        return make(**options)
    except TypeError as error:
        raise ConfigError(Problem("classifier", f"{name} does not take these options: {error}", options)) from error
