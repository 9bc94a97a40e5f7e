"""Plot: how figures and numbers look - marks, logarithmic axes, slope triangles, typeset numbers."""
