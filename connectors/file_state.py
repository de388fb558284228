"""The cursor of a file source: where each file was left, in less than 64 kB.

Files in work and the latest finished ones keep a `Mark`; older finished ones only a digest of name, size and time.
"""

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from connectors.text_file import head_of, opened
from listener.errors import InputError, PermanentError

_HEAD, _TAIL = 512, 128
_MARKS = 50
_MOST_FILES = 4000


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a file was left: offset, line, its size and time then, what stood at its head and before the offset."""

    offset: int
    number: int
    size: int = 0
    mtime: int = 0
    head: tuple[int, str] = (0, "")
    tail: tuple[int, str] = (0, "")
    hashed: bool = False  # some rows had no id
    finished: bool = False

    @classmethod
    def start(cls, path: Path, offset: int, number: int) -> "Mark":
        """The beginning of a file."""
        head = head_of(path, _HEAD)
        return cls(offset, number, head=(len(head), _digest(head)))

    def seen(self, size: int, mtime: int) -> "Mark":
        """The same place in the file as it is now."""
        return replace(self, size=size, mtime=mtime, finished=False)

    def moved(self, offset: int, number: int, raw: bytes, hashed: bool) -> "Mark":
        """Behind the record that ends with `raw`."""
        end = raw[-_TAIL:]
        return replace(self, offset=offset, number=number, tail=(len(end), _digest(end)), hashed=self.hashed or hashed)

    def done(self) -> "Mark":
        """Nothing more to read until the file changes."""
        return replace(self, finished=True)

    def fits(self, path: Path) -> bool:
        """Whether the file still begins and goes on, up to the offset, as it did."""
        stream, below = opened(path)
        with stream, below:
            if _digest(stream.read(self.head[0])) != self.head[1]:
                return False
            stream.seek(max(0, self.offset - self.tail[0]))
            return _digest(stream.read(self.tail[0])) == self.tail[1]


class FileState:
    """Marks by file name, and the digests of files that are done with."""

    def __init__(self, cursor: str | None) -> None:
        data = json.loads(cursor) if cursor else {}
        self._marks: dict[str, Mark] = {
            name: Mark(*place, (head[0], head[1]), (tail[0], tail[1]), *flags)  # type: ignore[call-arg]
            for name, (place, head, tail, flags) in data.get("files", {}).items()
        }
        done = data.get("done", "")
        self._done: dict[str, None] = dict.fromkeys(done[at : at + 8] for at in range(0, len(done), 8))

    def keep_only(self, paths: Mapping[str, Path]) -> None:
        """Forget files that are gone or changed. Raises PermanentError for more files than the cursor has room for."""
        if len(paths) > _MOST_FILES:
            raise PermanentError(f"more than {_MOST_FILES} files in one folder: move those that were read elsewhere")
        self._marks = {name: mark for name, mark in self._marks.items() if name in paths}
        if self._done:
            stats = {name: path.stat() for name, path in paths.items() if path.exists()}
            here = {_short(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}
            self._done = {digest: None for digest in self._done if digest in here}

    def finished(self, name: str, path: Path) -> bool:
        """Whether the file is as it was when it had been read to its end."""
        stat = path.stat()
        mark = self._marks.get(name)
        if mark is not None:
            return mark.finished and (mark.size, mark.mtime) == (stat.st_size, stat.st_mtime_ns)
        return _short(name, stat.st_size, stat.st_mtime_ns) in self._done

    def resume(self, name: str, path: Path) -> Mark | None:
        """Where to go on in a file that grew or was left in the middle; None where it is to be read from its start."""
        mark = self._marks.get(name)
        if mark is None or (path.suffix.lower() in (".xlsx", ".parquet") and self._changed(mark, path)):
            return None
        try:
            return mark if mark.fits(path) else None
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{name} cannot be read: {error}") from error

    def _changed(self, mark: Mark, path: Path) -> bool:
        stat = path.stat()
        return (mark.size, mark.mtime) != (stat.st_size, stat.st_mtime_ns)

    def put(self, name: str, mark: Mark) -> None:
        """Note a file's place; the oldest finished marks shrink to a digest."""
        self._marks.pop(name, None)
        self._marks[name] = mark
        if len(self._marks) <= _MARKS:
            return
        for old, kept in list(self._marks.items()):
            if len(self._marks) > _MARKS and kept.finished and old != name:
                del self._marks[old]
                self._done[_short(old, kept.size, kept.mtime)] = None

    def finish(self, name: str, path: Path) -> None:
        """Note that a file is not to be looked at again until it changes."""
        stat = path.stat()
        self.put(name, Mark(0, 1, stat.st_size, stat.st_mtime_ns, finished=True))

    def json(self) -> str:
        """The cursor."""
        files = {
            name: [[m.offset, m.number, m.size, m.mtime], m.head, m.tail, [m.hashed, m.finished]]
            for name, m in self._marks.items()
        }
        return json.dumps({"files": files, "done": "".join(self._done)}, separators=(",", ":"))


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def _short(name: str, size: int, mtime: int) -> str:
    digest = blake2b(f"{name}\x00{size}\x00{mtime}".encode("utf8", "surrogateescape"), digest_size=6).digest()
    return b64encode(digest).decode()
