"""Campaign: run a plan of pure tasks, keep every record, resume after anything; knows no physics."""

from typing import TYPE_CHECKING

from .._door import door

if TYPE_CHECKING:
    from .cluster import Scheduler, SchedulerLost
    from .files import StorageError
    from .record import Record
    from .run import Interrupted, run
    from .step import Given, Step, from_record, to_record
    from .store import Event, Store
    from .task import PlainTask, Task, in_order
    from .workers import execute, scratch, scratch_folder

__all__ = [
    "Event",
    "Given",
    "Interrupted",
    "PlainTask",
    "Record",
    "Scheduler",
    "SchedulerLost",
    "Step",
    "StorageError",
    "Store",
    "Task",
    "execute",
    "from_record",
    "in_order",
    "run",
    "scratch",
    "scratch_folder",
    "to_record",
]

__getattr__, __dir__ = door(__name__)
