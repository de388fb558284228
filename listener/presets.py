"""Subscriptions ready to use: negative review, and influencer mention.

listener subscriptions add --preset negative-review
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from index.contract import Subscription
from listener.errors import ConfigError, Problem

# Followers from which an author of a channel counts as an influencer; "*" is every other channel. Where reach
# is spread thin (federated networks, forums) fewer weigh as much.
FOLLOWERS: Mapping[str, int] = {
    "x": 10_000, "twitter": 10_000, "instagram": 10_000, "tiktok": 10_000, "youtube": 10_000, "facebook": 10_000,
    "threads": 10_000, "linkedin": 5_000, "telegram": 5_000, "bluesky": 2_000, "mastodon": 2_000, "lemmy": 1_000,
    "peertube": 1_000, "*": 5_000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preset:
    """A subscription but for its id, its brand and where it delivers."""

    key: str
    name: str
    description: str
    query: str
    cooldown: timedelta
    group_by: str | None

    def subscription(
        self,
        created_at: datetime,
        *,
        id: str | None = None,
        brand: str | None = None,
        destinations: tuple[str, ...] = ("console",),
    ) -> Subscription:
        """The subscription, of one brand where given."""
        query = f"{self.query} brand:{_quoted(brand)}" if brand else self.query
        return Subscription(
            id or self.key, query, created_at, name=self.name, destinations=destinations,
            cooldown=self.cooldown, group_by=self.group_by,
        )  # fmt: skip


def presets(followers: Mapping[str, int] = FOLLOWERS) -> list[Preset]:
    """The ready-made subscriptions; `followers` per channel, "*" for the others, replaces the whole table."""
    return [
        Preset(
            "negative-review", "negative review",
            "a review of one or two stars, or one that is negative as a whole",
            "-is:own kind:review (rating:[1 TO 2] OR overall:negative)",
            # A shop with a bad hour is one alert at its start and one per quarter of an hour, with every review.
            timedelta(minutes=15), "brand",
        ),
        Preset(
            "influencer-mention", "influencer mention",
            "a post of an author with many followers, positive or negative alike",
            influencer_query(followers),
            # Somebody who posts a thread of ten is one person talking: the rest follows together.
            timedelta(hours=1), "author",
        ),
    ]  # fmt: skip


def preset(key: str, followers: Mapping[str, int] = FOLLOWERS) -> Preset:
    """The preset of that key. Raises ConfigError naming the known ones."""
    known = {item.key: item for item in presets(followers)}
    if key not in known:
        raise ConfigError(Problem("preset", f"there is no preset {key!r}", key, tuple(known)))
    return known[key]


def influencer_query(followers: Mapping[str, int]) -> str:
    """One query for a table of thresholds: channels of one threshold together, then all the others."""
    channels: dict[int, list[str]] = defaultdict(list)
    for channel, least in followers.items():
        if channel != "*":
            channels[least].append(channel)
    parts = [
        f"(channel:({' OR '.join(map(_quoted, sorted(names)))}) followers:>={least})"
        for least, names in sorted(channels.items(), reverse=True)
    ]
    if "*" in followers:
        named = " OR ".join(_quoted(name) for name in sorted(set(followers) - {"*"}))
        others = f" -channel:({named})" if named else ""
        parts.append(f"(followers:>={followers['*']}{others})")
    if not parts:
        raise ConfigError(Problem("followers", "name at least one channel, or * for all"))
    return f"-is:own ({' OR '.join(parts)})"


def _quoted(value: str) -> str:
    if re.fullmatch(r"[a-z0-9_]+", value) and value not in ("and", "or", "not", "to"):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
