"""Child processes and the data folder, with small programs in place of server and workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lehr.cli.commands import modules
from lehr.cli.commands.demo import DemoFolderError, make_anew
from lehr.cli.local.data_folder import DataFolder, DataFolderError
from lehr.cli.local.process import Child, NotInstalledError, require
from lehr.cli.local.supervisor import Plan, PortTakenError, ServerEndedError, Supervisor, WorkerRefusedError

SERVICE = """
import http.server, pathlib, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *arguments): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Ready)
pathlib.Path(sys.argv[sys.argv.index("--port-file") + 1]).write_text(str(server.server_port))
print("serving", flush=True)
server.serve_forever()
"""
WORKERS = """
import pathlib, sys, time
print("working", *sys.argv[1:], flush=True)
time.sleep(60)
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a `service` and `workers` of its own, which children find before the real ones."""
    for name, program in (("service", SERVICE), ("workers", WORKERS)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "__main__.py").write_text(program)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that its adoptive parent has not reaped yet is dead all the same.
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_second_up_on_the_same_folder_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "data"), pytest.raises(DataFolderError, match=str(os.getpid())):
        DataFolder(tmp_path / "data").__enter__()


def test_a_folder_is_free_again_after_its_use(tmp_path: Path) -> None:
    for _ in range(2):
        with DataFolder(tmp_path / "data") as folder:
            assert folder.checkpoints.is_dir()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(DataFolderError, match="cannot be used"):
        DataFolder(tmp_path / "data").__enter__()


def test_the_demo_never_deletes_what_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DemoFolderError, match="another --data"):
        make_anew(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_the_demo_makes_its_own_folder_anew(tmp_path: Path) -> None:
    make_anew(tmp_path / "demo")
    (tmp_path / "demo" / "old").touch()
    make_anew(tmp_path / "demo")
    assert not (tmp_path / "demo" / "old").exists()


def test_a_fleet_starts_tells_who_runs_and_ends(checkout: Path) -> None:
    with DataFolder(checkout / "data") as folder:
        fleet = Supervisor(folder, Plan("127.0.0.1", 0, workers=2), print)
        fleet.start()
        fleet.tick()
        children = [seat.child for seat in fleet._slots] + [fleet._server]
        pids = [child.pid for child in children if child and child.pid]
        assert len(pids) == 3
        assert all(os.getpgid(pid) == pid for pid in pids), "each has a process group of its own"
        until(lambda: "--server" in (folder.logs / "worker-0.log").read_text())
        fleet.stop()
        assert not any(is_alive(pid) for pid in pids)


def test_a_lost_worker_is_started_again_after_a_pause(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lehr.cli.local.supervisor.FIRST_PAUSE_SECONDS", 0.1)
    said: list[str] = []
    with DataFolder(checkout / "data") as folder:
        fleet = Supervisor(folder, Plan("127.0.0.1", 0, workers=1), said.append)
        try:
            fleet.start()
            child = fleet._slots[0].child
            first = child.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            until(lambda: (fleet.tick(), child.is_running and child.pid != first)[1])
        finally:
            fleet.stop()
    assert "signal 9" in said[0]


def test_workers_save_and_look_in_the_data_folder_unless_the_operator_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LEHR_CHECKPOINTS", "LEHR_DATA_DIR", "LEHR_CALIBRATION"):
        monkeypatch.delenv(variable, raising=False)
    root = tmp_path / "elsewhere"
    fleet = Supervisor(DataFolder(root), Plan("127.0.0.1", 0, workers=1), print)
    places = [f"--checkpoints {root}/checkpoints", f"--data-dir {root}/datasets", f"--calibration {root}/calibration"]
    assert " ".join(fleet._places()) == " ".join(places)
    monkeypatch.setenv("LEHR_CHECKPOINTS", "s3://bucket/lehr")
    monkeypatch.setenv("LEHR_DATA_DIR", "/mnt/data")
    assert " ".join(fleet._places()) == places[2], "what the workers' own variables say holds"


@pytest.mark.parametrize(
    ("gpus", "workers", "device", "flags"),
    [
        (0, 4, "auto", []),
        (2, 2, "auto", []),
        (1, 3, "auto", ["--gpu-memory-share", "0.300"]),
        (2, 3, "auto", ["--gpu-memory-share", "0.450"]),
        (1, 3, "cpu", []),
    ],
)
def test_workers_that_share_a_gpu_share_its_memory(
    gpus: int, workers: int, device: str, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lehr.cli.local.supervisor.gpu_count", lambda: gpus)
    monkeypatch.delenv("LEHR_GPU_MEMORY_SHARE", raising=False)
    fleet = Supervisor(DataFolder(tmp_path / "data"), Plan("127.0.0.1", 0, workers=workers, device=device), print)
    assert fleet._share() == flags
    monkeypatch.setenv("LEHR_GPU_MEMORY_SHARE", "0.2")
    assert fleet._share() == []


def test_a_worker_that_refuses_its_settings_is_not_started_again(checkout: Path) -> None:
    (checkout / "workers" / "__main__.py").write_text("import sys; print('no such device'); sys.exit(2)")
    with DataFolder(checkout / "data") as folder:
        fleet = Supervisor(folder, Plan("127.0.0.1", 0, workers=1), print)
        try:
            fleet.start()
            until(lambda: not fleet._slots[0].child.is_running)
            with pytest.raises(WorkerRefusedError, match="no such device"):
                fleet.tick()
        finally:
            fleet.stop()


def test_a_server_that_does_not_start_is_told_with_its_last_lines(checkout: Path) -> None:
    (checkout / "service" / "__main__.py").write_text("import sys; print('the disk is full'); sys.exit(1)")
    with DataFolder(checkout / "data") as folder:
        fleet = Supervisor(folder, Plan("127.0.0.1", 0, workers=0), print)
        with pytest.raises(ServerEndedError, match=r"(?s)exit code 1.*the disk is full"):
            fleet.start()
        fleet.stop()


def test_a_taken_port_is_told(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr("lehr.cli.local.supervisor.PORT_SECONDS", 0.1)
    with socket.socket() as holder, DataFolder(checkout / "data") as folder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        plan = Plan("127.0.0.1", holder.getsockname()[1], workers=0)
        with pytest.raises(PortTakenError, match="another --port"):
            Supervisor(folder, plan, print).start()


def test_a_child_ends_when_its_parent_is_killed(checkout: Path) -> None:
    log = checkout / "child.log"
    parent = (
        "import pathlib, sys, time; from lehr.cli.local.process import Child; "
        f"child = Child('w', ['workers'], log=pathlib.Path({str(log)!r})); child.start(); "
        "print(child.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        pid = int(process.stdout.readline())
        until(lambda: "working" in log.read_text())
        process.kill()
        process.wait()
    until(lambda: not is_alive(pid))


def test_a_child_that_does_not_end_in_time_is_killed(checkout: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    )
    (checkout / "workers" / "__main__.py").write_text(stubborn)
    child = Child("w", ["workers"], log=checkout / "log")
    child.start()
    until(lambda: "on" in child.tail())
    child.signal(signal.SIGTERM)
    child.end(0.2)
    assert child.exit_code == -signal.SIGKILL


def test_a_childs_last_lines_are_none_of_those_before_it_was_started(checkout: Path) -> None:
    (checkout / "log").write_text("of another day\n")
    (checkout / "workers" / "__main__.py").write_text("print('fresh')")
    child = Child("w", ["workers"], log=checkout / "log")
    for _ in range(2):
        child.start()
        until(lambda: child.exit_code == 0)
        assert child.tail() == "fresh"


@pytest.mark.parametrize(("program", "extra"), [("service", "server"), ("workers", "worker")])
def test_without_its_packages_the_message_says_which_extra_to_install(
    program: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {program: object()}
    monkeypatch.setattr("lehr.cli.local.process.importlib.util.find_spec", found.get)
    with pytest.raises(NotInstalledError, match=re.escape(f"pip install 'lehr[{extra}]', or 'lehr[all]'")):
        require(program)


def test_without_the_programs_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lehr.cli.local.process.importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotInstalledError, match="does not contain the program 'service'"):
        require("service")


def test_serve_worker_and_migrate_become_their_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.cli.conftest import lehr

    became: list[list[str]] = []
    monkeypatch.setattr(modules, "become", lambda module, arguments: became.append([module, *arguments]))
    lehr("serve", "--database", "sqlite:///x", "--port", "0", "--migrate", "--allowed-hosts", "lehr.example")
    lehr("worker", "--device", "cuda:1", "--max-trials", "4")
    lehr("migrate")
    assert became == [
        [
            "service",
            "serve",
            "--database",
            "sqlite:///x",
            "--port",
            "0",
            "--allowed-hosts",
            "lehr.example",
            "--migrate",
        ],
        ["workers", "--device", "cuda:1", "--max-trials", "4"],
        ["service", "migrate"],
    ]
