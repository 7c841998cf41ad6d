"""``modelplex demo`` as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys


def test_the_demo_shows_every_scene() -> None:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        [sys.executable, "-m", "modelplex.cli.main", "demo"],
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for said in (
        "model │ You said: Hello from isolation!",
        "tool │ README.rst has 2 words in its name",
        "sees the tools notes__read_note (",
        "model │ The tool said: bread, tea, a new Unix socket",
        "header │ modelplex-provider: demo",
        "error │ 404 model_not_found",
        "error │ 403 forbidden_by_policy",
    ):
        assert said in done.stdout, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
