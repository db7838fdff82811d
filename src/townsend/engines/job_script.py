"""The script that a batch system runs: it finds a work unit by its name and starts a worker for it.

What to use when
----------------
- `write_job_script`: write `job.sh` into the folder of the jobs, and beside it what every job needs besides.

Its only argument is the name of a job, or of a Slurm batch whose number in the array completes it. Nothing of the
submitting process's environment is in it but what decides results: the backend of Keras, JAX's platforms and XLA's
flags, and where Python looks for modules.
"""

from __future__ import annotations

import os
import shlex
import shutil
import site as python_site
import sys
from collections.abc import Sequence
from pathlib import Path

from townsend.engines.environment import pack_environment, unpack_lines
from townsend.engines.local import thread_environment
from townsend.engines.site import Site
from townsend.files import atomic_path, sha256_of

__all__ = ["RETURNED", "SCRATCH", "SCRIPT", "write_job_script"]

SCRIPT = "job.sh"
SCRATCH = "TOWNSEND_SCRATCH"
"""Variable that names the job's scratch folder."""
RETURNED = ".back.tar"
"""Ending of the name of what a job sends back that does not see the run's folder."""

_TEXT = """\
#!/bin/sh
# Runs one work unit on whatever machine the batch system has chosen. Written by townsend, and again each time.
set -eu
stem="$1{number}"
scratch="$(mktemp -d "${{_CONDOR_SCRATCH_DIR:-${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}}}/townsend.XXXXXX")"
# Whatever a library keeps, it keeps in scratch: some of it would be unpickled by the next one.
export {scratch}="$scratch" HOME="$scratch" TMPDIR="$scratch" XDG_CACHE_HOME="$scratch" XDG_CONFIG_HOME="$scratch"
export KERAS_HOME="$scratch" MPLCONFIGDIR="$scratch" NUMBA_CACHE_DIR="$scratch"
export PYTHONDONTWRITEBYTECODE=1
{exports}
python={python}
{unpack}
exec "$python" {flags} -m townsend.worker "$stem.json" --remove "$scratch" {options}
"""
# HTCondor's pilots may themselves be a Slurm array: only Slurm's own jobs look at their number in one.
_NUMBER = {"slurm": "-$SLURM_ARRAY_TASK_ID", "htcondor": ""}
_LEAVING_S = 300.0
_KEPT = ("JAX_PLATFORMS",)


def write_job_script(jobs: Path, site: Site, build: Path | None = None) -> list[str]:
    """Write the script, and what travels with every job; return the names of these files in `jobs`.

    Arguments:
        jobs: folder of the jobs.
        site: where they run.
        build: the user's file that builds networks.

    Raises InputError when the environment cannot be packed.
    """
    travelling, options = [], []
    if build is not None and not site.shared_files:
        travelling.append(f"build-{sha256_of([build])[:16]}.py")
        with atomic_path(jobs / travelling[-1]) as copy:
            shutil.copyfile(build, copy)
        options += ["--build", travelling[-1]]
    elif build is not None:
        options += ["--build", str(build)]
    if not site.shared_files:
        options.append("--travelled")
    options += ["--seconds", str(_seconds(site.max_hours))]
    packed = pack_environment(jobs, site.packages).name if site.environment == "packed" else None
    if packed is not None:
        travelling.append(packed)
    _write(jobs, site, options, packed)
    return travelling


def _write(jobs: Path, site: Site, options: Sequence[str], packed: str | None) -> None:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    modules = {} if packed else _places_of_modules()
    variables = {**kept, **modules, **thread_environment(site.request_cpus)}
    here = f"python{sys.version_info[0]}.{sys.version_info[1]}" if packed else sys.executable
    text = _TEXT.format(
        number=_NUMBER[site.engine],
        scratch=SCRATCH,
        exports="\n".join(f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())),
        python=shlex.quote(site.python or here),
        unpack=unpack_lines(packed) if packed else "",
        flags="-S -P" if packed else "-P",
        options=shlex.join(options),
    )
    with atomic_path(jobs / SCRIPT) as path:
        path.write_bytes(os.fsencode(text))  # a folder's name need not be UTF-8
        path.chmod(0o755)


def _seconds(hours: float) -> int:
    """Return after how many seconds a job ends itself, in time to leave a checkpoint and send it back."""
    limit_s = 3600 * hours
    return max(1, round(limit_s - min(_LEAVING_S, 0.1 * limit_s)))


def _places_of_modules() -> dict[str, str]:
    """Return where this process finds its modules, as seen from any folder and with any home."""
    folders = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    path = {"PYTHONPATH": os.pathsep.join(os.path.abspath(folder) for folder in folders)} if folders else {}  # noqa: PTH100
    own = {"PYTHONUSERBASE": python_site.getuserbase()} if python_site.ENABLE_USER_SITE else {"PYTHONNOUSERSITE": "1"}
    return path | own
