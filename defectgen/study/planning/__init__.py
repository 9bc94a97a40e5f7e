"""Question: what is the cheapest set of labels with which a fit is accurate enough for a defect?

A cheap reference stands for the expensive one. Every plan of a grid - size of the cells, number of configurations, kinds of
observations, degree of the basis - is carried out with it, and what its labels would cost the expensive one is counted.
"""

from ..calculations import Calculation, write_structures
from .grid import plan_training, plans, searched
from .labelled import Attempt, Verdict, judge_labels
from .proposal import QUANTITIES, Plan, Proposal
from .search import Search, prepared

__all__ = [
    "QUANTITIES",
    "Attempt",
    "Calculation",
    "Plan",
    "Proposal",
    "Search",
    "Verdict",
    "judge_labels",
    "plan_training",
    "plans",
    "prepared",
    "searched",
    "write_structures",
]
