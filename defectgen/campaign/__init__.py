"""Campaign: run a plan of pure tasks, keep every record, resume after anything; knows no physics."""

from .events import Event
from .files import StorageError
from .record import Record
from .run import Interrupted, run
from .scratch import scratch, scratch_folder
from .step import Given, Step
from .store import Store
from .task import PlainTask, Task, in_order

__all__ = [
    "Event",
    "Given",
    "Interrupted",
    "PlainTask",
    "Record",
    "Step",
    "StorageError",
    "Store",
    "Task",
    "in_order",
    "run",
    "scratch",
    "scratch_folder",
]
