"""Every model and tool of the host, served to an isolated agent on one socket."""

from __future__ import annotations

__version__ = "0.1.0"
