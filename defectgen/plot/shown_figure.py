"""A figure that notebooks show without pyplot."""

from io import BytesIO

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A matplotlib figure with a PNG representation, which notebooks show whatever backend is in use."""

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.savefig(content, format="png", dpi=90)
        return content.getvalue()
