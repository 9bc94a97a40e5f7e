"""Which tasks of a plan wait, are ready, run or are settled, and how long the rest will take."""

import heapq
from collections.abc import Callable, Container, Iterable

from .record import Record
from .task import Task, in_order

_WINDOW = 256
"""Ready tasks that are looked through for those of one shape."""

Shape = tuple[str, float]


def shape(task: Task) -> Shape:
    """What tasks have in common that run the same compiled programs: the function and the relative cost (the size of a cell)."""
    return task.function, float(task.weight)


class Board:
    """Which tasks wait, are ready, run, or are settled; every step of the bookkeeping costs as much as a task has neighbours.

    ``records`` grows from what was found on disk to all tasks.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.tasks = in_order(tasks)
        self.records: dict[str, Record] = {}
        self.running: set[str] = set()
        self._place = {task.key: place for place, task in enumerate(self.tasks)}
        needed = [{other.key for other in task.after} for task in self.tasks]
        self._users: dict[str, list[int]] = {}  # key -> places of the tasks that need it
        for place, keys in enumerate(needed):
            for key in keys:
                self._users.setdefault(key, []).append(place)
        self._missing = [len(keys) for keys in needed]  # needed results that are not there
        self._ready = [
            place for place, count in enumerate(self._missing) if not count
        ]  # heaps of places, settled ones among them
        self._blocked: list[int] = []
        self._waiting, self._waiting_weight = len(self.tasks), sum(task.weight for task in self.tasks)
        self._seconds = 0.0
        self._weight = 0.0

    def ready(self) -> Task | None:
        """The first task of the plan that can start now."""
        while self._ready:
            task = self.tasks[self._ready[0]]
            if task.key not in self.records and task.key not in self.running:
                return task
            heapq.heappop(self._ready)
        return None

    def batch(self, size: Callable[[Shape, int], int], like: Shape | None = None, alone: Container[str] = ()) -> list[Task]:
        """Ready tasks of one shape, the first of the plan first; empty if none is ready.

        Parameters
        ----------
        size : callable
            How many tasks of a shape, of which so many are waiting at most, make a batch; at least 1.
        like : Shape, optional
            Preferred if it is among the first ready tasks.
        alone : container of str
            Keys of tasks that make a batch each.
        """
        places: dict[int, None] = {}
        while self._ready and len(places) < _WINDOW:
            place = heapq.heappop(self._ready)
            if self.tasks[place].key not in self.records and self.tasks[place].key not in self.running:
                places[place] = None
        chosen: list[int] = []
        for place in places:
            if self.tasks[place].key in alone:
                chosen = chosen or [place]
                break
        if not chosen and places:
            shapes = {place: shape(self.tasks[place]) for place in places}
            mine = like if like is not None and like in shapes.values() else next(iter(shapes.values()))
            same = [place for place, each in shapes.items() if each == mine]
            chosen = same[: size(mine, len(same) + len(self._ready))]
        for place in places.keys() - set(chosen):
            heapq.heappush(self._ready, place)
        return [self.tasks[place] for place in chosen]

    def start(self, task: Task) -> None:
        """Note that ``task`` runs."""
        self.running.add(task.key)

    def give_back(self, task: Task) -> None:
        """Note that ``task`` was not finished, and can start again."""
        self.running.discard(task.key)
        heapq.heappush(self._ready, self._place[task.key])

    def blocked(self) -> tuple[Task, Task] | None:
        """(task, the needed one that failed) for a task that can never start, or whose result cannot be used any more.

        The latter was found on disk, while something it needs was lost and could not be computed again.
        """
        while self._blocked:
            task = self.tasks[heapq.heappop(self._blocked)]
            if task.key not in self.running and (task.key not in self.records or self._ok(task)):
                return task, next(needed for needed in task.after if needed.key in self.records and not self._ok(needed))
        return None

    def settle(self, task: Task, record: Record, fresh: bool = True) -> None:
        """Enter the record of ``task``; ``fresh`` ones improve the estimate of the time left."""
        self.running.discard(task.key)
        before = self.records.get(task.key)
        if before is None:
            self._waiting -= 1
            self._waiting_weight -= task.weight
        self.records[task.key] = record
        change = int(record.ok) - int(before is not None and before.ok)
        for user in self._users.get(task.key, ()):
            self._missing[user] -= change
            if not record.ok:
                heapq.heappush(self._blocked, user)
            elif not self._missing[user]:
                heapq.heappush(self._ready, user)
        if record.ok and any(needed.key in self.records and not self._ok(needed) for needed in task.after):
            heapq.heappush(self._blocked, self._place[task.key])  # what it needs was lost while it ran
        if fresh and record.ok:
            self._seconds += record.seconds
            self._weight += task.weight

    def left(self, hands: int) -> float | None:
        """Estimated seconds to the end with ``hands`` workers; None before the first task is done.

        Seconds per weight of what is done, times the weight that is not settled, shared by as many workers as there are tasks.
        """
        if not self._waiting:
            return 0.0
        if not self._weight:
            return None
        return self._seconds / self._weight * self._waiting_weight / max(1, min(hands, self._waiting))

    def _ok(self, task: Task) -> bool:
        record = self.records.get(task.key)
        return record is not None and record.ok
