"""Where kept rows lie: one long array, in memory or in a folder, and a mark for every configuration that is done."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._input import InputError
from .._typing import Float, Int
from ..campaign.files import write_whole

FORMAT = "defectgen rows 1"


@dataclass(frozen=True, eq=False)
class RowStore:
    """Numbers in one piece and marks; both are written through to disk where there is a folder."""

    values: Float[np.ndarray, " numbers"]
    done: Int[np.ndarray, " configurations"]

    def put(self, number: int, start: int, rows: Float[np.ndarray, " part"]) -> None:
        """Write the rows of one configuration, then mark it."""
        self.values[start : start + len(rows)] = rows
        self.done[number] = 1


def allocate(numbers: int, configurations: int, digest: str, path: str | Path | None) -> RowStore:
    """Room for so many numbers; in a folder that was filled before with rows of the same digest, what was done there.

    A killed process loses nothing that it had marked (the pages belong to the system). Raises InputError for a folder with
    other rows, or one that cannot be written.
    """
    if path is None:
        return RowStore(np.empty(numbers), np.zeros(configurations, dtype=np.int8))
    folder = Path(path)
    header = {"format": FORMAT, "digest": digest, "numbers": numbers, "configurations": configurations}
    known = folder / "rows.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if links := [path for path in (known, folder / "rows.f64", folder / "done.i8") if path.is_symlink()]:
            raise InputError(f"{links[0]} is a symbolic link, and rows are not written through links; remove it")
        if known.exists():
            if json.loads(known.read_bytes()) != header:
                raise InputError(
                    f"{folder} holds the rows of other configurations or another basis; give another folder, or remove it first"
                )
            mode = "r+"
        else:
            mode = "w+"
        values = np.memmap(folder / "rows.f64", np.float64, mode, shape=(numbers,))
        done = np.memmap(folder / "done.i8", np.int8, mode, shape=(configurations,))
        write_whole(known, json.dumps(header).encode())
    except (OSError, ValueError) as error:
        raise InputError(f"rows cannot be kept in {folder} ({error}); give another folder") from None
    return RowStore(values, done)
