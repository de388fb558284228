"""Builds the bundled sample: python tools/build_sample.py JOURNEY_DIR connectors/data/sample.jsonl.gz

Reads synthetic_1.jsonl and synthetic_2.jsonl of JOURNEY_DIR, adds what sample_material.toml has (our brand's texts,
authors, shops, replies, the incident) and dates each row relative to a first ingest that is not known yet. Seeded:
the same input gives the same rows. The keys of a row beside the mention's own fields:

    phase     "past", or "live" for what arrives while the demo serves
    age       seconds before the first ingest
    day_age   seconds before the midnight (UTC) that precedes the first ingest, so that texts fall in daytime
    delay     seconds after the live part began (live rows)
    edit_age  like day_age: when the source edited the mention, where it did
    gold      the segments as labelled by hand: start, end, text, step, sentiment, emotions, intents, effort
"""

import argparse
import gzip
import json
import random
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

Row = dict[str, Any]

SEED = 20260301
DAYS = 60
DAY, HOUR, MINUTE = 86400, 3600, 60
LIVE = 30
FAMOUS = 5000  # writers with more followers are one of a kind: no second mention is given to them
KINDS = {"social": "post", "support": "message"}
STEPS = ("discovery", "reviews", "store", "purchase", "payment", "reception", "support", "advocacy", "survey")
HOURS = (1, 0, 0, 0, 0, 1, 3, 6, 9, 10, 10, 9, 11, 10, 8, 8, 8, 9, 11, 13, 14, 13, 9, 4)  # weight of each hour
HANDLED = ("x", "bluesky", "mastodon", "instagram", "reddit", "youtube", "forum", "facebook")
REVIEWED = ("google", "trustpilot", "app_store", "google_play")
GENDERLESS = ("fr", "en", "de", "it", "nl", "tr", "ja", "ko", "sv")  # languages whose texts seldom betray a gender
PATHS = {
    "x": "{handle}/status/{n}", "bluesky": "profile/{handle}/post/{n}", "mastodon": "@{handle}/{n}",
    "instagram": "p/{n}", "reddit": "comments/{n}", "youtube": "watch?v={n}", "facebook": "posts/{n}",
    "forum": "t/{n}", "google": "maps/reviews/{n}", "trustpilot": "reviews/{n}", "app_store": "reviews/{n}",
    "google_play": "reviews/{n}", "email": "tickets/{n}", "chat": "tickets/{n}", "web": "messages/{n}",
    "survey": "answers/{n}",
}  # fmt: skip


def renamed(text: str, gold: list[Row], swaps: list[tuple[re.Pattern[str], str]]) -> tuple[str, list[Row]]:
    """The text with each pattern replaced in the case it had, and its segments moved along.

    A name that lies across a segment's edge would tear it: ValueError.
    """
    for pattern, new in swaps:
        while found := next((hit for hit in pattern.finditer(text) if hit.group() not in (new, new.lower())), None):
            start, end = found.span()
            word = new.lower() if found.group().islower() else new
            shift = len(word) - (end - start)
            text = text[:start] + word + text[end:]
            for segment in gold:
                if (
                    segment["start"] < end
                    and start < segment["end"]
                    and not (segment["start"] <= start and end <= segment["end"])
                ):
                    raise ValueError(f"{word} lies across the edge of a segment: {text}")
                segment["start"] += shift if segment["start"] >= end else 0
                segment["end"] += shift if segment["end"] >= end else 0
    for segment in gold:
        segment["text"] = text[segment["start"] : segment["end"]]
    return text, gold


def first_step(row: Row) -> int:
    """The place in the journey of the first step that a row speaks of, 99 where it speaks of none."""
    return next((STEPS.index(item["step"]) for item in row["gold"] if item["step"] in STEPS), 99)


class Builder:
    """One build: the material, the dice and the rows under way."""

    def __init__(self, material: dict[str, Any]) -> None:
        self.material = material
        self.ours: str = material["ours"]
        self.dice = random.Random(SEED)
        self.rows: dict[str, Row] = {}
        self.author_of: dict[str, str] = {}  # native id -> native id of the mention that introduced the writer
        self.followers: dict[str, int | None] = {}

    def read(self, folder: Path) -> None:
        """The synthetic texts, those of our trade under our name."""
        moved = {f"syn-{name}" for name in self.material["moved"].split()}
        for name in ("synthetic_1.jsonl", "synthetic_2.jsonl"):
            for line in (folder / name).read_text("utf8").splitlines():
                source = json.loads(line)
                native_id, brand = source["id"], source["brand"]
                ours = native_id in moved or brand in self.material["whole_brands"]
                row = {
                    "native_id": native_id, "language": source["lang"],
                    "kind": KINDS.get(source["kind"], source["kind"]), "channel": source["channel"], "brand": brand,
                    "text": source["text"], "rating": source["rating"] and float(source["rating"]),
                    "gold": source["segments"],
                }  # fmt: skip
                if ours and brand != self.ours and native_id not in self.material["stay"]:
                    row["text"], row["gold"] = renamed(row["text"], row["gold"], self._swaps(native_id, brand))
                    row["brand"] = self.ours
                if source["nps"] is not None:
                    row["scores"] = [{"metric": "nps", "value": float(source["nps"]), "min": 0.0, "max": 10.0}]
                self.rows[native_id] = row
                self.followers[native_id] = source["followers"]

    def _swaps(self, native_id: str, brand: str) -> list[tuple[re.Pattern[str], str]]:
        pairs = [self.material["mended"].get(native_id, [brand, self.ours])]
        pairs += self.material["transliterated"].items()
        return [(re.compile(re.escape(old), re.IGNORECASE), new) for old, new in pairs]

    def add_originals(self) -> None:
        """The incident and the influencer."""
        for item in self.material["original"]:
            text, gold, at = item["text"], [], 0
            for words, step, sentiment, emotions, intents in item["segments"]:
                at = text.index(words, at)
                gold.append({
                    "start": at, "end": at + len(words), "text": words, "step": step, "sentiment": sentiment,
                    "emotions": emotions, "intents": intents,
                })  # fmt: skip
            kind = item.get("kind", "review" if "rating" in item else "post")
            row = {
                "native_id": item["id"], "language": item["id"][4:6], "kind": kind, "channel": item["channel"],
                "brand": self.ours, "text": text, "rating": item.get("rating") and float(item["rating"]), "gold": gold,
            }  # fmt: skip
            if "age" in item:
                row["age"] = item["age"] * MINUTE + self.dice.randrange(MINUTE)
            if "parent" in item:
                row |= {"parent_id": item["parent"], "thread_id": item["parent"]}
            self.rows[item["id"]] = row
            self.followers[item["id"]] = item.get("followers")
            self.author_of[item["id"]] = item.get("author", item["id"])

    def join_authors(self) -> list[list[str]]:
        """Give some writers several mentions, in the order of the journey; returns each one's native ids."""
        journeys: list[list[str]] = list(self.material["journeys"]["authors"])
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for native_id, row in self.rows.items():
            told = first_step(row) < len(STEPS) and row["kind"] in ("post", "review")
            leaving = any("churn_risk" in item["intents"] for item in row["gold"])
            unfit = leaving or (self.followers[native_id] or 0) >= FAMOUS
            if told and not unfit and row["brand"] != self.ours and row["language"] in GENDERLESS:
                groups[row["brand"], row["language"]].append(native_id)
        for ids in self.dice.sample([ids for ids in groups.values() if len(ids) >= 3], 12):
            steps = {first_step(self.rows[native_id]): native_id for native_id in ids}  # one mention a step
            chosen = [steps[step] for step in sorted(steps)][: self.dice.choice((2, 3))]
            if len(chosen) > 1:
                journeys.append(chosen)
        for ids in journeys:
            self.author_of |= dict.fromkeys(ids, ids[0])
            self.followers[ids[0]] = max((self.followers[one] or 0 for one in ids), default=0) or None
        return journeys

    def add_authors(self) -> None:
        """Name every writer in the way of its language."""
        pools: dict[tuple[str, str], list[str]] = {}
        made: dict[str, Row] = {}
        originals = {item["id"]: item for item in self.material["original"]}
        handled = {
            self.author_of.get(native_id, native_id)
            for native_id, row in self.rows.items()
            if row["channel"] in HANDLED
        }
        for native_id, row in self.rows.items():
            key = self.author_of.get(native_id, native_id)
            if key not in made:
                given = originals.get(key, {})
                author: Row = {"id": f"writer-{key.removeprefix('syn-')}"}
                author["name"] = given.get("name") or self.material["signed"].get(key) or self._name(pools, row)
                if key in handled:
                    author["handle"] = given.get("handle") or self._handle(pools, row)
                if key in handled and self.followers[key] is not None:
                    author["followers"] = self.followers[key]
                if "verified" in given:
                    author["verified"] = given["verified"]
                made[key] = author
            row["author"] = made[key]

    def _draw(self, pools: dict[tuple[str, str], list[str]], key: tuple[str, str], every: list[str]) -> str:
        if not pools.get(key):
            pools[key] = self.dice.sample(every, len(every))
        return pools[key].pop()

    def _name(self, pools: dict[tuple[str, str], list[str]], row: Row) -> str:
        language = row["language"]
        given = self.material["given"][language].split()
        family = self.material["family"][language].split()
        if language in ("zh", "ko", "ja"):
            space = " " if language == "ja" else ""
            every = [f"{last}{space}{first}" for last in family for first in given]
        else:
            every = [f"{first} {last}" for last in family for first in given]
        return self._draw(pools, ("name", language), every)

    def _handle(self, pools: dict[tuple[str, str], list[str]], row: Row) -> str:
        language = row["language"]
        first = self.material["handle_first"][language].split()
        last = self.material["handle_last"][language].split()
        handle = self._draw(pools, ("handle", language), [f"{a}_{b}" for a in first for b in last])
        return handle + self.dice.choice(("", "", str(self.dice.randrange(2, 99))))

    def date(self, journeys: list[list[str]]) -> None:
        """Spread the rows over the 60 days, by day where they were written; writers go along their journey."""
        recent = 12
        originals = {item["id"] for item in self.material["original"]}
        loose = [native_id for native_id in self.rows if native_id not in originals]
        bound = {native_id for ids in journeys for native_id in ids} | set(self.material["replies"])
        for native_id in loose:
            self.rows[native_id]["day_age"] = self._moment(self.rows[native_id], self.dice.randrange(DAYS - 1))
        for ids in journeys:
            days = sorted(self.dice.sample(range(3, DAYS - 1), len(ids)), reverse=True)
            for native_id, day in zip(ids, days, strict=True):
                self.rows[native_id]["day_age"] = self._moment(self.rows[native_id], day)
        for native_id in self.dice.sample([one for one in loose if one not in bound], recent):
            del self.rows[native_id]["day_age"]
            self.rows[native_id]["age"] = self.dice.randrange(5 * HOUR, DAY)
        for native_id, text in self.material["replies"].items():
            row = self.rows[native_id]
            while row["day_age"] < 2 * DAY:  # a reply needs room before the first ingest
                row["day_age"] += DAY
            after = self.dice.randrange(40 * MINUTE, 30 * HOUR)
            row["replies"] = [{"day_age": row["day_age"] - after, "text": text}]

    def _moment(self, row: Row, days: int) -> int:
        hour = self.dice.choices(range(24), HOURS)[0] - int(self.material["languages"][row["language"]])
        return days * DAY + DAY - ((hour % 24) * HOUR + self.dice.randrange(HOUR))

    def go_live(self, journeys: list[list[str]]) -> None:
        """The last 30: the end of the incident and the influencer at their places, others between."""
        at = {item["live"]: item["id"] for item in self.material["original"] if "live" in item}
        bound = {native_id for ids in journeys for native_id in ids} | set(self.material["replies"]) | set(at.values())
        free = [one for one, row in self.rows.items() if one not in bound and "day_age" in row]
        of_ours = [one for one in free if self.rows[one]["brand"] == self.ours]
        rivals = [one for one in free if self.rows[one]["brand"] != self.ours]
        half = (LIVE - len(at)) // 2
        others = self.dice.sample(of_ours, half) + self.dice.sample(rivals, LIVE - len(at) - half)
        self.dice.shuffle(others)
        delay = 0.0
        for place in range(1, LIVE + 1):
            row = self.rows[at.get(place) or others.pop()]
            delay += self.dice.randrange(20, 50) / 10
            row.pop("day_age", None)
            row |= {"phase": "live", "delay": round(delay, 1)}

    def add_places(self) -> None:
        """Shops and product lines, permalinks, likes, threads, and the few edits."""
        shops, products = self.material["shops"], self.material["products"]
        for number, row in enumerate(self.rows.values(), 1):
            row.setdefault("phase", "past")
            town = next((town for said, town in self.material["towns"].items() if said in row["text"]), None)
            in_shop = row["channel"] == "google" and any(item["step"] == "store" for item in row["gold"])
            if row["brand"] in shops["brands"] and (town or in_shop):
                town = town or self.dice.choice(shops[row["language"]].split())
                row["place"] = town if row["brand"] in town else f"{row['brand']} {town}"
            if row["brand"] == self.ours:
                words = row["text"].lower()
                row["product"] = next((line for line, said in products.items() if re.search(said, words)), None)
            elif row["channel"] in ("app_store", "google_play"):
                row["product"] = f"{row['brand']} app"
            handle = row["author"].get("handle", "")
            path = PATHS[row["channel"]].format(handle=handle, n=7_310_000 + number * 37)
            row["url"] = f"https://{row['channel'].replace('_', '-')}.example.invalid/{path}"
            followers = row["author"].get("followers")
            if row["channel"] in HANDLED and followers:
                likes = int(followers * self.dice.uniform(0.002, 0.05))
                row["engagement"] = {"likes": likes, "shares": likes // 12}
            if row["channel"] == "youtube":
                row["thread_id"] = f"video-{row['brand'].lower()}"
        old = [row for row in self.rows.values() if row.get("day_age", 0) > 5 * DAY and row["kind"] == "review"]
        for row in self.dice.sample(old, 4):
            row["edit_age"] = row["day_age"] - self.dice.randrange(HOUR, 4 * DAY)

    def lines(self) -> list[str]:
        """The rows as JSON, oldest first, the live ones last in their order."""
        for row in self.rows.values():
            assert all(row["text"][item["start"] : item["end"]] == item["text"] for item in row["gold"]), row
        order = sorted(
            self.rows.values(),
            key=lambda row: (row.get("delay", 0.0), -(row.get("day_age", 0)), -(row.get("age", 0)), row["native_id"]),
        )
        return [
            json.dumps({key: value for key, value in row.items() if value is not None}, ensure_ascii=False)
            for row in order
        ]


def build(folder: Path) -> list[str]:
    """The sample's lines. Raises OSError and ValueError."""
    material = tomllib.loads(Path(__file__).with_name("sample_material.toml").read_text("utf8"))
    builder = Builder(material)
    builder.read(folder)
    builder.add_originals()
    journeys = builder.join_authors()
    builder.add_authors()
    builder.date(journeys)
    builder.go_live(journeys)
    builder.add_places()
    return builder.lines()


def main() -> None:
    """Write the packed sample, without a time in its header."""
    parser = argparse.ArgumentParser(description="Builds the bundled sample.")
    parser.add_argument("folder", type=Path, help="the folder of synthetic_1.jsonl and synthetic_2.jsonl")
    parser.add_argument("out", type=Path, help="the file to write, .jsonl.gz")
    arguments = parser.parse_args()
    packed = gzip.compress("".join(f"{line}\n" for line in build(arguments.folder)).encode("utf8"), 9, mtime=0)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_bytes(packed)
    print(f"{arguments.out}: {len(packed):,} bytes")


if __name__ == "__main__":
    main()
