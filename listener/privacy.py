"""Authors under pseudonyms: a keyed hash in place of who wrote, before anything is stored.

The same author has the same pseudonym everywhere under one key, so that journeys, counts and erasure still work;
without the key nobody gets from pseudonym to handle by trying handles.
"""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import unquote

from listener.model import Author, Mention

PREFIX = "p_"
_DIGITS = 24


def pseudonym(key: bytes, handle: str) -> str:
    """The pseudonym of a handle or id: `p_` and 24 hex digits; case, width and a leading @ make no difference.

    Raises ValueError for an empty key, under which anybody could compute it.
    """
    if not key:
        raise ValueError("the key of the pseudonyms is empty")
    digest = hmac.new(key, fold_handle(handle).encode("utf8", "surrogatepass"), hashlib.sha256)
    return PREFIX + digest.hexdigest()[:_DIGITS]


def fold_handle(handle: str) -> str:
    """A handle as it is compared: without the leading @, in one case and width; accents stay: they tell apart."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", handle).casefold())
    return folded.strip().removeprefix("@").strip()


def is_pseudonym(handle: str) -> bool:
    """Whether a handle is one of ours already: `p_` and 24 hex digits."""
    return re.fullmatch(r"p_[0-9a-f]{24}", handle) is not None


def pseudonymise(mention: Mention, key: bytes) -> Mention:
    """The mention with its author under a pseudonym.

    Handle and id become pseudonyms, name and profile address go, followers and verified stay. The permalink goes
    where it contains handle, id or name. `@handle` in title, text and replies becomes `@` and the pseudonym.
    Ids that contain the author's identity (such as a post's address under its author's) give way: the native id to
    the mention's own, the thread's to a hash of it, the parent's to nothing.
    """
    author = mention.author
    if author is None:
        return mention
    identities = [identity for identity in (author.handle, author.id, author.name) if identity and identity.strip()]
    reveals = _revealing(identities)
    hidden = Author(
        handle=pseudonym(key, author.handle) if author.handle else None,
        id=pseudonym(key, author.id) if author.id else None,
        followers=author.followers,
        verified=author.verified,
    )
    mask = _mask(author.handle, hidden.handle)
    thread = mention.thread_id
    return replace(
        mention,
        author=hidden,
        text=mask(mention.text),
        title=mask(mention.title) if mention.title else mention.title,
        replies=tuple(replace(reply, text=mask(reply.text)) for reply in mention.replies),
        url=None if reveals(mention.url) else mention.url,
        native_id=mention.id if reveals(mention.native_id) else mention.native_id,
        thread_id=pseudonym(key, thread) if thread and reveals(thread) else thread,
        parent_id=None if reveals(mention.parent_id) else mention.parent_id,
    )


def _revealing(identities: list[str]) -> Callable[[str | None], bool]:
    """A test whether an address or id contains one of the identities, as words of their own, however joined."""
    patterns = [_words_pattern(form) for identity in identities for form in _forms(identity)]

    def reveals(text: str | None) -> bool:
        folded = _plain(unquote(unquote(text))) if text else ""
        return any(pattern.search(folded) for pattern in patterns)

    return reveals


def _words_pattern(identity: str) -> re.Pattern[str]:
    plain = _plain(identity)
    words = re.findall(r"[^\W_]+", plain)
    joined = r"[\W_]*".join(map(re.escape, words)) if words else re.escape(plain)
    # Scripts without spaces join words to their neighbours: there any occurrence counts.
    return re.compile(rf"(?<![^\W_]){joined}(?![^\W_])" if plain.isascii() else joined)


def _plain(text: str) -> str:
    """For finding only: without accents too, as addresses are made from names (`/rene-dupont`)."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _forms(handle: str) -> list[str]:
    """The ways a handle is written: `ana@social.example` is `@ana` among those of its server."""
    folded = fold_handle(handle)
    local = folded.partition("@")[0]
    return [form for form in dict.fromkeys((folded, local)) if form]


def _mask(handle: str | None, hidden: str | None) -> Callable[[str], str]:
    if not handle or not hidden:
        return lambda text: text
    # Longest first, so that nothing of `@ana@social.example` stays behind.
    forms = "|".join(re.escape(form) for form in _forms(handle))
    pattern = re.compile(rf"(?<!\w)[@＠](?:{forms})(?!\w|[.@-]\w)", re.IGNORECASE)
    return lambda text: pattern.sub(f"@{hidden}", text)
