"""A real Slurm cluster on the loopback interface: one controller and one node, without accounting.

What to use when
----------------
- `find_slurm`: whether Slurm and munge are installed.
- `SlurmCluster`: started and stopped as a context manager; `environment` lets any command find it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from plain_user import as_plain_user, output_of, pids, plain_user

__all__ = ["SlurmCluster", "find_slurm"]

_READY_S = 60.0
_SBIN = "/usr/sbin:/sbin"
_DAEMONS = ("slurmctld", "slurmd", "munged")


def find_slurm() -> bool:
    """Return whether this machine can be a cluster."""
    path = f"{os.environ['PATH']}:{_SBIN}"
    return all(shutil.which(name, path=path) for name in (*_DAEMONS, "sbatch"))


class SlurmCluster:
    """A cluster of one node.

    Arguments:
        folder: for everything the cluster writes.
        cpus, memory_mb: of the node, as declared; more than there are is allowed.
    """

    def __init__(self, folder: Path, *, cpus: int = 4, memory_mb: int = 8192) -> None:
        self._folder = folder
        self._cpus, self._memory_mb = cpus, memory_mb
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._host = socket.gethostname().partition(".")[0]

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables by which commands find the cluster."""
        return {**os.environ, "SLURM_CONF": str(self._folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:{_SBIN}"}

    def __enter__(self) -> SlurmCluster:
        self._configure()
        munge = self._folder / "munge"
        places = (f"--key-file={munge / 'key'}", f"--log-file={munge / 'log'}", f"--pid-file={munge / 'pid'}")
        self._start("munged", "-F", "-S", str(munge / "socket"), *places, f"--seed-file={munge / 'seed'}", "--force")
        self._wait_for(lambda: (munge / "socket").exists())
        self._start("slurmctld", "-D")
        self.start_node()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in self.pids("slurmstepd"):
            os.kill(pid, signal.SIGKILL)
        for name in reversed(self._daemons):
            self.kill(name)

    def start_node(self) -> None:
        """Start the node's daemon and wait until it takes jobs."""
        self._start("slurmd", "-D", "-N", self._host)
        self._wait_for(
            lambda: self.run("sinfo", "-h", "-o", "%T", check=False).strip() in ("idle", "mixed", "allocated")
        )

    def wait_until_down(self) -> None:
        """Wait until the controller has given the node up."""
        self._wait_for(lambda: "down" in self.run("sinfo", "-h", "-o", "%T", check=False))

    def kill(self, name: str) -> None:
        """Kill a daemon."""
        daemon = self._daemons[name]
        for pid in self.pids(name):
            os.kill(pid, signal.SIGKILL)
        daemon.kill()
        daemon.wait()

    def run(self, *command: str, check: bool = True) -> str:
        """Return what a command prints."""
        return output_of(*command, environment=self.environment, check=check)

    def pids(self, name: str) -> list[int]:
        """Return the numbers of this cluster's processes whose program's name begins with `name`."""
        return pids(f"SLURM_CONF={self._folder / 'slurm.conf'}", name)

    def _start(self, name: str, *options: str) -> None:
        with (self._folder / "log" / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                [*as_plain_user(), name, *options],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _wait_for(self, condition: object) -> None:
        assert callable(condition)
        deadline = time.monotonic() + _READY_S
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(path.read_text()[-3000:] for path in sorted((self._folder / "log").iterdir()))
                msg = f"the cluster was not ready within {_READY_S:g} s\n{logs}"
                raise RuntimeError(msg)
            time.sleep(0.3)

    def _configure(self) -> None:
        for name in ("munge", "state", "spool", "log", "run"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "munge").chmod(0o700)
        key = self._folder / "munge" / "key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        controller, node = _free_ports(2)
        folder, user = self._folder, plain_user().pw_name
        settings = {
            "ClusterName": "test",
            "SlurmctldHost": f"{self._host}(127.0.0.1)",
            "SlurmctldPort": controller,
            "SlurmdPort": node,
            "AuthType": "auth/munge",
            "AuthInfo": f"socket={folder / 'munge' / 'socket'}",
            "CryptoType": "crypto/munge",
            "SlurmUser": user,
            "SlurmdUser": user,
            "StateSaveLocation": folder / "state",
            "SlurmdSpoolDir": folder / "spool",
            "SlurmctldPidFile": folder / "run" / "slurmctld.pid",
            "SlurmdPidFile": folder / "run" / "slurmd.pid",
            "SlurmctldLogFile": folder / "log" / "slurmctld.log",
            "SlurmdLogFile": folder / "log" / "slurmd.log",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "SwitchType": "switch/none",
            "MpiDefault": "none",
            "ReturnToService": 2,
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "SchedulerType": "sched/backfill",
            "SchedulerParameters": "sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0,"
            "default_queue_depth=1000",
            "JobAcctGatherType": "jobacct_gather/linux",
            "JobAcctGatherFrequency": "task=2",
            "JobAcctGatherParams": "OverMemoryKill",
            "AccountingStorageType": "accounting_storage/none",
            "KillWait": 5,
            "MinJobAge": 60,
            "SlurmctldTimeout": 30,
            "SlurmdTimeout": 10,
            "InactiveLimit": 0,
            "OverTimeLimit": 0,
            "DefMemPerCPU": 200,
            "MaxArraySize": 10001,
            "MaxJobCount": 20000,
            "SlurmdParameters": "config_overrides",
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        processors = f"CPUs={self._cpus} Boards=1 SocketsPerBoard=1 CoresPerSocket={self._cpus} ThreadsPerCore=1"
        lines.append(
            f"NodeName={self._host} NodeAddr=127.0.0.1 {processors} RealMemory={self._memory_mb} State=UNKNOWN"
        )
        lines.append(f"PartitionName=main Nodes={self._host} Default=YES MaxTime=INFINITE State=UP")
        (folder / "slurm.conf").write_text("\n".join(lines) + "\n")


def _free_ports(number: int) -> list[int]:
    listeners = [socket.socket() for _ in range(number)]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
