"""Authors under pseudonyms: one author is one pseudonym, and nothing of who they are stays in the mention."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.model import Author, Mention, Reply, mention_to_json
from listener.privacy import pseudonym, pseudonymise

KEY = b"0123456789abcdef"
AT = datetime(2026, 1, 2, 10, tzinfo=UTC)
HANDLES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.]{2,14}[a-z]", fullmatch=True)


def mention(author: Author | None, **fields: object) -> Mention:
    plain = Mention("0" * 32, "n1", "s", "post", "x", "hello", AT, AT, 0, author=author)
    return replace(plain, **fields)  # type: ignore[arg-type]


def test_a_pseudonym_is_p_and_24_hex_digits_of_an_hmac_sha256() -> None:
    # printf ana | openssl dgst -sha256 -hmac key
    assert pseudonym(b"key", "ana") == "p_f8d41d7c3a74c86a2a363a2e"


@pytest.mark.parametrize("written", ["@Ana_B", "ana_b", " ANA_B ", "＠ａｎａ＿ｂ"])
def test_case_width_and_a_leading_at_make_no_difference(written: str) -> None:
    assert pseudonym(KEY, written) == pseudonym(KEY, "ana_b")


@pytest.mark.parametrize("other", ["ana-b", "anab", "aná_b", "ana_b@social.example"])
def test_different_handles_have_different_pseudonyms(other: str) -> None:
    assert pseudonym(KEY, other) != pseudonym(KEY, "ana_b")


def test_another_key_gives_another_pseudonym() -> None:
    assert pseudonym(KEY, "ana") != pseudonym(b"another key", "ana")


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        pseudonym(b"", "ana")


@given(st.text())
def test_any_text_has_a_pseudonym(handle: str) -> None:
    assert len(pseudonym(KEY, handle + "\ud800")) == 26


def test_who_wrote_goes_and_what_counts_stays() -> None:
    author = Author("@Ana", "Ana Dupont", "u-77", 1200, True, "https://x.example/ana")
    hidden = pseudonymise(mention(author, own=True), KEY)
    assert hidden.author == Author(pseudonym(KEY, "ana"), None, pseudonym(KEY, "u-77"), 1200, True, None)
    assert hidden.own


def test_a_mention_without_an_author_stays_as_it_is() -> None:
    plain = mention(None, url="https://x.example/1", text="@ana hello")
    assert pseudonymise(plain, KEY) == plain


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/ana_b/status/1",
        "https://x.example/@Ana_B/1",
        "https://x.example/status/1?by=ANA%5FB",
        "https://x.example/users/did%3Aplc%3Aabc123/1",
        "https://x.example/reviews/ana-dupont-1",
        "https://ana-b.example/post/1",
    ],
)
def test_a_permalink_that_names_the_author_is_dropped(url: str) -> None:
    author = Author("ana_b", "Ana Dupönt", "did:plc:abc123")
    assert pseudonymise(mention(author, url=url), KEY).url is None


@pytest.mark.parametrize("url", ["https://x.example/banana_bread/1", "https://x.example/i/status/17700", None])
def test_a_permalink_that_does_not_name_the_author_is_kept(url: str | None) -> None:
    author = Author("ana_b", "Ana Dupönt", "did:plc:abc123")
    assert pseudonymise(mention(author, url=url), KEY).url == url


def test_the_handle_in_texts_becomes_the_pseudonym() -> None:
    author = Author("ana@social.example")
    hidden = pseudonymise(
        mention(
            author,
            title="From @Ana",
            text="I, @ana, (@ANA@social.example): not @anabel, @ana.b or x@ana; ana stays. @acme @ana.",
            replies=(Reply(AT, "@ana sorry"),),
        ),
        KEY,
    )
    name = "@" + pseudonym(KEY, "ana@social.example")
    assert hidden.title == f"From {name}"
    assert hidden.text == f"I, {name}, ({name}): not @anabel, @ana.b or x@ana; ana stays. @acme {name}."
    assert hidden.replies == (Reply(AT, f"{name} sorry"),)


def test_ids_that_contain_the_author_give_way() -> None:
    author = Author("ana.example", id="did:plc:abc")
    own = "at://did:plc:abc/app.post/3k"
    hidden = pseudonymise(mention(author, native_id=own, thread_id=own, parent_id=own), KEY)
    assert (hidden.id, hidden.native_id) == ("0" * 32, "0" * 32)
    assert hidden.parent_id is None
    assert hidden.thread_id == pseudonym(KEY, own)
    other = "at://did:plc:xyz/app.post/3k"
    kept = pseudonymise(mention(author, native_id="17", thread_id=other, parent_id=other), KEY)
    assert (kept.native_id, kept.thread_id, kept.parent_id) == ("17", other, other)


@given(HANDLES, HANDLES, HANDLES)
def test_nothing_of_the_author_is_left_in_the_mention(handle: str, name: str, identity: str) -> None:
    author = Author(handle, f"{name} Q{name}", f"id{identity}", 5, False, f"https://x.example/{handle}")
    full = mention(
        author,
        text=f"Hello @{handle}!",
        url=f"https://x.example/{handle}/id{identity}",
        native_id=f"at://id{identity}/1",
    )
    left = repr(mention_to_json(pseudonymise(full, KEY)))
    assert f"@{handle}" not in left
    assert f"x.example/{handle}" not in left
    assert f"{name} Q{name}" not in left
    assert f"id{identity}" not in left
