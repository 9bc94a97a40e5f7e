"""Which tasks wait, are ready, run, or are settled; pure bookkeeping."""

from collections.abc import Iterable

from .record import Record
from .task import Task, in_order


class Board:
    """The state of a run. ``records`` grows from what was found on disk to all tasks."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.tasks = in_order(tasks)
        self.records: dict[str, Record] = {}
        self.running: set[str] = set()
        self._lost = False  # whether any task has no result
        self._seconds = 0.0
        self._weight = 0.0

    def ready(self) -> list[Task]:
        """Tasks that can start now, in plan order."""
        return [task for task in self._open() if all(self._ok(needed) for needed in task.after)]

    def blocked(self) -> list[tuple[Task, Task]]:
        """(task, the needed one that failed) for tasks that can never start, or whose result nobody can use any more.

        The latter were found on disk, while something they need was lost and could not be computed again.
        """
        pairs = []
        for task in self.tasks if self._lost else ():
            if task.key in self.running or not (task.key not in self.records or self._ok(task)):
                continue
            lost = [needed for needed in task.after if needed.key in self.records and not self._ok(needed)]
            if lost:
                pairs.append((task, lost[0]))
        return pairs

    def settle(self, task: Task, record: Record, fresh: bool = True) -> None:
        """Enter the record of ``task``; ``fresh`` ones teach the clock."""
        self.running.discard(task.key)
        self.records[task.key] = record
        self._lost = self._lost or not record.ok
        if fresh and record.ok:
            self._seconds += record.seconds
            self._weight += task.weight

    def left(self, hands: int) -> float | None:
        """Estimated seconds to the end with ``hands`` workers; None before the first task is done.

        Seconds per weight of what is done, times the weight that is not settled, shared by as many workers as there are tasks.
        """
        waiting = [task.weight for task in self.tasks if task.key not in self.records]
        if not waiting:
            return 0.0
        if not self._weight:
            return None
        return self._seconds / self._weight * sum(waiting) / max(1, min(hands, len(waiting)))

    def _open(self) -> list[Task]:
        return [task for task in self.tasks if task.key not in self.records and task.key not in self.running]

    def _ok(self, task: Task) -> bool:
        record = self.records.get(task.key)
        return record is not None and record.ok
