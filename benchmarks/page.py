"""Puts the results of the last `make bench` into README.md: the table of all cases and what each of them printed.

The page has a pair of comments for each: `<!-- table -->` or `<!-- bench_NAME -->`, and `<!-- end -->`; what is between them is
replaced. A case without results in `build/bench` keeps what it has.
"""

import re
from pathlib import Path
from textwrap import fill

import summary

HERE = Path(__file__).parent
BUILD = HERE.parent / "build"


def printed(name: str) -> str | None:
    """The text between the comments of that name; None if the last run has nothing for it."""
    if name == "table":
        said, table = summary.text(str(BUILD / "bench.jsonl")).split("\n\n", 1)
        return f"{fill(said, 120, break_long_words=False)}\n\n{re.sub(' +', ' ', table)}"
    file = BUILD / "bench" / f"{name}.txt"
    if not file.exists():
        return None
    lines = [line.rstrip() for line in file.read_text().splitlines()]
    return "\n".join(["```text", *lines, "```"])


def main() -> None:
    page = HERE / "README.md"

    def filled(match: re.Match[str]) -> str:
        text = printed(match[1])
        return match[0] if text is None else f"<!-- {match[1]} -->\n{text}\n<!-- end -->"

    page.write_text(re.sub(r"<!-- (table|bench_\w+) -->\n.*?<!-- end -->", filled, page.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
