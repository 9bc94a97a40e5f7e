"""The documentation site (`make docs`): MyST Markdown and docstrings, the theme furo, no network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import defectgen  # noqa: E402

project = "defectgen"
author = "The defectgen developers"
copyright = author
version = release = defectgen.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "theory_links", "generated"]
exclude_patterns = ["_ext"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
suppress_warnings = [
    "myst.header",  # a page that is included begins with a heading of its own
    "ref.python",  # a word in the type of a parameter that several classes have as an attribute
]
default_role = "code"
nitpicky = False  # types in docstrings are words

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings give types with shapes and units
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = True
napoleon_preprocess_types = False

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"defectgen {version}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
pygments_style = "default"
pygments_dark_style = "github-dark"
