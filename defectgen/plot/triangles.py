"""Where slope triangles go in a log-log panel: close to their curve, on no curve, mark, label or other triangle.

Everything is measured in points from the lower left corner of the panel, since marks and labels have sizes in points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.textpath import TextPath

LABEL_SIZE = 8.0  # points
LABEL_GAP = 2.5  # between the vertical side and its label, points
_ROOM, _ENOUGH = 2.0, 5.0  # to anything else, points: the least, and from where on more is no better
_SHARES = (0.6, 0.45, 0.36, 0.28, 0.22, 0.17, 0.13)  # of the window of the rate, as the horizontal side of a triangle
_NARROWEST = 11.0  # horizontal side, points
_TALL = 9.0  # vertical side wanted where the panel is wide enough, points
_WIDE = (0.15, 0.3)  # horizontal side wanted, least and most, as shares of the panel
_GAPS = (6.0, 8.0, 11.0, 15.0, 20.0, 27.0, 36.0, 47.0)  # between hypotenuse and curve, points
_PLACES = np.linspace(0, 1, 13)  # along the window
_MORE = (0.0, 0.07, 0.14, 0.21)  # by how much a panel may grow downwards to make room, as shares of its height
_SPACING = 2.0  # between the dots that stand for a line, points; less than _ROOM, or a corner could pass between two
_AT_ONCE = 160  # candidates compared at once, cheapest first
_FEW = 8  # every so many dots are compared first

Dots = Float[np.ndarray, "dots 3"]  # x, y, radius (points)


@dataclass(frozen=True)
class Panel:
    """A log-log panel: limits in data units, size in points."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float
    height: float

    def scale(self) -> tuple[float, float]:
        """Points per natural logarithm of x and of y."""
        return self.width / float(np.log(self.x[1] / self.x[0])), self.height / float(np.log(self.y[1] / self.y[0]))

    def points(self, x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        """Data to points."""
        across, up = self.scale()
        return np.column_stack([across * np.log(x / self.x[0]), up * np.log(y / self.y[0])])

    def data(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Points to data."""
        return np.array([self.x[0], self.y[0]]) * np.exp(points / np.array(self.scale()))

    def lower(self, share: float) -> "Panel":
        """The panel with ``share`` of its height more room below."""
        return replace(self, y=(self.y[0] * (self.y[0] / self.y[1]) ** share, self.y[1]))


@dataclass(frozen=True, eq=False)
class Drawn:
    """What is in the panel already, data units: marks of a ``radius`` (points; 0 for none), joined by a line or not."""

    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]
    radius: float
    joined: bool


@dataclass(frozen=True, eq=False)
class Slope:
    """A predicted slope, with the points (data units, x ascending, at least two) of its curve in the window of the rate."""

    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]
    value: float
    label: str
    colour: str


@dataclass(frozen=True, eq=False)
class Triangle:
    """Corners in data units: left and right end of the hypotenuse, right angle; the label is left or right of the vertical."""

    corners: Float[np.ndarray, "3 2"]
    label_left: bool


def arrange(panel: Panel, slopes: Sequence[Slope], drawn: Sequence[Drawn]) -> tuple[Panel, list[Triangle | None]]:
    """A triangle for each slope, None where no free place exists, and the panel, grown downwards if that gave room for more.

    For each slope the candidates are triangles along the window, below and above the curve, of several sizes and distances.
    The cheapest free one wins: close, of a readable size, below rather than above, late in the window, with room around it.
    Slopes that found no place in their turn go first in the next attempt.
    """
    best: tuple[Panel, list[Triangle | None]] = panel, [None] * len(slopes)
    for share in _MORE:
        grown = panel.lower(share)
        dots = sample(grown, drawn)
        order = list(range(len(slopes)))
        for _ in slopes:
            found = _in_turn(grown, slopes, order, dots)
            if found.count(None) < best[1].count(None):
                best = grown, found
            if None not in found:
                return best
            order = sorted(order, key=lambda i: found[i] is not None)
    return best


def sample(panel: Panel, drawn: Sequence[Drawn]) -> Dots:
    """Marks, and lines as dots close together."""
    dots = [np.zeros((0, 3))]
    for one in drawn:
        points = panel.points(one.x, one.y)
        dots.append(np.column_stack([points, np.full(len(points), one.radius)]))
        if one.joined:
            dots += [_line(a, b) for a, b in pairwise(points)]
    return np.concatenate(dots)


def label_box(text: str) -> tuple[float, float]:
    """Width and height of a label, points."""
    box = TextPath((0, 0), text, size=LABEL_SIZE).get_extents()
    return float(box.width) + 1.0, float(box.height) + 2.0  # hinting and the vertical centring of text differ by about a point


def _in_turn(panel: Panel, slopes: Sequence[Slope], order: Sequence[int], dots: Dots) -> list[Triangle | None]:
    """Place one slope after the other, each clear of those before."""
    found: list[Triangle | None] = [None] * len(slopes)
    for i in order:
        candidates = _candidates(panel, slopes[i])
        chosen = _cheapest(panel, candidates, dots)
        if chosen is not None:
            (start, end, right), (x, y, width, height) = candidates.corners[chosen], candidates.boxes[chosen]
            found[i] = Triangle(panel.data(candidates.corners[chosen]), bool(candidates.left[chosen]))
            label = _filled(np.array([x - width / 2, y - height / 2]), np.array([width, 0]), np.array([0, height]), 2)
            dots = np.concatenate([dots, _filled(right, start - right, end - right, 1), label])
    return found


@dataclass(frozen=True, eq=False)
class _Candidates:
    corners: Float[np.ndarray, "candidates 3 2"]
    boxes: Float[np.ndarray, "candidates 4"]  # of the label: centre, width and height
    left: Bool[np.ndarray, " candidates"]
    cost: Float[np.ndarray, " candidates"]


def _candidates(panel: Panel, slope: Slope) -> _Candidates:
    """Triangles that touch no part of their own curve, cheapest first."""
    across, up = panel.scale()
    steep = slope.value * up / across  # as seen on paper
    slant = float(np.hypot(1, steep))
    x, y = panel.points(slope.x, slope.y).T
    window = x[-1] - x[0]
    wanted = min(max(_TALL / max(abs(steep), 1e-9), _WIDE[0] * panel.width), _WIDE[1] * panel.width)
    text = np.array(label_box(slope.label))
    widths = [share * window for share in _SHARES if share * window >= _NARROWEST]
    edges = [
        (width, place, *_touching(x, y, steep, x[0] + place * (window - width), width)) for width in widths for place in _PLACES
    ]
    width, place, lowest, highest = np.reshape(edges, (-1, 4, 1, 1)).transpose(1, 0, 2, 3)
    below, gap = np.array([True, False])[:, None], np.array(_GAPS)
    a = x[0] + place * (window - width)
    start = np.where(below, lowest - gap * slant, highest + gap * slant)
    a, width, end = (np.broadcast_to(each, start.shape) for each in (a, width, start + steep * width))
    left = np.broadcast_to(below == (steep <= 0), start.shape)
    corner = np.where(left, a, a + width), np.where(left, end, start)
    corners = np.stack([np.stack(each, axis=-1) for each in ((a, start), (a + width, end), corner)], axis=-2)
    cost = (gap + 15 * np.abs(np.log(width / wanted)) + np.where(below, 0, 4) + 4 * (1 - place)).ravel()
    order = np.argsort(cost, kind="stable")
    shapes, sides, cost = corners.reshape(-1, 3, 2)[order], left.ravel()[order], cost[order]
    centre = (shapes[:, 2, 0] + np.where(sides, -1, 1) * (LABEL_GAP + text[0] / 2), shapes[:, :2, 1].mean(axis=1))
    boxes = np.column_stack([*centre, np.broadcast_to(text, (len(shapes), 2))])
    return _Candidates(shapes, boxes, sides, cost)


def _touching(x: np.ndarray, y: np.ndarray, steep: float, start: float, width: float) -> tuple[float, float]:
    """Heights at `start` of the lines of a slope that touch a curve from below and above, between `start` and `start + width`."""
    under = np.array([start, start + width, *x[(x > start) & (x < start + width)]])
    offset = np.interp(under, x, y) - steep * (under - start)
    return float(offset.min()), float(offset.max())


def _cheapest(panel: Panel, candidates: _Candidates, dots: Dots) -> int | None:
    """The free candidate of least cost, less its clearance as far as that matters."""
    size = np.array([panel.width, panel.height])
    low = np.minimum(candidates.corners.min(axis=1), candidates.boxes[:, :2] - candidates.boxes[:, 2:] / 2)
    high = np.maximum(candidates.corners.max(axis=1), candidates.boxes[:, :2] + candidates.boxes[:, 2:] / 2)
    inside: Int[np.ndarray, " inside"] = np.flatnonzero(((low >= _ROOM) & (high <= size - _ROOM)).all(axis=1))
    for part in np.split(inside, range(_AT_ONCE, len(inside), _AT_ONCE)):
        part = part[_room(candidates, part, dots[::_FEW]) >= _ROOM]  # a few dots rule out most candidates
        room = _room(candidates, part, dots)
        free = room >= _ROOM
        if free.any():
            return int(part[np.argmin(np.where(free, candidates.cost[part] - np.minimum(room, _ENOUGH), np.inf))])
    return None


def _room(candidates: _Candidates, part: Int[np.ndarray, " some"], dots: Dots) -> Float[np.ndarray, " some"]:
    """Distance of some candidates to the nearest dot, points; infinite without dots."""
    if not len(dots) or not len(part):
        return np.full(len(part), np.inf)
    away = np.minimum(_from_triangles(candidates.corners[part], dots), _from_boxes(candidates.boxes[part], dots))
    return (away - dots[:, 2]).min(axis=1)


def _from_triangles(corners: Float[np.ndarray, "shapes 3 2"], dots: Dots) -> Float[np.ndarray, "shapes dots"]:
    """Distance of each dot's centre from each triangle; 0 inside."""
    squared, sides = np.full((len(corners), len(dots)), np.inf), []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        ex, ey = (corners[:, b] - corners[:, a]).T[..., None]
        tx, ty = dots[:, :2].T[:, None] - corners[:, a].T[..., None]
        along = np.clip((tx * ex + ty * ey) / np.maximum(ex**2 + ey**2, 1e-12), 0, 1)
        squared = np.minimum(squared, (tx - along * ex) ** 2 + (ty - along * ey) ** 2)
        sides.append(ex * ty - ey * tx)
    inside = (np.min(sides, axis=0) > 0) | (np.max(sides, axis=0) < 0)
    return np.where(inside, 0.0, np.sqrt(squared))


def _from_boxes(boxes: Float[np.ndarray, "shapes 4"], dots: Dots) -> Float[np.ndarray, "shapes dots"]:
    """Distance of each dot's centre from each box; 0 inside."""
    across, up = (np.maximum(np.abs(dots[None, :, k] - boxes[:, None, k]) - boxes[:, None, 2 + k] / 2, 0) for k in (0, 1))
    return np.sqrt(across**2 + up**2)


def _line(a: Float[np.ndarray, "2"], b: Float[np.ndarray, "2"]) -> Dots:
    """Dots from a to b."""
    steps = np.linspace(0, 1, 2 + int(np.hypot(*(b - a)) / _SPACING))[:, None]
    return np.column_stack([a + steps * (b - a), np.zeros(len(steps))])


def _filled(corner: Float[np.ndarray, "2"], u: Float[np.ndarray, "2"], v: Float[np.ndarray, "2"], sum_at_most: float) -> Dots:
    """Dots all over the triangle (``sum_at_most`` 1) or parallelogram (2) at a corner with sides u and v."""
    s, t = np.meshgrid(*(np.linspace(0, 1, 2 + int(np.hypot(*side) / _SPACING)) for side in (u, v)))
    kept = s + t <= sum_at_most + 1e-9
    return np.column_stack([corner + np.outer(s[kept], u) + np.outer(t[kept], v), np.zeros(kept.sum())])
