"""Settings of the study of certificates."""

from pydantic import Field

from ..settings import Strict


class Certificates(Strict):
    """For which fits the certificate is taken and compared with the true error (theory: fit/certificate)."""

    cell_size: bool = True
    """Whether this is done for the fits of [cell_size]."""
    choices: bool = True
    """Whether this is done for the fits of [choices]."""
    fit_accuracy: bool = True
    """Whether this is done for the fits of [fit_accuracy]."""
    richer: float = Field(2.0, gt=0, le=100)
    """Increase of the degree for the richer fit; rows are made for its basis."""
