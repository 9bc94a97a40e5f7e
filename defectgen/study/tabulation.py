"""The tables of a run."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tables:
    """Rows as plain dictionaries, ready to be written as CSV."""

    results: list[dict] = field(default_factory=list)
    """Errors of models and surrogates against the reference."""
    rates: list[dict] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    others: dict[str, list[dict]] = field(default_factory=dict)
    """Further tables by name: what a question of its own measures."""

    def __add__(self, other: "Tables") -> "Tables":
        """The rows of both; tables of one name are joined."""
        names = dict.fromkeys([*self.others, *other.others])
        others = {name: [*self.others.get(name, []), *other.others.get(name, [])] for name in names}
        return Tables(self.results + other.results, self.rates + other.rates, self.failures + other.failures, others)
