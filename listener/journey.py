"""Journey maths: from raw counts per step to net sentiment with its interval, zone, effort and NPS."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from index.contract import StepCounts
from listener.model import STEPS

PHASES = {
    "discovery": "before", "reviews": "before", "store": "before",
    "purchase": "during", "payment": "during", "reception": "during",
    "support": "after", "advocacy": "after", "survey": "after",
}  # fmt: skip
NAMES = {
    "en": {
        "discovery": "Visit and discovery", "reviews": "Reading reviews", "store": "Store and welcome",
        "purchase": "Choice and order", "payment": "Payment and confirmation", "reception": "Delivery and use",
        "support": "Customer service", "advocacy": "Sharing and recommending", "survey": "Loyalty and survey",
        "none": "Outside the journey",
    },
    "fr": {
        "discovery": "Visite et découverte", "reviews": "Consultation des avis", "store": "Magasin et accueil",
        "purchase": "Choix et commande", "payment": "Paiement et confirmation", "reception": "Réception et usage",
        "support": "Service client", "advocacy": "Partage et recommandation", "survey": "Fidélité et sondage",
        "none": "Hors parcours",
    },
}  # fmt: skip
FEW = 10  # below so many clauses a figure is shown, but not ranked
_Z = 1.959964  # 95 %
_DELIGHTFUL = ("joy", "surprise")


@dataclass(frozen=True, slots=True)
class StepView:
    """One step as lived: `net` is positive minus negative share of its clauses, -1 to 1, with a 95 % interval."""

    step: str
    phase: str | None
    clauses: int
    mentions: int
    negative: int
    neutral: int
    positive: int
    net: float | None
    low: float | None
    high: float | None
    zone: str | None  # disappointing, neutral, delight; None without clauses
    top_emotion: str | None
    effort: float | None
    effort_n: int
    nps: float | None
    nps_n: int
    few: bool


def wilson(successes: float, n: int, z: float = _Z) -> tuple[float, float]:
    """The Wilson score interval of a share."""
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def net_interval(positive: int, negative: int, n: int) -> tuple[float, float]:
    """A 95 % interval of (positive - negative) / n: Wilson's, on the score that counts a neutral clause as half."""
    low, high = wilson((positive - negative + n) / 2, n)
    return 2 * low - 1, 2 * high - 1


def zone(positive: int, negative: int, n: int, delighted: int) -> str:
    """The level of a step as lived.

    Disappointing: more than half of the clauses with a feeling are negative. Delight: at least three of four
    are positive and joy or pleasant surprise stands in a fifth of all. Between them neutral, shown as a risk.
    """
    felt = positive + negative
    if felt and negative / felt > 0.5:
        return "disappointing"
    if felt and positive / felt >= 0.75 and delighted / n >= 0.2:
        return "delight"
    return "neutral"


def view(counts: StepCounts) -> StepView:
    """The figures of one step."""
    n = counts.segments
    low, high = net_interval(counts.positive, counts.negative, n) if n else (None, None)
    emotion, most = max(counts.emotions.items(), key=lambda item: item[1], default=(None, 0))
    answers = counts.promoters + counts.passives + counts.detractors
    # pleasant surprise: surprise that is not outnumbered by the step's negative clauses
    pleasant = min(counts.emotions.get("surprise", 0), max(0, counts.positive - counts.negative))
    delighted = counts.emotions.get("joy", 0) + pleasant
    return StepView(
        counts.step, PHASES.get(counts.step), n, counts.mentions, counts.negative, counts.neutral, counts.positive,
        (counts.positive - counts.negative) / n if n else None, low, high,
        zone(counts.positive, counts.negative, n, delighted) if n else None, emotion if most else None,
        counts.effort_sum / counts.effort_n if counts.effort_n else None, counts.effort_n,
        100 * (counts.promoters - counts.detractors) / answers if answers else None, answers, n < FEW,
    )  # fmt: skip


def steps(counts: Sequence[StepCounts]) -> list[StepView]:
    """All steps in the order of the journey, those without a clause too; `none` last."""
    by_step = {item.step: item for item in counts}
    order = [*STEPS, *(step for step in by_step if step not in STEPS)]
    return [view(by_step.get(step) or StepCounts(step, 0, 0, 0, 0, 0, 0, {}, {}, 0, 0, 0, 0, 0)) for step in order]


def worst(counts: Sequence[StepCounts], least: int = FEW) -> list[StepView]:
    """The steps of the journey by how surely they disappoint: lowest upper bound first."""
    views = [item for item in steps(counts) if item.phase is not None and item.clauses >= least]
    return sorted(views, key=lambda item: (item.high if item.high is not None else 1.0, item.step))
