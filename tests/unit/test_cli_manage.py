"""`listener subscriptions`, `alerts`, `sources`, and the rehearsal of a subscription."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.command_line import Cli

NOW = datetime.now(UTC)


def row(name: str, text: str, age: timedelta, **more: Any) -> dict[str, Any]:
    return {"native_id": name, "text": text, "published_at": (NOW - age).isoformat(), **more}


def test_init_makes_a_store_with_two_subscriptions_and_overwrites_nothing(cli: Cli) -> None:
    folder = cli.folder / "shop"
    told = cli.done("init", str(folder)).out
    assert (folder / "listener.db").exists()
    assert "negative-review" in told
    assert "influencer-mention" in told
    assert cli.done("--config", str(folder / "listener.toml"), "config", "check").code == 0
    before = (folder / "listener.toml").read_bytes()
    assert cli("init", str(folder)).code == 2
    assert (folder / "listener.toml").read_bytes() == before


def test_a_subscription_is_added_listed_disabled_enabled_and_removed(cli: Cli) -> None:
    cli.done("subscriptions", "add", "Late parcels", "late", "--cooldown", "20m", "--group-by", "brand")

    def listed() -> list[Any]:
        found: list[Any] = cli.done("subscriptions", "--json").json["subscriptions"]
        return found

    (found,) = listed()
    assert (found["id"], found["query"], found["cooldown"], found["group_by"], found["enabled"]) == (
        "late-parcels", "late", "20m", "brand", True,
    )  # fmt: skip
    assert found["destinations"] == ["console"]
    cli.done("subscriptions", "disable", "late-parcels")
    assert not listed()[0]["enabled"]
    cli.done("subscriptions", "enable", "late-parcels")
    assert listed()[0]["enabled"]
    assert cli("subscriptions", "add", "late-parcels", "x").code == 2
    cli.done("subscriptions", "remove", "late-parcels")
    assert listed() == []
    assert cli("subscriptions", "remove", "late-parcels").code == 1
    assert cli("subscriptions", "enable", "late-parcels").code == 1


def test_a_preset_takes_our_brand_and_the_first_word_of_its_name(cli: Cli) -> None:
    cli.config.write_text('brand = "Acme"\n' + cli.config.read_text())
    cli.done("subscriptions", "add", "--preset", "negative")
    (found,) = cli.done("subscriptions", "list", "--json").json["subscriptions"]
    assert found["id"] == "negative-review"
    assert 'brand:"Acme"' in found["query"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "x", "foo:bar"), ("add", "x"), ("add",), ("add", "x", "late", "--to", "nowhere"),
        ("add", "x", "late", "--cooldown", "soon"), ("add", "x", "late", "--group-by", "mood"), ("add", "???", "late"),
        ("add", "--preset", "unknown"), ("add", "x", "late", "--preset", "negative"), ("test", "foo:bar"), ("test",),
    ],
)  # fmt: skip
def test_a_wrong_subscription_is_refused_and_not_stored(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli("subscriptions", *arguments)
    assert result.code == 2
    assert "Traceback" not in result.err
    assert cli.done("subscriptions", "--json").json["subscriptions"] == []


def test_the_test_of_a_subscription_walks_its_rules_over_thirty_days(cli: Cli) -> None:
    cli.settings('[sources.s]\nconnector = "file"\nenabled = false\npath = "."\nown_accounts = ["us"]\n')
    days = [0.9, 1.01, 3, 8, 29, 31]
    given = [row(str(n), "parcel late", timedelta(days=day)) for n, day in enumerate(days)]
    given.append(row("own", "parcel late", timedelta(days=2), author={"handle": "@us"}))
    given.append(row("unsure", "the parcel", timedelta(days=2)))
    cli.done("import", cli.file("a.jsonl", *given), "--source", "s")

    def tried(*arguments: str) -> Any:
        return cli.done("subscriptions", "test", *arguments, "--json").json

    told = tried("late")
    assert (told["matches"], told["fired"], told["own"]) == (6, 5, 1)
    assert sum(week["fired"] for week in told["weeks"]) == 5
    assert len(told["latest"]) == 3
    assert told["latest"][0]["at"] > told["latest"][1]["at"] > told["latest"][2]["at"]
    unsure = tried("step:reception sentiment:neutral")
    assert (unsure["matches"], unsure["fired"], unsure["uncertain"]) == (1, 0, 1)
    gathered = tried("late", "--cooldown", "7d")
    # 29 and 8 days ago fire at once; what follows until 1 day ago fires then, together; the last waits for its window
    assert gathered["fired"] == 4
    assert [len(fired["mentions"]) for fired in gathered["latest"]] == [1, 2, 1]
    assert "would have fired 5 times" in cli.done("subscriptions", "test", "late").out
    assert cli.done("alerts", "--json").json["alerts"] == []  # a rehearsal writes nothing


def test_a_stored_subscription_is_rehearsed_by_its_name(cli: Cli) -> None:
    cli.done("import", cli.file("a.jsonl", row("1", "late", timedelta(days=2))))
    cli.done("subscriptions", "add", "slow", "late")
    told = cli.done("subscriptions", "test", "slow", "--json").json
    assert (told["query"], told["fired"]) == ("late", 1)


def test_alerts_are_listed_shown_and_delivered_by_run(cli: Cli) -> None:
    cli.done("subscriptions", "add", "late", "late")
    cli.done("import", cli.file("a.jsonl", row("1", "parcel late", timedelta(hours=1), author={"handle": "ana"})))
    (alert,) = cli.done("alerts", "--json").json["alerts"]
    assert alert["subscription"]["id"] == "late"
    assert alert["mentions"][0]["text"] == "parcel late"
    assert "@ana" in cli.done("alerts", "show", alert["id"]).out
    assert cli.done("alerts", "deliveries", "--json").json["deliveries"] == []
    service = cli.process("run")
    try:
        assert service.stdout is not None
        assert "running" in service.stdout.readline()
        assert "@ana" in service.stdout.readline()
    finally:
        service.terminate()
        service.communicate(timeout=30)
    assert service.returncode == 0
    (delivery,) = cli.done("alerts", "deliveries", alert["id"], "--json").json["deliveries"]
    assert (delivery["ok"], delivery["destination"]) == (True, "console")
    assert cli("alerts", "show", "nothing").code == 1


def test_a_destination_can_be_tried_and_its_failure_is_the_commands(cli: Cli) -> None:
    hook = '[destinations.hook]\ntype = "webhook"\nurl = "http://127.0.0.1:9/"\nsecret = "file:secret.txt"\n'
    cli.settings(hook + 'timeout = "2s"\n')
    (cli.folder / "secret.txt").write_text("a long enough secret")
    assert "trial" in cli.done("alerts", "test", "console").out
    failed = cli("alerts", "test", "hook")
    assert failed.code == 1
    assert len(failed.err.splitlines()) == 1
    unknown = cli("alerts", "test", "nowhere")
    assert unknown.code == 2
    assert "hook" in unknown.err


def test_sources_are_listed_shown_and_reset(cli: Cli) -> None:
    cli.settings('[sources.shop]\nconnector = "file"\npath = "a.jsonl"\n')
    (shop,) = cli.done("sources", "--json").json["sources"]
    assert (shop["name"], shop["connector"], shop["state"], shop["mentions"]) == ("shop", "file", "new", 0)
    path = cli.file("b.jsonl", row("1", "late", timedelta(hours=1)))
    cli.done("import", path)
    names = {source["name"]: source for source in cli.done("sources", "list", "--json").json["sources"]}
    key = f"import:{path}"
    assert (names[key]["state"], names[key]["mentions"]) == ("done", 1)
    assert cli.done("sources", "show", key, "--json").json["dead_letters"] == 0
    cli.done("sources", "reset", key)
    assert cli.done("import", path, "--json").json["files"][0]["known"] == 1
    assert cli("sources", "reset", "nobody").code == 1
    assert cli("sources", "show", "nobody").code == 1
    assert cli.done("sources", "gaps", "--json").json == {"gaps": []}
