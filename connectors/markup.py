"""HTML to plain text: paragraphs become lines, scripts and styles vanish, entities become characters."""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figure", "figcaption", "footer",
    "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "table", "tr", "ul",
})  # fmt: skip
_SILENT = frozenset({"script", "style", "template", "noscript", "head", "iframe", "object", "svg"})
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "wbr", "area", "base", "col", "embed", "source"})
_TAG = re.compile(r"<[a-zA-Z/!]|&[a-zA-Z#]")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent: str | None = None  # the element whose content is not text
        self.depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.silent is not None:
            self.depth += tag == self.silent
        elif tag in _SILENT:
            self.silent, self.depth = tag, 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag in _BLOCKS:
            self.parts.append("\n\n" if tag == "p" else "\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")
        elif tag == "img" and (alt := dict(attrs).get("alt")) and len(alt) <= 4:
            self.parts.append(alt)  # emoji written as pictures

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _SILENT:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self.silent is not None:
            self.depth -= tag == self.silent
            if self.depth == 0:
                self.silent = None
        elif tag in _BLOCKS:
            self.parts.append("\n\n" if tag == "p" else "\n")

    def handle_data(self, data: str) -> None:
        if self.silent is None:
            self.parts.append(re.sub(r"[ \t\r\n\f]+", " ", data))


def html_to_text(markup: str) -> str:
    """The words of an HTML fragment; text without tags and entities comes back with its own line breaks."""
    if not _TAG.search(markup):
        return "\n".join(line.strip() for line in markup.strip().splitlines())
    reader = _Text()
    reader.feed(markup)
    reader.close()
    text = "".join(reader.parts)
    text = re.sub(r"[ \t\u00a0]*\n[ \t\u00a0]*", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]{2,}", " ", text)).strip()
