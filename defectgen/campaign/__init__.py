"""Campaign: run a plan of pure tasks, keep every record, resume after any interruption; without physics."""

from typing import TYPE_CHECKING

from .._door import door

if TYPE_CHECKING:
    from .cluster import Patience, Scheduler, SchedulerLost
    from .files import StorageError
    from .keeping import Checked, Swept, check, collect_garbage, export
    from .record import Record
    from .run import Interrupted, run
    from .status import Running, Status, status
    from .step import Given, Step, from_record, to_record
    from .store import Event, Store
    from .task import PlainTask, Task, in_order
    from .workers import execute, scratch, scratch_folder

__all__ = [
    "Checked",
    "Event",
    "Given",
    "Interrupted",
    "Patience",
    "PlainTask",
    "Record",
    "Running",
    "Scheduler",
    "SchedulerLost",
    "Status",
    "Step",
    "StorageError",
    "Store",
    "Swept",
    "Task",
    "check",
    "collect_garbage",
    "execute",
    "export",
    "from_record",
    "in_order",
    "run",
    "scratch",
    "scratch_folder",
    "status",
    "to_record",
]

__getattr__, __dir__ = door(__name__)
