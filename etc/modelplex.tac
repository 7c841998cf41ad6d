"""Run with ``twistd -ny etc/modelplex.tac``; CONFIG_FILE and SOCKET_PATH say what."""
from __future__ import annotations

from twisted.application.service import Application

from modelplex.tap import Options, makeService

options = Options()
options.parseOptions([])
application = Application("modelplex")
makeService(options).setServiceParent(application)
