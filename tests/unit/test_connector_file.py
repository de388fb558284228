"""The file connector on files as they are: dialects, encodings, broken rows, growing and replaced files."""

import csv
import gzip
import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Context
from connectors.file import File, FileConfig, file_namespace, plan
from connectors.rowids import RowIds
from listener.errors import ConfigError, PermanentError
from listener.model import Mention, Page, Reject, mention_id

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def file_of(path: Path, source: str = "one", now: datetime = NOW, **more: Any) -> File:
    return File(FileConfig(path=str(path), **more), Context(source, now=lambda: now))


async def pages_of(file: File, cursor: str | None = None, most: int = 10**6) -> tuple[list[Page], str | None]:
    pages: list[Page] = []
    async for page in file.pages(cursor):
        pages.append(page)
        cursor = page.cursor or cursor
        if len(pages) == most:
            break
    return pages, cursor


async def read(path: Path, **more: Any) -> tuple[list[Mention], list[Reject]]:
    pages, _ = await pages_of(file_of(path, **more))
    return [m for page in pages for m in page.mentions], [r for page in pages for r in page.rejects]


_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(_text, _text), min_size=1, max_size=12),
    mark=st.sampled_from(",;\t|"),
    stop=st.integers(1, 6),
)
async def test_csv_with_any_text_comes_back_whole_wherever_the_reading_stops(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], mark: str, stop: int
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=mark, quoting=csv.QUOTE_ALL)
    writer.writerow(["review_id", "text", "author"])
    for number, (text, author) in enumerate(rows):
        writer.writerow([f"r{number}", text, author])
    path.write_bytes(out.getvalue().encode())
    first, cursor = await pages_of(file_of(path, page_size=1), None, stop)
    rest, _ = await pages_of(file_of(path, page_size=1), cursor)
    pages = first + rest
    found = {m.native_id: m.text for page in pages for m in page.mentions}
    rejected = [r for page in pages for r in page.rejects]
    assert all(r.reason == "no text, no title and no rating" for r in rejected)
    kept = {f"r{n}": text.strip() for n, (text, _) in enumerate(rows) if text.strip()}
    assert found == kept
    assert len(rejected) == len(rows) - len(kept)


async def test_bad_rows_keep_their_bytes_and_place_and_stop_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'id,text,rating\n1,good,5\n2,too,many,cells\n3,"two\nlines",4\n4,bad \xff byte,3\n5,short\n6,"a ""quote""",2\n'
        b"7,out of scale,9\n" + "8,é,1\n".encode()
    )
    mentions, rejects = await read(path, scales={"rating": {"min": 1, "max": 5}})
    kept = [("1", "good"), ("3", "two\nlines"), ("6", 'a "quote"'), ("8", "é")]
    assert [(m.native_id, m.text) for m in mentions] == kept
    assert [(r.where, r.raw) for r in rejects] == [
        ("a.csv:3", b"2,too,many,cells\n"), ("a.csv:6", b"4,bad \xff byte,3\n"), ("a.csv:7", b"5,short\n"),
        ("a.csv:9", b"7,out of scale,9\n"),
    ]  # fmt: skip
    assert "columns instead of 3" in rejects[0].reason


@pytest.mark.parametrize("lines_behind", [3, 60_000])
async def test_a_quote_that_never_closes_costs_its_own_line_only(tmp_path: Path, lines_behind: int) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f"{n},row number {n}\n" for n in range(lines_behind))
    path.write_text(f'id,text\nx,"never closed\n{rows}', "utf8")
    if lines_behind == 3:  # the next quote closes it, to the same number of columns
        path.write_text(f'id,text\nx,"never closed\n{rows}'.replace("row number 1", '"row number 1"'), "utf8")
    mentions, rejects = await read(path)
    assert [r.raw for r in rejects] == [b'x,"never closed\n']
    assert len(mentions) == lines_behind


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("zipped", [False, True])
async def test_encodings_are_told_from_the_bytes(tmp_path: Path, encoding: str, zipped: bool) -> None:
    path = tmp_path / ("a.csv.gz" if zipped else "a.csv")
    text = "".join(
        f'{n};"très bien ਊ Ċ\nété"\n' if encoding != "cp1252" else f'{n};"très bien\nété"\n' for n in range(30)
    )
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    data = mark + f"id;avis\n{text}".encode(encoding)
    path.write_bytes(gzip.compress(data) if zipped else data)
    first, cursor = await pages_of(file_of(path, page_size=4), None, 3)
    rest, _ = await pages_of(file_of(path, page_size=4), cursor)
    mentions = [m for page in first + rest for m in page.mentions]
    assert [m.native_id for m in mentions] == [str(n) for n in range(30)]
    assert all(m.text.startswith("très bien") and m.text.endswith("\nété") for m in mentions)
    told = plan([path], FileConfig(path=str(path)), Context("one"))[0]
    assert any("Windows-1252" in problem for problem in told.problems) == (encoding == "cp1252")


async def test_tsv_with_stray_quotes_and_backslash_escapes(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('id\ttext\n1\t"so called\n2\tfine\n3\t5" screen\n', "utf8")
    mentions, rejects = await read(path)
    assert [m.text for m in mentions] == ['"so called', "fine", '5" screen']
    assert not rejects
    path = tmp_path / "b.csv"
    path.write_text('id,text\n1,"he said \\"no\\", twice"\n2,"b"\n', "utf8")
    mentions, rejects = await read(path)
    assert [m.text for m in mentions] == ['he said "no", twice', "b"]


async def test_json_lines_need_no_mapping(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    full = {
        "native_id": "n1", "text": "Colis perdu", "title": "Hm", "published_at": "2026-01-02T10:00:00Z", "channel": "x",
        "kind": "social", "rating": 2, "language": "fr", "brand": "Acme", "product": "P", "place": "Lyon",
        "audience": "pro", "author": {"handle": "@ana", "name": "Ana", "followers": 10, "verified": True, "id": "7"},
        "url": "https://x.example/1", "parent_id": "n0", "thread_id": "t", "engagement": {"likes": 3},
        "scores": [{"metric": "nps", "value": 3, "min": 0, "max": 10}], "version": 1767348000001,
        "replies": [{"at": "2026-01-03T10:00:00Z", "text": "sorry"}], "surprise": {"a": 1},
    }  # fmt: skip
    lines = [json.dumps(full), "", "not json", "[1]", '{"native_id": "n2", "text": "a\\ud800\\u0000b"}']
    path.write_text("\n".join(lines) + "\n", "utf8")
    mentions, rejects = await read(path)
    one, two = mentions
    assert (one.native_id, one.text, one.title, one.kind, one.rating) == ("n1", "Colis perdu", "Hm", "post", 2.0)
    assert one.author is not None
    assert (one.author.handle, one.author.followers, one.author.verified, one.author.id) == ("@ana", 10, True, "7")
    assert (one.engagement, one.scores[0].metric, one.scores[0].value) == ({"likes": 3}, "nps", 3.0)
    assert (one.version, one.replies[0].text, one.parent_id, one.thread_id) == (1767348000001, "sorry", "n0", "t")
    assert (one.brand, one.product, one.place, one.audience, one.language) == ("Acme", "P", "Lyon", "pro", "fr")
    assert two.text == "a\ufffd\ufffdb"
    assert (two.published_at, two.version) == (NOW, 0)
    assert [r.where for r in rejects] == ["a.jsonl:3", "a.jsonl:4"]


async def test_a_json_array_is_read_element_by_element(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    items = [{"id": n, "text": f'a "quoted\\" ] text {n}', "tags": [1, {"x": "}"}]} for n in range(3000)]
    text = json.dumps(items, indent=1)
    path.write_text(text.replace('"id": 7,', '"id": 7 7,'), "utf8")
    first, cursor = await pages_of(file_of(path, page_size=100), None, 4)
    rest, cursor = await pages_of(file_of(path, page_size=100), cursor)
    mentions = [m for page in first + rest for m in page.mentions]
    rejects = [r for page in first + rest for r in page.rejects]
    assert [m.native_id for m in mentions] == [str(n) for n in range(3000) if n != 7]
    assert mentions[0].text == items[0]["text"]
    assert len(rejects) == 1
    assert b'"id": 7 7,' in rejects[0].raw
    assert (await pages_of(file_of(path), cursor))[0] == []


def test_rows_without_an_id_are_told_apart_by_their_occurrence() -> None:
    ids = RowIds()
    first = [ids.next({"text": "same"}), ids.next({"text": "same"}), ids.next({"text": "other"})]
    again = RowIds()
    assert [again.next({"text": "same"}), again.next({"text": "same"}), again.next({"text": "other"})] == first
    assert len(set(first)) == 3


async def test_rows_without_an_id_keep_their_ids_when_the_reading_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,stars\n" + "same,5\nother,4\n" * 10, "utf8")
    whole, _ = await read(path, page_size=3)
    first, cursor = await pages_of(file_of(path, page_size=3), None, 2)
    rest, cursor = await pages_of(file_of(path, page_size=3), cursor)
    assert [m.id for page in first + rest for m in page.mentions] == [m.id for m in whole]
    assert len({m.id for m in whole}) == 20
    with path.open("a") as file:
        file.write("same,5\n")
    more, _ = await pages_of(file_of(path, page_size=3), cursor)
    assert [m.native_id.rpartition("-")[2] for page in more for m in page.mentions] == ["11"]


async def test_the_namespace_follows_the_settings(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("id,text\n1,hello\n", "utf8")
    single, _ = await read(tmp_path / "a.csv")
    assert single[0].id == mention_id("one", "1")
    folder, _ = await read(tmp_path)
    assert len({m.id for m in folder}) == 2
    shared, _ = await read(tmp_path, ids="global")
    assert {m.id for m in shared} == {mention_id("one", "1")}
    named, _ = await read(tmp_path / "a.csv", namespace=file_namespace(tmp_path / "a.csv"))
    other, _ = await read(tmp_path / "b.csv", namespace=file_namespace(tmp_path / "b.csv"))
    assert named[0].id != other[0].id


async def test_a_folder_is_read_on_where_files_grew_and_again_where_they_were_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,one\n2,two\n", "utf8")
    (tmp_path / "notes.md").write_text("not for us")
    _, cursor = await pages_of(file_of(tmp_path))
    assert (await pages_of(file_of(tmp_path), cursor))[0] == []
    with path.open("a") as file:
        file.write("3,three\n")
    pages, cursor = await pages_of(file_of(tmp_path), cursor)
    assert [m.native_id for page in pages for m in page.mentions] == ["3"]
    path.write_text("id,text\n1,one\n2,two, changed and longer\n2,two\n3,three\n9,nine\n", "utf8")
    pages, cursor = await pages_of(file_of(tmp_path), cursor)
    assert [m.native_id for page in pages for m in page.mentions] == ["1", "2", "3", "9"]
    os.utime(path, (1, 1))
    pages, cursor = await pages_of(file_of(tmp_path), cursor)
    assert not any(page.mentions for page in pages)


async def test_a_line_still_being_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,one\n2,tw", "utf8")
    fresh = datetime.fromtimestamp(path.stat().st_mtime, UTC) + timedelta(seconds=1)
    pages, cursor = await pages_of(file_of(tmp_path, now=fresh))
    assert [m.text for page in pages for m in page.mentions] == ["one"]
    with path.open("a") as file:
        file.write("o\n")
    pages, cursor = await pages_of(file_of(tmp_path, now=fresh), cursor)
    assert [m.text for page in pages for m in page.mentions] == ["two"]
    with path.open("a") as file:
        file.write("3,three")
    late = fresh + timedelta(minutes=5)
    pages, _ = await pages_of(file_of(tmp_path, now=late), cursor)
    assert [m.text for page in pages for m in page.mentions] == ["three"]


async def test_a_thousand_files_fit_into_the_cursor(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{'long-name-' * 10}{number}.csv").write_text(f"id,text\n{number},hello {number}\n", "utf8")
    pages, cursor = await pages_of(file_of(tmp_path))
    assert sum(len(page.mentions) for page in pages) == 1000
    assert cursor is not None
    assert len(cursor) < 65536
    assert (await pages_of(file_of(tmp_path), cursor))[0] == []


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
async def test_sheets_and_parquet_are_read_with_the_extra(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    at = datetime(2026, 1, 2, 10)
    columns = ["ID", "Commentaire", "Note", "Date"]
    rows = [[n, f"avis {n}", n % 5 + 1, at] for n in range(30)]
    if kind == "xlsx":
        import openpyxl

        book = openpyxl.Workbook()
        for row in (columns, *rows):
            book.active.append(row)
        book.save(path)
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({c: [r[i] for r in rows] for i, c in enumerate(columns)}), path)
    first, cursor = await pages_of(file_of(path, page_size=7), None, 2)
    rest, cursor = await pages_of(file_of(path, page_size=7), cursor)
    mentions = [m for page in first + rest for m in page.mentions]
    assert [m.native_id for m in mentions] == [str(n) for n in range(30)]
    assert (mentions[1].text, mentions[1].rating, mentions[1].published_at) == ("avis 1", 2.0, at.replace(tzinfo=UTC))
    assert (await pages_of(file_of(path), cursor))[0] == []
    path.write_bytes(b"PK broken")
    with pytest.raises(PermanentError):
        await read(path)


async def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"PK")
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(ConfigError, match="tables"):
        await read(path)


async def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"id,text\n" + b"".join(b"%d,hello\n" % n for n in range(5000))))
    file, seen = file_of(path, page_size=500), []
    async for _ in file.pages(None):
        seen.append(file.progress)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert file.progress == (path.stat().st_size, path.stat().st_size)
    assert seen[0][0] <= path.stat().st_size


async def test_a_missing_file_waits_for_a_person_and_a_cut_archive_keeps_what_was_read(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"nothing\.csv"):
        await read(tmp_path / "nothing.csv")
    path = tmp_path / "a.csv.gz"
    lines = b"".join(b"%d,%s\n" % (n, os.urandom(20).hex().encode()) for n in range(3000))
    path.write_bytes(gzip.compress(b"id,text\n" + lines)[:-2000])
    mentions, rejects = await read(tmp_path)
    assert len(mentions) > 1000
    assert "cut off" in rejects[-1].reason


def test_a_plan_shows_columns_what_is_left_out_and_three_mentions(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "Identifiant;Avis client;Note /10;Date de publication;Pseudo;Ville;Couleur;Recommandation\n"
        "a1;Très bien;8;25/12/2025;ana;Lyon;bleu;9\na2;Bof;4;26/12/2025 10:30;bob;Nice;vert;3\n"
        "a3;Nul;0;pas une date;eve;Nice;vert;0\n", "utf8",
    )  # fmt: skip
    guess = plan([path], FileConfig(path=str(path)), Context("one"))[0]
    assert guess.columns == {
        "Identifiant": "native_id", "Avis client": "text", "Note /10": "rating", "Date de publication": "published_at",
        "Pseudo": "author.handle", "Ville": "place", "Recommandation": "nps",
    }  # fmt: skip
    assert guess.left_out == ("Couleur",)
    assert guess.scale == (0.0, 10.0)
    assert [m.native_id for m in guess.mentions] == ["a1", "a2"]
    assert guess.mentions[1].published_at == datetime(2025, 12, 26, 10, 30, tzinfo=UTC)
    assert guess.mentions[0].rating == 4.2
    assert any("row 4" in problem and "not a date" in problem for problem in guess.problems)
