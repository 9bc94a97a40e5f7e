"""Terms of a page, explained where they are used: at the first use in a section by hover and focus, and in a list at its end."""

import re
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from ..errors import VERDICTS


@dataclass(frozen=True)
class Term:
    """A term with what it means."""

    name: str
    meaning: str
    pattern: str = ""
    """Regular expression of its forms; the name itself if empty."""

    @property
    def anchor(self) -> str:
        """Of its line in the list."""
        return "term-" + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


TERMS = (
    Term(
        "training radius",
        "radius of the largest ball in the cell that a potential was fitted to, or up to which forces are exact; in "
        "nearest-neighbour spacings. L in formulas.",
        r"training radi(?:us|i)",
    ),
    Term(
        "geometry error",
        "square root of the sum of squares of the differences of all nearest-neighbour bonds between the two relaxed defects, Å.",
        r"geometry errors?",
    ),
    Term(
        "energy error",
        "difference of the formation energy of the defect from that of the reference, eV; of a labelled configuration, the "
        "difference of its energy from the label.",
        r"energy errors?",
    ),
    Term(
        "observation set",
        "which data were fitted. E: energies, F: forces, FC: force constants of the perfect crystal, V: virials of strained "
        "crystals. E and F are of training cells with the defect, where the study has such cells.",
        r"observation sets?|sets? of observations|(?<![\w+])(?:(?:FC|E|F|V)(?:\+(?:FC|E|F|V))+)(?![\w+])",
    ),
    Term(
        "predicted rates",
        "slopes that the theory gives for upper bounds on the error. A steeper decay does not contradict them.",
        r"predicted (?:rates?|slopes?)|prediction",
    ),
    Term("slope", "of the logarithm of the error against the logarithm of the training radius.", r"slopes?"),
    Term("rate", "the exponent with which an error falls as the training radius grows.", r"rates?"),
    Term(
        "95 % interval",
        "contains the true value in 95 of 100 repetitions of the study.",
        r"95 % intervals?|intervals? of 95 %|95 % confidence",
    ),
    Term(
        "cap",
        "slope that no observation set exceeds while the only structure with the defect in the training set is one relaxed cell.",
        r"caps?\b(?= (?:that|on|of|−|it|them)|s)|\bcap(?=[ ,.])",
    ),
    Term("pure fits", "one fitted potential is used everywhere.", r"pure fits?"),
    Term(
        "inconclusive",
        f"{VERDICTS['inconclusive']}.",
    ),
    Term("confirmed", f"{VERDICTS['confirmed']}."),
    Term("within tolerance", f"{VERDICTS['within tolerance']}."),
    Term("steeper", f"{VERDICTS['steeper']}."),
    Term("shallower", f"{VERDICTS['shallower']}."),
    Term("tolerance", "exponents that differ by this much are distinguished."),
    Term("power", "share of simulated curves with the predicted exponent that are confirmed.", r"power\b(?! of)"),
    Term("basis functions", "functions of the atomic neighbourhood whose coefficients are fitted.", r"basis functions?"),
    Term(
        "basin",
        "structures that relax to one state; a fit in another basin has found another defect.",
        r"basins?",
    ),
    Term("hollow", "a mark with a white inside: the fit is unconverged, unstable or in another basin, and is in no rate."),
    Term(
        "formation energy",
        "energy of the defect relative to the perfect crystal with the same atoms.",
        r"formation energ(?:y|ies)",
    ),
    Term("force constants", "second derivatives of the energy with respect to the positions of pairs of atoms."),
    Term("virials", "derivatives of the energy with respect to the strain of the crystal.", r"virials?"),
    Term("certificate", "estimate and bound of the error of a fit, computed without the reference.", r"certificates?"),
    Term("posterior", "distribution of the coefficients of a fit, given its data and its prior."),
    Term("rank correlation", "correlation of the orders of two lists; 1 if both have the same order.", r"rank correlations?"),
    Term("held-out", "not used in the fit.", r"held[- ]out"),
    Term("default loss", "the observations and weights that the package uses when none are given."),
    Term("conformational", "tested on new configurations of structures that were in the training set."),
    Term("structural", "tested on structures that were not in the training set."),
    Term("in-distribution", "tested on new configurations of all structures that could have been drawn."),
    Term("leverage", "how far a prediction lies outside what the training data determine.", r"leverages?"),
    Term("root mean square", "square root of the mean of the squares.", r"root[- ]mean[- ]squares?|RMSE"),
    Term("barrier", "energy of the saddle point of a hop relative to its start.", r"(?:migration )?barriers?"),
    Term("energy factor", "K: between the radii r and R a dislocation has the energy K log(R/r)."),
    Term("dipole", "the first moment of the forces that a defect exerts on the crystal around it.", r"(?:elastic )?dipoles?"),
    Term("front", "results that no other one beats in both quantities.", r"Pareto fronts?|fronts?"),
)

THEORY = {
    "bounds/barriers": "The barrier of a hop converges with the rate of the energy of a defect.",
    "bounds/core": "One relaxed cell with the defect limits the slopes: -d for the geometry, -2d for the energy in d dimensions.",
    "bounds/degenerate": "An isotropic dipole in an isotropic crystal hides the first rate of the geometry.",
    "bounds/dislocations": "Rates around a dislocation: force constants gain one power of L, virials two, both three.",
    "bounds/one-potential": "Rates of one potential that is used on both sides of the training radius.",
    "bounds/rates": "The table of predicted slopes by dimension and observation set.",
    "bounds/term-by-term": "The force error at the exact defect, split into parts that add up to the whole.",
    "bounds/transfer": "What a fit to one defect says about another defect.",
    "bounds/verdicts": "How a verdict on a slope is reached, and how often it is wrong.",
    "diversity/fixed-budget": "How to divide a fixed number of labels into structures and configurations.",
    "diversity/fixed-set": "With the structures fixed, more configurations reach a floor.",
    "domain/leverage": "How far the training data determine a prediction.",
    "fit/certificate": "An estimate and a bound of the error of a fit, without the reference.",
    "fit/design": "Weights and data that minimise the estimated error of a defect.",
    "fit/loss": "Which weights control the terms of the bound.",
    "setting/stability": "What makes a fit stable, and why unstable fits are in no rate.",
}
"""Pages of theory/ that pages of studies refer to, and what each states."""

_TERM = re.compile(
    "|".join(f"(?P<t{k}>{t.pattern or re.escape(t.name)})" for k, t in sorted(enumerate(TERMS), key=lambda e: -len(e[1].name))),
    re.IGNORECASE,
)
_PAGE = re.compile(r"\b[a-z]+/[a-z-]+\b")


@dataclass(eq=False)
class Explained:
    """Texts of one page with their terms marked; it remembers which were used where."""

    terms: list[Term] = field(default_factory=list)
    """In the order in which they were first used."""
    theory: list[str] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def __call__(self, text: str, section: str) -> Markup:
        """HTML of a text: the first use of each term in a section carries its meaning, theory pages are linked to their list."""
        parts, last = [], 0
        for found in _TERM.finditer(text):
            if _outside_word(text, found):
                term = TERMS[int((found.lastgroup or "t0")[1:])]
                if (section, term.name) in self._seen:
                    continue
                self._seen.add((section, term.name))
                if term not in self.terms:
                    self.terms.append(term)
                parts += [self._pages(text[last : found.start()]), _marked(term, found.group())]
                last = found.end()
        return Markup("").join([*parts, self._pages(text[last:])])

    def about(self, heading: str) -> str:
        """The meaning of the first term in the heading of a column; empty without one."""
        found = next((f for f in _TERM.finditer(heading) if _outside_word(heading, f)), None)
        if found is None:
            return ""
        term = TERMS[int((found.lastgroup or "t0")[1:])]
        if term not in self.terms:
            self.terms.append(term)
        return term.meaning

    def theory_line(self, page: str) -> str:
        """What a theory page states."""
        return THEORY[page]

    def _pages(self, text: str) -> Markup:
        """The text with references to theory pages as links."""
        parts, last = [], 0
        for found in _PAGE.finditer(text):
            if found.group() in THEORY:
                if found.group() not in self.theory:
                    self.theory.append(found.group())
                link = Markup('<a href="#{}">{}</a>').format(page_anchor(found.group()), found.group())
                parts += [escape(text[last : found.start()]), link]
                last = found.end()
        return Markup("").join([*parts, escape(text[last:])])


def page_anchor(page: str) -> str:
    """Of a theory page in the list."""
    return "theory-" + page.replace("/", "-")


def _outside_word(text: str, found: re.Match[str]) -> bool:
    """Whether a term is not a part of a longer word or of a name with a hyphen."""
    before, after = text[: found.start()][-1:], text[found.end() :][:1]
    return not (before.isalnum() or before in ("-", "_", "/", "“") or after.isalnum() or after in ("_", "/", "=", "”"))


def _marked(term: Term, text: str) -> Markup:
    link = '<a class="term" href="#{0}" aria-describedby="{0}" data-tip="{1}: {2}">{3}</a>'
    return Markup(link).format(term.anchor, term.name, term.meaning, text)
