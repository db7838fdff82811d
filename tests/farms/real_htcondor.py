"""A real HTCondor pool on the loopback interface: one machine that submits, negotiates and runs.

What to use when
----------------
- `find_htcondor`: where HTCondor is installed, or why it cannot be used.
- `HTCondorPool`: started and stopped as a context manager; `environment` lets any command find it.

`TOWNSEND_HTCONDOR` names a folder that holds `usr/sbin/condor_master` (a package unpacked there); else the programs of
the machine are taken.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from plain_user import as_plain_user, output_of, pids

__all__ = ["HTCondorPool", "find_htcondor"]

_READY_S = 60.0
_QUICK = ("SCHEDD_MIN_INTERVAL", "NEGOTIATOR_INTERVAL", "NEGOTIATOR_CYCLE_DELAY", "NEGOTIATOR_MIN_INTERVAL")
_SOON = (
    "SCHEDD_INTERVAL",
    "STARTER_UPDATE_INTERVAL",
    "STARTER_INITIAL_UPDATE_INTERVAL",
    "SHADOW_QUEUE_UPDATE_INTERVAL",
    "PERIODIC_EXPR_INTERVAL",
    "UPDATE_INTERVAL",
    "POLLING_INTERVAL",
    "MASTER_BACKOFF_CONSTANT",
    "PID_SNAPSHOT_INTERVAL",
)
_FOLDERS = ("log", "run", "lock", "spool", "execute", "tokens.d", "passwords.d", "empty")
_PRIVATE = ("tokens.d", "passwords.d")


def find_htcondor() -> Path | None:
    """Return the folder whose `usr` is HTCondor's release folder; None where there is none."""
    named = os.environ.get("TOWNSEND_HTCONDOR")
    places = [Path(named)] if named else [Path("/")]
    return next((place for place in places if (place / "usr/sbin/condor_master").exists()), None)


class HTCondorPool:
    """A pool of one partitionable slot.

    Arguments:
        folder: for everything the pool writes.
        cpus, memory_mb: of the slot, as declared; more than there are is allowed.
    """

    def __init__(self, folder: Path, *, cpus: int = 4, memory_mb: int = 8192) -> None:
        release = find_htcondor()
        assert release is not None
        self._usr, self._folder = release / "usr", folder
        self._cpus, self._memory_mb = cpus, memory_mb
        self._master: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables by which commands find the pool."""
        path = os.pathsep.join([str(self._usr / "bin"), str(self._usr / "sbin"), os.environ["PATH"]])
        return {**os.environ, "CONDOR_CONFIG": str(self._folder / "condor_config"), "PATH": path}

    def __enter__(self) -> HTCondorPool:
        self._configure()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start all daemons and wait until the slot is there."""
        with (self._folder / "master.out").open("ab") as out:
            self._master = subprocess.Popen(
                [*as_plain_user(), str(self._usr / "sbin/condor_master"), "-f"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + _READY_S
        while "slot1" not in self.run("condor_status", "-af", "Name", check=False):
            if time.monotonic() > deadline or self._master.poll() is not None:
                self.stop()
                logs = "\n".join(
                    (self._folder / "log" / name).read_text()[-3000:] for name in ("MasterLog", "StartLog")
                )
                msg = f"the pool was not ready within {_READY_S:g} s\n{logs}"
                raise RuntimeError(msg)
            time.sleep(0.3)

    def stop(self) -> None:
        """Stop all daemons, quickly: SIGTERM would wait for jobs whose machine is gone."""
        if self._master is None:
            return
        self._master.send_signal(signal.SIGQUIT)
        try:
            self._master.wait(20)
        except subprocess.TimeoutExpired:
            self._master.kill()
            self._master.wait()
        self._master = None
        for pid in self.pids("condor_"):
            os.kill(pid, signal.SIGKILL)

    def run(self, *command: str, check: bool = True) -> str:
        """Return what a command prints."""
        return output_of(*command, environment=self.environment, check=check)

    def pids(self, name: str) -> list[int]:
        """Return the numbers of this pool's processes whose program's name begins with `name`."""
        return pids(f"CONDOR_CONFIG={self._folder / 'condor_config'}", name)

    def _configure(self) -> None:
        for name in _FOLDERS:
            folder = self._folder / name
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700 if name in _PRIVATE else 0o755)
        key = self._folder / "passwords.d" / "POOL"
        key.touch(0o600)
        key.write_text(secrets.token_urlsafe(32))
        settings = {
            "RELEASE_DIR": self._usr,
            "LOCAL_DIR": self._folder,
            "BIN": "$(RELEASE_DIR)/bin",
            "SBIN": "$(RELEASE_DIR)/sbin",
            "LIB": "$(RELEASE_DIR)/lib/condor",
            "LIBEXEC": "$(RELEASE_DIR)/libexec/condor",
            "SHARE": "$(RELEASE_DIR)/share/condor",
            "ETC": "$(LOCAL_DIR)/empty",
            "LOG": "$(LOCAL_DIR)/log",
            "RUN": "$(LOCAL_DIR)/run",
            "LOCK": "$(LOCAL_DIR)/lock",
            "SPOOL": "$(LOCAL_DIR)/spool",
            "EXECUTE": "$(LOCAL_DIR)/execute",
            "LOCAL_CONFIG_FILE": "",
            "LOCAL_CONFIG_DIR": "",
            "CONDOR_HOST": "127.0.0.1",
            "NETWORK_INTERFACE": "127.0.0.1",
            "COLLECTOR_HOST": f"127.0.0.1:{(port := _free_port())}",
            "USE_SHARED_PORT": True,
            "SHARED_PORT_PORT": port,
            "COLLECTOR_USES_SHARED_PORT": True,
            "DAEMON_SOCKET_DIR": "auto",
            "ENABLE_IPV6": False,
            "FULL_HOSTNAME": "localhost",
            "UID_DOMAIN": "test.pool",
            "FILESYSTEM_DOMAIN": "test.pool",
            "TRUST_UID_DOMAIN": True,
            "NO_DNS": True,
            "DEFAULT_DOMAIN_NAME": "test.pool",
            "DAEMON_LIST": "MASTER COLLECTOR NEGOTIATOR SCHEDD STARTD",
            "SEC_PASSWORD_DIRECTORY": "$(LOCAL_DIR)/passwords.d",
            "SEC_TOKEN_SYSTEM_DIRECTORY": "$(LOCAL_DIR)/tokens.d",
            "SEC_TOKEN_DIRECTORY": "$(LOCAL_DIR)/tokens.d",
            "SEC_TOKEN_POOL_SIGNING_KEY_FILE": "$(LOCAL_DIR)/passwords.d/POOL",
            "TRUST_DOMAIN": "test.pool",
            "SEC_DEFAULT_AUTHENTICATION": "REQUIRED",
            "SEC_DEFAULT_AUTHENTICATION_METHODS": "FS, IDTOKENS",
            **{
                f"ALLOW_{what}": "*"
                for what in (
                    "READ",
                    "WRITE",
                    "DAEMON",
                    "ADMINISTRATOR",
                    "NEGOTIATOR",
                    "ADVERTISE_MASTER",
                    "ADVERTISE_SCHEDD",
                    "ADVERTISE_STARTD",
                )
            },
            "NUM_CPUS": self._cpus,
            "MEMORY": self._memory_mb,
            "SLOT_TYPE_1": "100%",
            "SLOT_TYPE_1_PARTITIONABLE": True,
            "NUM_SLOTS_TYPE_1": 1,
            "MODIFY_REQUEST_EXPR_REQUESTMEMORY": "quantize(RequestMemory, {16})",
            "START": True,
            "SUSPEND": False,
            "PREEMPT": False,
            "KILL": False,
            "RANK": 0,
            "MachineMaxVacateTime": 8,
            **dict.fromkeys(_QUICK, 1),
            **dict.fromkeys(_SOON, 2),
            "MAX_PERIODIC_EXPR_INTERVAL": 5,
            "RUNBENCHMARKS": 0,
            "JOB_START_COUNT": 50,
            "JOB_START_DELAY": 0,
            "CLASSAD_LIFETIME": 60,
            "PREEN": "",
            "USE_PROCD": True,
            "STARTD_ENFORCE_DISK_LIMITS": False,
            "DISCARD_SESSION_KEYRING_ON_STARTUP": False,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        lines.append("use POLICY : HOLD_IF_MEMORY_EXCEEDED")
        (self._folder / "condor_config").write_text("\n".join(lines) + "\n")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
