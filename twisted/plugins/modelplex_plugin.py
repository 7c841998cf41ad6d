"""Lets ``twistd`` offer the ``modelplex`` command; imports nothing else of ours."""

from twisted.application.service import ServiceMaker

modelplex = ServiceMaker(
    "Modelplex",
    "modelplex.tap",
    "Every model and tool of the host, served to isolated agents on a Unix socket.",
    "modelplex",
)
