"""Check of a built site: every relative link and file of every page arrives, at its anchor (``python links.py FOLDER``)."""

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to and what can be referred to."""
        given = dict(attrs)
        self.links += [str(given[key]) for key in ("href", "src") if given.get(key)]
        self.anchors |= {str(given[key]) for key in ("id", "name") if given.get(key)}


read = cache(Page)


def broken(folder: Path) -> list[str]:
    """Links that do not arrive, each with its page; links that would load something from the network."""
    found = []
    for path in sorted(folder.rglob("*.html")):
        for link in read(path).links:
            parts = urlsplit(link)
            if parts.scheme in ("https", "mailto", "data"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            arrives = not parts.scheme and target.is_file()
            if arrives and parts.fragment and target.suffix == ".html":
                arrives = unquote(parts.fragment) in read(target).anchors
            if not arrives:
                found.append(f"{path.relative_to(folder)}: {link}")
    return found


if __name__ == "__main__":
    wrong = broken(Path(sys.argv[1]).resolve())
    sys.exit("links that do not arrive:\n" + "\n".join(wrong) if wrong else 0)
