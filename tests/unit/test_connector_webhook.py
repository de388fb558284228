"""Pushes: who may, under which event id, and what their bodies become."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.base import Context
from connectors.memory_inbox import MemoryInbox
from connectors.signature import SCHEMES, SignatureError, sign
from connectors.webhook import Webhook, WebhookConfig, verify
from listener.errors import ConfigError, InputError, Overloaded
from listener.model import Page, mention_id, to_ms

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BODY = b'{"text": "hello"}'
KEY = base64.b64encode(b"standard secret").decode()


@pytest.fixture
def secrets(tmp_path: Path) -> tuple[str, str]:
    for name, value in (("new", "new secret"), ("old", "old secret"), ("std", f"whsec_{KEY}")):
        (tmp_path / name).write_text(value + "\n")
    return f"file:{tmp_path / 'new'}", f"file:{tmp_path / 'old'}"


def config(secrets: tuple[str, ...] = (), **more: Any) -> WebhookConfig:
    return WebhookConfig(connector="webhook", secrets=secrets, **more)


def digest(secret: str | bytes, body: bytes) -> bytes:
    return hmac.digest(secret if isinstance(secret, bytes) else secret.encode(), body, sha256)


def test_our_signature_is_taken_from_every_secret_within_five_minutes(secrets: tuple[str, str]) -> None:
    for secret in ("new secret", "old secret"):
        headers = sign(secret, BODY, NOW)
        assert verify(config(secrets), headers, BODY, NOW + timedelta(seconds=299))
        assert verify(config(secrets), {k.lower(): v for k, v in headers.items()}, BODY, NOW - timedelta(seconds=299))
    headers = sign("new secret", BODY, NOW)
    for late in (301, -301):
        with pytest.raises(SignatureError, match="300"):
            verify(config(secrets), headers, BODY, NOW + timedelta(seconds=late))
    with pytest.raises(SignatureError, match="fit"):
        verify(config(secrets), headers, BODY + b" ", NOW)
    with pytest.raises(SignatureError, match="fit"):
        verify(config(secrets), sign("other", BODY, NOW), BODY, NOW)
    moved = headers["X-Listener-Signature"].replace(f"t={int(NOW.timestamp())}", f"t={int(NOW.timestamp()) + 1}")
    with pytest.raises(SignatureError, match="fit"):  # the time is signed, too
        verify(config(secrets), {"X-Listener-Signature": moved}, BODY, NOW)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "t=,v1=",
        "t=x,v1=00",
        "v1=00",
        f"t={int(NOW.timestamp())}",
        "t=²,v1=é",
        "é",
        f"t={int(NOW.timestamp())},v1=é",
        "t=" + "9" * 5000,
    ],
)
def test_a_broken_signature_is_refused_not_a_crash(secrets: tuple[str, str], value: str) -> None:
    with pytest.raises(SignatureError):
        verify(config(secrets), {"X-Listener-Signature": value}, BODY, NOW)


def test_other_senders_schemes(secrets: tuple[str, str], tmp_path: Path) -> None:
    right = digest("old secret", BODY)
    github = {"X-Hub-Signature-256": f"sha256={right.hex()}", "X-GitHub-Delivery": "d-1"}
    assert verify(config(secrets, scheme="github"), github, BODY, NOW) == "d-1"
    typeform = {"Typeform-Signature": f"sha256={base64.b64encode(right).decode()}"}
    assert verify(config(secrets, scheme="typeform"), typeform, BODY, NOW)
    assert verify(config(secrets, scheme="sha256"), {"X-Signature": right.hex()}, BODY, NOW)
    stamp = str(int(NOW.timestamp()))
    signed = base64.b64encode(digest(b"standard secret", f"msg_1.{stamp}.".encode() + BODY)).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"v1,AAAA v1,{signed}"}
    standard = config((f"file:{tmp_path / 'std'}",), scheme="standard-webhooks")
    assert verify(standard, headers, BODY, NOW) == "msg_1"
    for name, wrong in ((n, dict.fromkeys(github | typeform | {"X-Signature": ""}, "sha256=00")) for n in SCHEMES):
        with pytest.raises(SignatureError):
            verify(config(secrets, scheme=name), wrong, BODY, NOW)
    with pytest.raises(SignatureError, match="300"):
        verify(standard, headers, BODY, NOW + timedelta(hours=1))


def test_unsigned_pushes_only_where_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="unsigned"):
        config()
    assert verify(config(unsigned=True), {}, BODY, NOW) == sha256(BODY).hexdigest()
    with pytest.raises(InputError, match="bytes"):
        verify(config(unsigned=True, max_bytes=1000), {}, b"x" * 1001, NOW)
    with pytest.raises(InputError, match="empty"):
        verify(config(unsigned=True), {}, b" ", NOW)
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ConfigError, match="NOT_SET"):
        verify(config(("env:NOT_SET",)), sign("x", BODY, NOW), BODY, NOW)


def test_event_ids() -> None:
    def of(body: Any, **headers: str) -> str:
        return verify(
            config(unsigned=True), {k.replace("_", "-"): v for k, v in headers.items()}, json.dumps(body).encode(), NOW
        )

    assert of({"text": "a"}, X_Listener_Event="e1") == "e1"
    assert of({"text": "a"}, idempotency_key="e2") == "e2"
    assert of({"event_id": "e3", "text": "a"}) == "e3"
    assert of({"id": "e4", "native_id": "n", "text": "a"}) == "e4"
    assert of({"id": "r1", "text": "a"}) != of({"id": "r1", "text": "edited"})
    assert of([1]) == of([1])
    assert len(of({"event_id": "x" * 999})) == 200


async def pages_of(*bodies: Any, **more: Any) -> tuple[list[Page], MemoryInbox]:
    inbox = MemoryInbox()
    for number, body in enumerate(bodies):
        await inbox.put(f"e{number}", body if isinstance(body, bytes) else json.dumps(body).encode(), NOW)
    webhook = Webhook(config(unsigned=True, **more), Context("one", inbox))
    pages = [page async for page in webhook.pages(None)]
    return pages, inbox


async def test_the_neutral_payload_of_a_survey() -> None:
    (page,), _ = await pages_of({
        "id": "evt-0001", "source": "crm-survey", "occurred_at": "2026-01-02T10:00:00Z", "kind": "feedback.created",
        "text": "Support très réactif, merci", "language": "fr", "author": {"id": "C-77", "name": "Client 77"},
        "rating": {"value": 9, "min": 0, "max": 10, "metric": "nps"}, "url": "https://crm.example/f/1",
    })  # fmt: skip
    (found,) = page.mentions
    assert found.id == mention_id("one", "evt-0001")
    assert (found.kind, found.channel, found.language, found.url) == (
        "survey",
        "crm-survey",
        "fr",
        "https://crm.example/f/1",
    )
    assert (found.rating, found.scores[0].metric, found.scores[0].value) == (4.6, "nps", 9.0)
    assert found.author is not None
    assert (found.author.id, found.author.name) == ("C-77", "Client 77")
    assert found.version == to_ms(datetime(2026, 1, 2, 10, tzinfo=UTC))


async def test_batches_lines_deletions_and_bad_items() -> None:
    pages, inbox = await pages_of(
        [{"text": "a"}, 7, {"text": ""}, {"native_id": "n", "text": "b"}],
        {"mentions": [{"text": "c"}]},
        b'{"text": "d"}\n{broken\n{"text": "e"}\n',
        {"deleted": True, "native_id": "n", "deleted_at": "2026-01-02"},
        {"deleted": True},
        b"\xff\xfe garbage",
        b"[" * 100_000,
    )
    page = pages[0]
    assert [m.text for m in page.mentions] == ["a", "b", "c", "d", "e"]
    assert [m.native_id for m in page.mentions] == ["e0#0", "n", "e1#0", "e2#0", "e2#2"]
    assert all(m.version == to_ms(NOW) for m in page.mentions)
    assert [(d.mention_id, d.at) for d in page.deletions] == [
        (mention_id("one", "n"), datetime(2026, 1, 2, tzinfo=UTC))
    ]
    assert [r.where for r in page.rejects] == ["e0#1", "e0#2", "e2#1", "e4#0", "e5#0", "e6#0"]
    assert page.rejects[2].raw == b"{broken"
    inbox.settle(page.inbox)
    assert await inbox.take(10) == []


async def test_a_big_batch_is_cut_and_settled_with_its_last_page() -> None:
    pages, _ = await pages_of([{"text": f"t{n}"} for n in range(1200)], {"text": "next"})
    assert [len(page.mentions) for page in pages] == [500, 500, 201]
    assert [page.inbox for page in pages] == [(), (), (1, 2)]


async def test_pages_asked_for_before_they_are_stored_do_not_repeat() -> None:
    pages, _ = await pages_of(*({"text": f"t{n}"} for n in range(170)))
    texts = [m.text for page in pages for m in page.mentions]
    assert texts == [f"t{n}" for n in range(170)]


async def test_foreign_payloads_are_mapped() -> None:
    (page,), _ = await pages_of({"answer": {"verbatim": "so so"}, "grade": 14}, mapping={
        "text": "answer.verbatim", "rating": "grade"}, scales={"rating": {"min": 0, "max": 20}})  # fmt: skip
    assert (page.mentions[0].text, page.mentions[0].rating) == ("so so", 3.8)


async def test_the_inbox_in_memory_takes_an_event_once_and_has_a_size() -> None:
    inbox = MemoryInbox(size=1)
    assert await inbox.put("a", b"1", NOW)
    assert not await inbox.put("a", b"1", NOW)
    with pytest.raises(Overloaded):
        await inbox.put("b", b"1", NOW)
    inbox.settle([1])
    assert not await inbox.put("a", b"1", NOW)
    assert await inbox.put("b", b"1", NOW)


def test_a_webhook_without_an_inbox_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="inbox"):
        Webhook(config(unsigned=True), Context("one"))
