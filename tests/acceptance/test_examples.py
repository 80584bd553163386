"""The examples run against a real server and do what they say."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.acceptance.machine import ROOT, Machine
from tests.conftest import missing


@pytest.mark.timeout(240)
def test_curl_alone_gets_an_answer_that_a_plain_torch_loop_trains_with(here: Machine) -> None:
    if shutil.which("curl") is None:
        missing("curl is not installed")
    up = here.up()
    environment = os.environ | {"LEHR_SERVER": here.url}
    script = ["sh", str(ROOT / "examples" / "curl.sh")]
    answer = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=150, check=True).stdout
    assert json.loads(answer)["confirmation"]["seeds"] == 3
    assert len(json.loads(answer)["lr"]["step"]) == 5

    (here.folder / "best.json").write_text(answer)
    program = [sys.executable, str(ROOT / "examples" / "use_best_schedule.py"), str(here.folder / "best.json")]
    trained = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert float(trained.rsplit(" ", 1)[1]) > 0.9, "ten classes: chance is 0.1"

    up.send_signal(signal.SIGTERM)
    assert here.end(up, 30) == 0
