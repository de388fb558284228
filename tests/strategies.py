"""Generated records, query trees and query texts that meet often enough to be worth comparing.

Words come from a small pool in many scripts, so that a generated query finds some of the generated mentions.
"""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from index import ast
from index.leaves import keyword
from index.tokens import open_ended, tokenize
from listener.model import (
    EMOTIONS,
    INTENTS,
    SENTIMENTS,
    STEPS,
    Analysis,
    Author,
    Mention,
    Record,
    Segment,
    Sentiment,
    mention_id,
    to_ms,
)

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
WORDS = (
    "delivery", "deliveries", "delivered", "late", "Late", "parcel", "not", "good", "colis", "perdu", "livraison",
    "livraisons", "réservé", "reserve", "l'appli", "don't", "porte-monnaie", "3,5", "#colis", "@ana", "👍🏽", "❤️",
    "快递员", "快递", "很好", "员", "カスタマーサービス", "배송이", "늦어요", "ไม่ดี", "ไม่", "สินค้า", "доставка",
    "доставки", "ещё", "الشحن", "الشَّحْنُ", "متأخر", "उत्पाद", "अच्छा", "παράδοση", "Lieferung", "Lieferungen", "Straße",
    "kargo", "gecikti", "https://www.example.invalid/late-delivery", "ＬＡＴＥ", "iPhone手机",
)  # fmt: skip
LANGUAGES = ("en", "fr", "de", "es", "ru", "ar", "zh", "ja", "ko", "th", "hi", "tr", "und", "pt-BR")
CHANNELS = ("x", "bluesky", "trustpilot")
BRANDS = ("Acme", "L'Oréal", "Ärger & Co")
HANDLES = ("@Ana", "bob", "Élise")


def texts(most: int = 8) -> st.SearchStrategy[str]:
    """Up to `most` words of the pool with various separators."""
    parts = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from((" ", " ", ", ", "\n", "! "))), max_size=most)
    return parts.map(lambda pairs: "".join(word + gap for word, gap in pairs))


def _sentiment() -> st.SearchStrategy[Sentiment]:
    return st.sampled_from(SENTIMENTS).map(
        lambda label: Sentiment(label, {name: 0.8 if name == label else 0.1 for name in SENTIMENTS})
    )


def _scores(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, float]]:
    return st.sets(st.sampled_from(names), max_size=2).map(
        lambda chosen: {name: 0.75 if name in chosen else 0.2 for name in names}
    )


@st.composite
def _segments(draw: st.DrawFn, text: str) -> tuple[Segment, ...]:
    """Ordered, disjoint spans at any characters of the text."""
    bounds = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    return tuple(
        Segment(
            start, end, draw(st.sampled_from(STEPS)), 0.9, draw(_sentiment()), draw(_scores(EMOTIONS)),
            draw(_scores(INTENTS)), draw(st.none() | st.integers(1, 5)), draw(st.booleans()),
        )
        for start, end in zip(bounds[::2], bounds[1::2], strict=False)
    )  # fmt: skip


@st.composite
def records(draw: st.DrawFn, analysed: bool | None = None) -> Record:
    """A mention, mostly with an analysis; `analysed` says whether it must have one."""
    text = draw(texts())
    number = draw(st.integers(0, 10**9))
    published = NOW - timedelta(minutes=draw(st.integers(0, 60 * 24 * 40)))
    author = draw(
        st.none()
        | st.builds(
            Author, handle=st.sampled_from(HANDLES), name=st.none() | st.just("Someone"),
            followers=st.none() | st.sampled_from((0, 10, 10_000)), verified=st.none() | st.booleans(),
        )
    )  # fmt: skip
    mention = Mention(
        id=mention_id("generated", str(number)), native_id=str(number), source=draw(st.sampled_from(("shop", "feed"))),
        kind=draw(st.sampled_from(("review", "post"))), channel=draw(st.sampled_from(CHANNELS)), text=text,
        published_at=published, received_at=published + timedelta(minutes=draw(st.integers(0, 90))),
        version=to_ms(published) + draw(st.sampled_from((0, 0, 60_000))), title=draw(st.none() | texts(2)),
        language=draw(st.none() | st.sampled_from(LANGUAGES)), brand=draw(st.none() | st.sampled_from(BRANDS)),
        author=author, rating=draw(st.none() | st.sampled_from((1.0, 2.0, 3.5, 5.0))),
        parent_id=draw(st.none() | st.just("parent")), own=draw(st.booleans()),
    )  # fmt: skip
    if analysed is False or (analysed is None and draw(st.integers(0, 4)) == 0):
        return Record(mention)
    return Record(
        mention,
        Analysis(
            "model@1", draw(st.sampled_from(LANGUAGES)), draw(_sentiment()), draw(_scores(EMOTIONS)),
            draw(_scores(INTENTS)), draw(st.none() | st.sampled_from((1.0, 2.5, 4.8))), draw(_segments(text)),
            draw(st.booleans()),
        ),
    )  # fmt: skip


# --- trees ----------------------------------------------------------------------------------------


@st.composite
def phrases(draw: st.DrawFn, fields: tuple[str, ...] = ast.TEXT_FIELDS) -> ast.Node:
    """One to three words as the parser would make them, with or without slop."""
    text = " ".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)))
    tokens = open_ended(tokenize(text), text)
    slop = draw(st.sampled_from((0, 0, 0, 1, 2, 5)))
    return ast.Phrase(fields, tuple(t.exact for t in tokens), tuple(t.word for t in tokens), slop, text)


def _patterns(fields: tuple[str, ...]) -> st.SearchStrategy[ast.Node]:
    tokens = sorted({token.exact for word in WORDS for token in tokenize(word)})
    token = st.sampled_from(tokens)
    return st.one_of(
        token.map(lambda text: ast.Prefix(fields, text[: 1 + len(text) // 2])),
        token.map(lambda text: ast.Wildcard(fields, text[0] + "*" + text[-1])),
        token.map(lambda text: ast.Wildcard(fields, text[: len(text) // 2 + 1] + "?*")),
        st.builds(ast.Fuzzy, st.just(fields), token, st.sampled_from((1, 2))),
    )


def text_leaves(fields: tuple[str, ...] = ast.TEXT_FIELDS) -> st.SearchStrategy[ast.Node]:
    """Words, phrases, prefixes, wildcards, fuzzy words over these fields."""
    return st.one_of(phrases(fields), phrases(fields), _patterns(fields))


def _ranges(field: str, values: st.SearchStrategy[float]) -> st.SearchStrategy[ast.Node]:
    bound = st.none() | values
    return st.builds(ast.Range, st.just(field), bound, bound, st.booleans(), st.booleans())


def label_leaves() -> st.SearchStrategy[ast.Node]:
    """Conditions on one segment."""
    return st.one_of(
        st.sampled_from(STEPS).map(lambda value: ast.Keyword("step", value)),
        st.sampled_from(SENTIMENTS).map(lambda value: ast.Keyword("sentiment", value)),
        st.sampled_from(EMOTIONS).map(lambda value: ast.Keyword("emotion", value)),
        st.sampled_from(INTENTS).map(lambda value: ast.Keyword("intent", value)),
        _ranges("effort", st.sampled_from((1.0, 3.0, 5.0))),
        st.sampled_from(ast.LABEL_FIELDS).map(ast.Exists),
    )


def mention_leaves() -> st.SearchStrategy[ast.Node]:
    """Conditions on the whole mention, case and owner left out."""
    pairs = [("channel", CHANNELS), ("brand", BRANDS), ("author", HANDLES), ("kind", ("review", "post")),
             ("source", ("shop",)), ("lang", LANGUAGES), ("overall", SENTIMENTS), ("model", ("model@1",))]  # fmt: skip
    day = 86_400_000
    return st.one_of(
        *[st.sampled_from(values).map(lambda v, f=field: ast.Keyword(f, keyword(f, v))) for field, values in pairs],
        st.sampled_from(("a*", "l*l", "b?b", "ac?e")).flatmap(
            lambda pattern: st.sampled_from(("brand", "author")).map(lambda f: ast.Keyword(f, pattern, True))
        ),
        _ranges("rating", st.sampled_from((1.0, 2.0, 3.5))),
        _ranges("stars", st.sampled_from((1.0, 2.5, 4.0))),
        _ranges("followers", st.sampled_from((0.0, 10.0, 5000.0))),
        st.sampled_from((0.0, 1.0)).map(lambda truth: ast.Range("verified", truth, truth)),
        _ranges("date", st.integers(0, 40).map(lambda days: to_ms(NOW) - days * day)),
        _ranges("received", st.integers(0, 40).map(lambda days: to_ms(NOW) - days * day)),
        st.sampled_from(
            ("title", "text", "brand", "author", "rating", "followers", "verified", "lang", "stars", "product")
        ).map(ast.Exists),
        st.sampled_from(
            ("reply", "edited", "own", "uncertain", "unanalysed", "has_url", "has_rating")
        ).map(ast.Flag),
    )  # fmt: skip


def _combined(leaves: st.SearchStrategy[ast.Node], most: int = 6) -> st.SearchStrategy[ast.Node]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map(lambda items: ast.And(tuple(items))),
            st.lists(inner, min_size=2, max_size=3).map(lambda items: ast.Or(tuple(items))),
            inner.map(ast.Not),
            inner.map(lambda item: ast.Boost(item, 2.0)),
        ),
        max_leaves=most,
    )


def nodes() -> st.SearchStrategy[ast.Node]:
    """Any tree the parser can make, without case, owner and overdue."""
    inside = _combined(st.one_of(label_leaves(), label_leaves(), text_leaves(("text",)), st.just(ast.All())), 4)
    return _combined(
        st.one_of(
            text_leaves(), text_leaves(("title",)), mention_leaves(), inside.map(ast.Segments),
            label_leaves().map(ast.Segments), st.just(ast.All()),
        )
    )  # fmt: skip


# --- texts ----------------------------------------------------------------------------------------

_CLAUSES = (
    "lang:fr", "channel:(x OR bluesky)", "rating:[1 TO 2]", "rating:>3", "followers:>=10", "verified:true", "brand:Ac*",
    "date:[now-7d TO now]", "date:2026-03", "date:<2026-03-29", "received:>now-1M/M", "step:reception",
    "étape:paiement",
    "sentiment:négatif", "emotion:anger", "intent:churn_risk", "effort:>=4", "overall:negative", "stars:[* TO 3}",
    "is:reply", "-is:own", "has:url", "has:rating", "is:unanalysed", "title:*", "author:@ana", "segments:*",
    "segments:(step:reception AND sentiment:negative)", "segments:(sentiment:positive delivery)", "20:30", "text:late",
    "segments:(-sentiment:negative (colis OR 快递))", "*", "deliver*", "d?li*y", "delivry~1", "livraisn~", "员",
)  # fmt: skip


def query_texts() -> st.SearchStrategy[str]:
    """Queries as people write them; all of them can be parsed."""
    word = st.sampled_from([word for word in WORDS if ":" not in word] + ["https://www.example.invalid/late-delivery"])
    phrase = st.lists(word, min_size=1, max_size=3).map(lambda parts: '"' + " ".join(parts) + '"')
    near = st.tuples(phrase, st.integers(0, 5)).map(lambda pair: f"{pair[0]}~{pair[1]}")
    leaf = st.one_of(word, phrase, near, st.sampled_from(_CLAUSES))
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from((" ", " AND ", " OR ", " && ", " || ")), inner).map("".join),
            inner.map(lambda text: f"-({text})"),
            inner.map(lambda text: f"NOT ({text})"),
            inner.map(lambda text: f"({text})^2"),
        ),
        max_leaves=5,
    )
