"""How Sphinx builds these pages: ``make docs``."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "Modelplex"
author = "Modelplex contributors"
copyright = "2026, Modelplex contributors"
release = version_of("modelplex")
version = release

exclude_patterns = ["_build"]
nitpicky = True
html_theme = "alabaster"
html_theme_options = {
    "description": "Every model of the host, for an agent without a network.",
    "fixed_sidebar": True,
}
html_show_sourcelink = False
