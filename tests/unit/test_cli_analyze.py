"""`listener analyze` keeps its contract: one line out per line in, whatever the line."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from listener.model import EMOTIONS, INTENTS, SENTIMENTS, STEPS
from tests.command_line import Cli

TEXT = "The parcel was late and broken 😡. Support was friendly. 配送が遅い。 Ça va?"


def analyzed(cli: Cli, *lines: str | dict[str, Any], options: tuple[str, ...] = ()) -> list[Any]:
    return cli.done("analyze", cli.file("in.jsonl", *lines), *options).lines


def test_one_line_per_line_in_order_and_bad_ones_in_their_place(cli: Cli) -> None:
    rows = analyzed(
        cli,
        {"id": "a", "text": "late"}, "{not json", {"id": "b"}, "", '["a"]', {"text": "no id"},
        {"id": 7, "text": "great", "kind": "mail"}, {"id": "k", "text": "x", "kind": "poem"}, {"id": "t", "text": 3},
        '{"id": NaN, "text": "x"}', '{"id": 1e999, "text": "x"}', {"id": True, "text": "x"}, {"id": "z", "text": "bad"},
    )  # fmt: skip
    places = [row.get("id", row.get("line")) for row in rows]
    assert places == ["a", 2, "b", 4, 5, 6, 7, "k", "t", 10, 11, 12, "z"]
    assert [at for at, row in enumerate(rows) if "error" in row] == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert all(set(row) in ({"id", "error"}, {"line", "error"}) for row in rows if "error" in row)
    assert "poem" not in rows[7]["error"]
    assert "review" in rows[7]["error"]


def test_every_answer_has_the_shape_of_the_contract(cli: Cli) -> None:
    texts = [TEXT, "", "ok", "😡😡", "https://example.invalid/ @ana", "word " * 3000, "\ud800 late"]
    rows = analyzed(cli, *(json.dumps({"id": number, "text": text}) for number, text in enumerate(texts)))
    for text, row in zip(texts, rows, strict=True):
        assert set(row) == {
            "id", "language", "sentiment", "emotions", "intents", "stars", "segments", "uncertain", "model",
        }  # fmt: skip
        _check_labels(row)
        assert row["stars"] is None or 1 <= row["stars"] <= 5
        end = 0
        for segment in row["segments"]:
            assert set(segment) == {
                "start", "end", "text", "step", "step_score", "sentiment", "emotions", "intents", "effort", "uncertain",
            }  # fmt: skip
            _check_labels(segment)
            assert end <= segment["start"] < segment["end"] <= len(text)
            end = segment["end"]
            assert segment["text"] == text[segment["start"] : end]
            assert segment["step"] in STEPS
            assert segment["effort"] in (None, 1, 2, 3, 4, 5)
    assert [segment["text"] for segment in rows[0]["segments"]][1] == "Support was friendly."


def _check_labels(row: dict[str, Any]) -> None:
    scores = row["sentiment"]["scores"]
    assert tuple(scores) == SENTIMENTS
    assert math.isclose(sum(scores.values()), 1, abs_tol=1e-4)
    assert row["sentiment"]["label"] == max(scores, key=lambda name: scores[name])
    assert set(row["emotions"]) == set(EMOTIONS)
    assert set(row["intents"]) == set(INTENTS)


def test_the_vector_has_384_floats_of_length_1_and_is_absent_unless_asked_for(cli: Cli) -> None:
    lines = ({"id": 1, "text": TEXT}, {"id": 2, "text": "..."})
    plain = analyzed(cli, *lines)
    assert "vector" not in plain[0]
    first, empty = analyzed(cli, *lines, options=("--vector",))
    assert len(first["vector"]) == 384
    assert math.isclose(math.hypot(*first["vector"]), 1, abs_tol=1e-5)
    assert empty["vector"] is None


def test_explanations_stand_on_the_whole_and_on_each_segment_with_offsets_of_the_text(cli: Cli) -> None:
    row, empty = analyzed(cli, {"id": 1, "text": TEXT}, {"id": 2, "text": ""}, options=("--explain",))
    assert empty["explanation"] == []
    assert [TEXT[item["start"] : item["end"]] for item in row["explanation"]] == ["late", "broken"]
    assert all(set(item) == {"label", "start", "end", "weight"} for item in row["explanation"])
    about = [[TEXT[i["start"] : i["end"]] for i in segment["explanation"]] for segment in row["segments"]]
    assert about[:2] == [["parcel", "late", "broken"], ["Support", "friendly"]]


def test_bytes_that_are_not_utf8_spoil_their_own_line_alone(cli: Cli) -> None:
    path = cli.folder / "bytes.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id":1,"text":"late"}\r\n{"id":2,"text":"\xff\xfe"}\n\x00\n{"id":4,"text":"gr\xc3\xa9at"}'
    )
    rows = cli.done("analyze", str(path)).lines
    assert [("error" in row, row.get("id", row.get("line"))) for row in rows] == [
        (False, 1), (True, 2), (True, 3), (False, 4),
    ]  # fmt: skip


def test_a_line_longer_than_the_limit_is_an_error_and_the_next_line_is_read(cli: Cli) -> None:
    path = cli.folder / "long.jsonl"
    path.write_bytes(b'{"id":1,"text":"' + b"x" * 9_000_000 + b'"}\n{"id":2,"text":"late"}\n')
    rows = cli.done("analyze", str(path)).lines
    assert rows[0]["line"] == 1
    assert "longer" in rows[0]["error"]
    assert rows[1]["id"] == 2
    assert "error" not in rows[1]


def test_the_output_file_may_be_the_input_and_nothing_is_left_beside_it(cli: Cli) -> None:
    path = cli.file("both.jsonl", *({"id": number, "text": "late"} for number in range(600)))
    result = cli.done("analyze", path, "--out", path)
    assert result.out == ""
    rows = [json.loads(line) for line in Path(path).read_text("utf8").splitlines()]
    assert [(row["id"], row["model"]) for row in rows] == [(number, "rule@1") for number in range(600)]
    assert [item.name for item in cli.folder.iterdir() if item.suffix == ".part"] == []


def test_it_works_without_any_settings_and_over_pipes(tmp_path: Path) -> None:
    given = '{"id":"é","text":"parcel late"}\n'.encode()
    command = [sys.executable, "-m", "listener.cli", "analyze", "-", "--classifier", "rule"]
    found = subprocess.run(command, input=given, capture_output=True, cwd=tmp_path, check=True)
    assert json.loads(found.stdout.decode("utf8"))["id"] == "é"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("nothing.jsonl",), ("-", "--classifier", "nobody")])
def test_a_missing_file_or_an_unknown_classifier_is_wrong_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli("analyze", *arguments)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1
