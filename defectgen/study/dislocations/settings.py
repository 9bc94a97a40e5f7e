"""Settings of the study of dislocations."""

from ..surrogates.settings import Beyond


class Dislocations(Beyond):
    """Error of a straight dislocation against the radius around its line (theory: bounds/dislocations).

    The defects of the cases are "edge" or "screw", their simulation_size the radius of the free cylinder in nearest-neighbour
    spacings.
    """
