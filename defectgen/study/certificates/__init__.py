"""Question: how near does the certificate of a fit, made without the reference, come to its true error?"""

from ...campaign import Given
from ..interface import Study, Tables
from ..page import Page, Part, Section
from ..results import trial_line
from ..run import Run
from ..spec import RunSpec
from .settings import Certificates
from .steps import Certification
from .tables import NAME, QUALITY, line, qualities
from .words import certificate_findings, certificate_table

ABOUT = (
    "What each fit says of its own error, from its rows and the defect relaxed with it, next to the true error. Shares of "
    "fits, in brackets the 95 % interval over the defects, as fits of one defect are not independent. Fits without a minimum "
    "have no certificate. Every fit is in certificates.csv."
)


class CertificatesStudy(Study[Certificates]):
    """The certificate of every trial of the studies that [certificates] names, next to its true error."""

    name = NAME
    settings = Certificates

    def richer(self, asked: Certificates) -> float:
        """Degrees of the richer fits."""
        return asked.richer

    def plan(self, spec: RunSpec, asked: Certificates) -> list[Certification]:
        """One step per trial."""
        trials = {
            trial.key: trial
            for study, settings in spec.studies
            if getattr(asked, study.name, False)
            for _, trial in study.trials(spec, settings)
        }
        return [Certification(trial=trial, richer=trial.basis.widened(asked.richer)) for trial in trials.values()]

    def tables(self, spec: RunSpec, asked: Certificates, given: Given) -> Tables:
        """certificates.csv, a line per fit, and certificate_quality.csv, a line per material and quantity."""
        names: dict[str, str] = {}
        for study, settings in spec.studies:
            for label, trial in study.trials(spec, settings):
                names.setdefault(trial.key, label)
        lines = []
        for step in self.plan(spec, asked):
            found, trial = given.get(step), given.get(step.trial)
            if found is not None and trial is not None:
                rows, seconds = given[step.trial.rows], given.seconds(step.trial)
                lines.append(line(step, found, trial_line(names[step.trial.key], step.trial, trial, rows, seconds)))
        return Tables(others={NAME: lines, QUALITY: qualities(lines)} if lines else {})

    def page(self, run: Run) -> Page:
        """Figures of estimate, spread and bound against the true error, and how good they are in every material."""
        table, quality = run.others.get(NAME), run.others.get(QUALITY)
        if table is None or table.empty:
            return Page()
        from .figures import certificate_pictures

        figures = tuple(certificate_pictures(table))
        if quality is None or quality.empty:
            return Page(figures=figures)
        section = Section("certificates", "Certificates", (Part(about=ABOUT, tables=(certificate_table(quality),)),))
        return Page((), tuple(certificate_findings(quality)), figures, (section,))


STUDIES = (CertificatesStudy,)
