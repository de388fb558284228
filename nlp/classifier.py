"""The seam of the classifier: what the pipeline asks of any model."""

from collections.abc import Sequence
from typing import Protocol

from listener.model import Analysis, Explanation, Verbatim


class Classifier(Protocol):
    """A model that reads verbatims; its methods block and are called in a worker thread."""

    @property
    def name(self) -> str:
        """Model name and version, stored with every analysis: `listener-e5@1`."""

    def cost(self, verbatim: Verbatim) -> int:
        """How many pieces the verbatim takes of a batch's token budget; cheap, an upper estimate."""

    def analyse(self, verbatims: Sequence[Verbatim]) -> list[Analysis | Exception]:
        """One outcome per verbatim, in order; an error stands in the place of the one that failed."""

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Query texts as vectors of 384 signed bytes, comparable with `Analysis.vector`."""

    def explain(self, verbatim: Verbatim, analysis: Analysis) -> list[Explanation]:
        """At most three spans per label of the whole and of each segment, heaviest first."""
