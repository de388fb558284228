"""An alert in words: its title, its text, its JSON. One catalogue of phrases per language."""

from collections.abc import Mapping
from typing import Any

from index.contract import Alert, Evidence
from listener.model import iso
from listener.notifiers import Message

MAX_SHOWN = 20  # mentions written out in a text
MAX_FULL = 100  # mentions with all their evidence in the JSON; the others by id and link
_MAX_QUERY = 80
_MAX_QUOTE = 160
_MAX_BODY = 400
_MAX_TITLE = 120

CATALOGUE: Mapping[str, Mapping[str, Any]] = {
    "en": {
        "one": "{name}: {who} on {channel}",
        "many": "{name}: {count} mentions",
        "more": "... and {count} more",
        "matches": 'matches "{query}"',
        "because": "{what}: {reasons}",
        "clause": 'clause "{text}" is {sentiment}{about}{labels}',
        "about": " about {step}",
        "words": "says {words}",
        "followers": "author {who} has {value:,} followers (threshold {low:,.0f} on {channel})",
        "followers_any": "author {who} has {value:,} followers",
        "rating": "rated {value:g} of 5",
        "stars": "reads like {value:.1f} stars of 5",
        "overall": "the whole text is {value}",
        "verified": "author {who} is verified",
        "author": "written by {value}",
        "date": "published {value}",
        "received": "received {value}",
        "field": "{field} is {value}",
        "has": "has {value}",
        "is": "is {value}",
        "someone": "someone",
        "why": "why: {why}",
        "erased": "its mentions were erased or deleted meanwhile",
        "labels": {
            "negative": "negative", "neutral": "neutral", "positive": "positive", "anger": "anger",
            "disgust": "disgust", "fear": "fear", "joy": "joy", "sadness": "sadness", "surprise": "surprise",
            "complaint": "complaint", "question": "question", "suggestion": "suggestion", "praise": "praise",
            "purchase_intent": "wants to buy", "churn_risk": "may leave", "escalation": "threatens to escalate",
        },
        "steps": {
            "discovery": "Visit and discovery", "reviews": "Reading reviews", "store": "Store and welcome",
            "purchase": "Choice and order", "payment": "Payment and confirmation", "reception": "Delivery and use",
            "support": "Customer service", "advocacy": "Sharing and recommending", "survey": "Loyalty and survey",
        },
    },
}  # fmt: skip
# Where a mention stands says little about why it fired: told only where nothing else can be.
_WEAK = ("channel", "kind", "brand", "product", "place", "source", "lang", "audience", "model", "date", "received")


def why(evidence: Evidence, language: str = "en") -> str:
    """Why this mention fired, in words, as it stood when it matched."""
    words, data = CATALOGUE[language], evidence.data
    told = [(reason.get("field"), _reason(reason, data, words)) for reason in data.get("reasons", ())]
    strong = [text for field, text in told if field not in _WEAK and text]
    reasons = list(dict.fromkeys(strong or [text for _, text in told if text]))
    what = words["matches"].format(query=_short(str(data.get("query", "*")), _MAX_QUERY))
    if data.get("name"):
        what = str(data["name"])
    return str(words["because"].format(what=what, reasons="; ".join(reasons))) if reasons else what


def render(alert: Alert, language: str = "en") -> Message:
    """The message of an alert: 20 mentions in its text, every one of them in its JSON."""
    words = CATALOGUE[language]
    first = alert.evidence[0].data if alert.evidence else {}
    name = str(first.get("name") or alert.subscription)
    count = len(alert.evidence)
    if count == 1:
        title = words["one"].format(name=name, who=_who(first, words), channel=first.get("channel", ""))
    else:
        title = words["many"].format(name=name, count=count)
    blocks = [_block(item, language) for item in alert.evidence[:MAX_SHOWN]]
    if count > MAX_SHOWN:
        blocks.append(words["more"].format(count=count - MAX_SHOWN))
    text = "\n\n".join(blocks) or words["erased"]
    title = _short(title, _MAX_TITLE)
    return Message(alert.id, title, text, _json(alert, name, title, text, language), first.get("url"))


def _json(alert: Alert, name: str, title: str, text: str, language: str) -> dict[str, Any]:
    first = alert.evidence[0].data if alert.evidence else {}
    shared = ("subscription", "name", "query")
    mentions: list[dict[str, Any]] = []
    for number, item in enumerate(alert.evidence):
        told = item.data if number < MAX_FULL else {"url": item.data["url"]} if "url" in item.data else {}
        own = {key: value for key, value in told.items() if key not in shared}
        reason = {"why": why(item, language)} if number < MAX_FULL else {}
        mentions.append(
            {"id": item.mention_id, "version": item.version, "matched_at": iso(item.matched_at), **reason, **own}
        )
    return {
        "id": alert.id,
        "subscription": {"id": alert.subscription, "name": name, "query": first.get("query", "")},
        "group": alert.group,
        "created_at": iso(alert.created_at),
        "due_at": iso(alert.due_at),
        "title": title,
        "text": text,
        "count": len(alert.evidence),
        "mentions": mentions,
    }


def _block(evidence: Evidence, language: str) -> str:
    words, data = CATALOGUE[language], evidence.data
    published = str(data.get("published_at", ""))[:16].replace("T", " ")
    head = [_who(data, words), data.get("channel"), data.get("brand"), published and f"{published} UTC"]
    if "rating" in data:
        head.append(words["rating"].format(value=data["rating"]))
    body = " ".join(part for part in (data.get("title"), data.get("text")) if part)
    lines = [" · ".join(str(part) for part in head if part), _short(body, _MAX_BODY)]
    lines.append(words["why"].format(why=why(evidence, language)))
    return "\n".join([line for line in (*lines, data.get("url")) if line])


def _reason(reason: Mapping[str, Any], data: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    if "segment" in reason:
        clause = next((item for item in data.get("segments", ()) if item["at"] == reason["segment"]), None)
        return _clause(clause, words) if clause else ""
    if "words" in reason:
        quoted = ", ".join(f'"{_short(word, _MAX_QUOTE)}"' for word in reason["words"])
        return str(words["words"].format(words=quoted)) if quoted else ""
    if "flag" in reason:
        flag = str(reason["flag"])
        return str(words["has" if flag.startswith("has_") else "is"].format(value=flag.removeprefix("has_")))
    field, value = reason["field"], reason.get("value")
    if value is None:
        return ""
    phrase = words.get(field, words["field"])
    if field == "followers" and "low" not in reason:
        phrase = words["followers_any"]
    shown = words["labels"].get(value, value) if isinstance(value, str) else value
    told: str = phrase.format(
        field=field, value=shown, low=reason.get("low", 0), who=_who(data, words), channel=data.get("channel", "")
    )
    return told


def _clause(clause: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    names = [words["labels"].get(name, name) for name in (*clause.get("emotions", ()), *clause.get("intents", ()))]
    step = words["steps"].get(clause["step"], "" if clause["step"] == "none" else clause["step"])
    told: str = words["clause"].format(
        text=_short(clause["text"], _MAX_QUOTE),
        sentiment=words["labels"][clause["sentiment"]],
        about=words["about"].format(step=step) if step else "",
        labels=f" ({', '.join(names)})" if names else "",
    )
    return told


def _who(data: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    author = data.get("author", {})
    if author.get("handle"):
        return "@" + _short(str(author["handle"]).lstrip("@"), 60)
    return _short(str(author.get("name") or words["someone"]), 60)


def _short(text: str, longest: int) -> str:
    """One line of at most that many characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
