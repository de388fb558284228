"""Records of JSON files: an object a line, or the elements of one array."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from connectors.text_file import MAX_LINE, Layout, Record, line_reader, newline_of

_MARK = re.compile(rb'["\\{}\[\],]')


def json_lines(stream: BinaryIO, how: Layout, offset: int, number: int) -> Iterator[Record]:
    """The objects of a JSON lines file, from a byte that begins line `number`."""
    read, newline = line_reader(stream, how.encoding), newline_of(how.encoding)
    while line := read(MAX_LINE):
        offset += len(line)
        number += 1
        if line.strip(b"\x00 \t\r\n"):
            yield _object(line, how.encoding, number - 1, offset, line.endswith(newline))


def _object(raw: bytes, encoding: str, number: int, end: int, whole: bool) -> Record:
    try:
        row = json.loads(raw.decode(encoding))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return Record(number, end, raw, None, f"not JSON: {error}", whole)
    if not isinstance(row, dict):
        return Record(number, end, raw, None, "not a JSON object", whole)
    return Record(number, end, raw, row, "", whole)


def json_array(stream: BinaryIO, offset: int, number: int) -> Iterator[Record]:
    """Elements of one JSON array, cut by counting brackets outside strings, so that a bad one stays one."""
    buffer, depth, quoted, escaped, begin, place = b"", 0, False, -1, 0, 0
    base = offset  # of buffer[0]
    opening = number == 1 and offset <= len(codecs.BOM_UTF8)
    while chunk := stream.read(65536):
        buffer += chunk
        for match in _MARK.finditer(buffer, place):
            mark, at = match.group(), match.start()
            if quoted:
                if mark == b"\\" and at != escaped:
                    escaped = at + 1
                elif mark == b'"' and at != escaped:
                    quoted = False
            elif mark == b'"':
                quoted = True
            elif mark in b"{[" and not (opening and mark == b"["):
                depth += 1
            elif mark in b"}]" and depth:
                depth -= 1
            elif depth == 0 and mark in b",[]":
                if not opening and (raw := buffer[begin:at].strip(b" \t\r\n,")):
                    yield _object(raw, "utf-8", number, base + at, True)
                number += buffer.count(b"\n", begin, at)
                opening, begin = False, at + 1
                if mark == b"]":
                    return
        place = len(buffer)
        buffer, base, place, escaped = buffer[begin:], base + begin, place - begin, escaped - begin
        begin = 0
        if len(buffer) > MAX_LINE:
            break
    if raw := buffer.strip(b" \t\r\n,"):
        yield Record(number, base + len(buffer), raw[:65536], None, "the JSON array does not end", False)
