"""Campaign: run a plan of pure tasks, keep every record, resume after anything; knows no physics."""

from defectgen.campaign.events import Event
from defectgen.campaign.files import StorageError
from defectgen.campaign.record import Record
from defectgen.campaign.run import Interrupted, run
from defectgen.campaign.scratch import scratch, scratch_folder
from defectgen.campaign.step import Given, Step
from defectgen.campaign.store import Store
from defectgen.campaign.task import PlainTask, Task, in_order

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
