"""The script of a job, run by a real shell with names that nobody should choose, and what it tells of who wrote it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.config import parse
from townsend.engines import job_script
from townsend.engines.job_script import SCRATCH, SCRIPT, _seconds, write_job_script
from townsend.engines.site import Site

HOSTILE = [
    "plain",
    "with space",
    "it's",
    'said "so"',
    "two\nlines",
    "ends\n",
    "$HOME ${PATH}",
    "$(touch taken) `touch taken`",
    "a; touch taken #",
    "& touch taken |",
    "back\\slash\\n",
    "{braces} {0} %s",
    "* ? [a-z] ~",
    "-n --help",
    "tab\tand \x1b[2J",
    "Rohr-ü-管",
    os.fsdecode(b"latin-\xfc"),
]
CACHES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "KERAS_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")
PLACES = (SCRATCH, "HOME", "TMPDIR", *CACHES)
PYTHON = sys.executable
HTCONDOR, SLURM = parse(Site, {"engine": "htcondor"}), parse(Site, {"engine": "slurm"})

# Tells its words and its environment; -I: whatever PYTHONPATH is.
STUB = f"""\
#!/bin/sh
exec {shlex.quote(sys.executable)} -I -c '
import json, os, sys
sys.stdout.write(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]))
sys.exit(7)
' "$@"
"""


@dataclass(frozen=True)
class Seen:
    """What the script has started."""

    words: list[str]
    environment: Mapping[str, str]
    folder: str


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "XLA_FLAGS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """Folder of the jobs, in a run with a name of its own."""
    folder = tmp_path / "my 'run'" / "jobs"
    folder.mkdir(parents=True)
    return folder


def stub(folder: Path) -> str:
    """A program in place of Python."""
    folder.mkdir(parents=True)
    path = folder / "python"
    path.write_text(STUB)
    path.chmod(0o755)
    return str(path)


def unit_of(found: Seen) -> str:
    """The unit that the worker is to do."""
    return found.words[found.words.index("townsend.worker") + 1]


def started(script: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script as a batch system does: in its folder, with little in the environment."""
    plain = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TMPDIR": str(script.parent)}
    command = ["sh", SCRIPT, *words]
    return subprocess.run(command, cwd=script.parent, env=plain | environment, capture_output=True, check=False)


def seen(script: Path, *words: str, **environment: str) -> Seen:
    ended = started(script, *words, **environment)
    assert (ended.returncode, ended.stderr) == (7, b""), "the worker's status is the job's"
    return Seen(*json.loads(ended.stdout))


def option(found: Seen, name: str) -> str:
    """The word behind an option of the worker."""
    return found.words[found.words.index(name) + 1]


def written(jobs: Path, site: Site, build: Path | None = None) -> Path:
    """The script of jobs with which nothing travels."""
    assert write_job_script(jobs, site, build) == []
    return jobs / SCRIPT


def script_for(
    jobs: Path, monkeypatch: pytest.MonkeyPatch, site: Site = HTCONDOR, build: Path | None = None, name: str = "bin"
) -> Path:
    """A script whose interpreter is a stub in a folder of this name."""
    monkeypatch.setattr(sys, "executable", stub(jobs.parent.parent / name))
    return written(jobs, site, build)


# ---- whatever the names


@pytest.mark.parametrize("text", HOSTILE)
def test_words_and_values_arrive_as_they_are(jobs: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "JAX_PLATFORMS", "KERAS_BACKEND", "XLA_FLAGS"):
        monkeypatch.setenv(name, f"/{text}")
    script = script_for(jobs, monkeypatch, build=Path(f"/home/{text}/build.py"), name=text)
    found = seen(script, "0003-1")
    scratch = found.environment[SCRATCH]
    assert found.words[:3] == ["-P", "-m", "townsend.worker"]
    build, seconds = ["--build", f"/home/{text}/build.py"], ["--seconds", "6900"]
    assert found.words[3:] == ["0003-1.json", "--remove", scratch, *build, *seconds]
    assert [found.environment[name] for name in ("PYTHONPATH", "JAX_PLATFORMS", "KERAS_BACKEND")] == [f"/{text}"] * 3
    assert found.environment["XLA_FLAGS"].startswith(f"/{text}")
    assert found.folder == str(jobs)
    assert not list(jobs.parent.rglob("taken"))


def test_a_site_names_another_interpreter(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = stub(jobs.parent / "it's $HOME")
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    site = parse(Site, {"engine": "slurm", "python": python})
    assert unit_of(seen(written(jobs, site), "0003", SLURM_ARRAY_TASK_ID="4")) == "0003-4.json"


def test_the_script_can_be_run_and_is_written_anew(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = script_for(jobs, monkeypatch, build=Path("/old.py"))
    assert written(jobs, HTCONDOR, Path("/new.py")) == script
    assert os.access(script, os.X_OK)
    assert option(seen(script, "0000-0"), "--build") == "/new.py"
    assert [path.name for path in jobs.iterdir() if path.is_file()] == [SCRIPT]


# ---- what travels


def test_the_file_that_builds_networks_travels_where_jobs_do_not_see_it(
    jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = jobs.parent / "my $(touch taken) build.py"
    build.write_text("# ü\n", encoding="utf-8")
    monkeypatch.setattr(sys, "executable", stub(jobs.parent / "bin"))
    site = parse(Site, {"engine": "htcondor", "shared_files": False})
    [name] = write_job_script(jobs, site, build)
    assert (jobs / name).read_text(encoding="utf-8") == "# ü\n"
    found = seen(jobs / SCRIPT, "0000-0")
    assert option(found, "--build") == name
    assert "--travelled" in found.words
    assert write_job_script(jobs, site, build) == [name], "the same file has the same name"
    build.write_text("# other\n")
    assert write_job_script(jobs, site, build) != [name]


def test_an_environment_that_travels_is_unpacked_and_alone_looked_at(
    jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds, and that it works, is another test's."""
    asked: list[list[str]] = []

    def pack(folder: Path, packages: list[str]) -> Path:
        asked.append(packages)
        with tarfile.open(folder / "environment-0.tar.gz", "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("lib/mark.py"))
        return folder / "environment-0.tar.gz"

    monkeypatch.setattr(job_script, "pack_environment", pack)
    monkeypatch.setenv("PYTHONPATH", "/of/the/submitting/machine")
    monkeypatch.setattr(sys, "executable", "/of/the/submitting/machine/python")
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = parse(Site, {"engine": "slurm", "environment": "packed", "packages": ["torch", "skorch"]})
    assert write_job_script(jobs, site) == ["environment-0.tar.gz"]
    assert asked == [["torch", "skorch"]]
    assert "submitting" not in (jobs / SCRIPT).read_text()
    path = f"{python_that_unpacks(jobs.parent / 'bin', minor)}{os.pathsep}{os.environ['PATH']}"
    found = seen(jobs / SCRIPT, "0000", SLURM_ARRAY_TASK_ID="3", PATH=path)
    assert found.words[:4] == ["-S", "-P", "-m", "townsend.worker"]
    library = f"{found.environment[SCRATCH]}/env/lib"
    assert found.environment["PYTHONPATH"] == library
    assert Path(library, "mark.py").is_file()


def python_that_unpacks(folder: Path, name: str) -> Path:
    """The folder of a program that is Python, but for what it would start at last."""
    program = Path(stub(folder))
    program.rename(program.with_name("stub"))
    begins = f'#!/bin/sh\ncase " $* " in *townsend.worker*) exec {shlex.quote(f"{folder}/stub")} "$@" ;; esac\n'
    program.with_name(name).write_text(f'{begins}exec {shlex.quote(PYTHON)} "$@"\n')
    program.with_name(name).chmod(0o755)
    return folder


def test_environment_and_networks_travel_together(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (jobs.parent / "build.py").write_text("# a build\n")
    monkeypatch.setattr(job_script, "pack_environment", lambda folder, packages: folder / "environment-0.tar.gz")
    site = parse(Site, {"engine": "htcondor", "environment": "packed", "shared_files": False})
    names = write_job_script(jobs, site, jobs.parent / "build.py")
    assert [Path(name).suffixes for name in names] == [[".py"], [".tar", ".gz"]]
    site = parse(Site, {"engine": "htcondor", "environment": "packed"})
    assert write_job_script(jobs, site, jobs.parent / "build.py") == ["environment-0.tar.gz"]


# ---- when a job ends itself


@given(st.floats(0.001, 8760))
def test_a_job_ends_itself_with_a_tenth_of_its_time_left_and_at_most_five_minutes(hours: float) -> None:
    left_s = 3600 * hours - _seconds(hours)
    assert left_s == pytest.approx(min(300, 360 * hours), abs=1)
    assert _seconds(hours) >= 1


@pytest.mark.parametrize(("hours", "seconds"), [(2, 6900), (0.5, 1620), (5 / 6, 2700), (15 / 3600, 14), (0.0001, 1)])
def test_the_worker_is_told_when_to_end_itself(
    jobs: Path, hours: float, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for system in ({"engine": "slurm"}, {"engine": "htcondor", "shared_files": False}):
        monkeypatch.setattr(sys, "executable", stub(jobs.parent / str(system["engine"])))
        write_job_script(jobs, parse(Site, {**system, "max_hours": hours}))
        found = seen(jobs / SCRIPT, "0000", SLURM_ARRAY_TASK_ID="3")
        assert option(found, "--seconds") == str(seconds)


# ---- which unit


def test_a_slurm_job_is_its_batch_and_its_number_in_the_array(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = script_for(jobs, monkeypatch, SLURM)
    assert unit_of(seen(script, "0012", SLURM_ARRAY_TASK_ID="34")) == "0012-34.json"


def test_a_slurm_job_without_a_number_does_not_begin(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = started(script_for(jobs, monkeypatch, SLURM), "0012")
    assert ended.returncode != 0
    assert ended.stdout == b""
    assert b"SLURM_ARRAY_TASK_ID" in ended.stderr


def test_a_pilot_that_is_a_slurm_job_does_not_change_the_name(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = script_for(jobs, monkeypatch, HTCONDOR)
    assert unit_of(seen(script, "0012-5", SLURM_ARRAY_TASK_ID="34")) == "0012-5.json"


# ---- where things are kept


@pytest.mark.parametrize("text", ["plain", "with space", "it's $HOME", 'a "b"\nc'])
@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("_CONDOR_SCRATCH_DIR", "SLURM_TMPDIR", "TMPDIR"), "_CONDOR_SCRATCH_DIR"),
        (("SLURM_TMPDIR", "TMPDIR"), "SLURM_TMPDIR"),
        (("TMPDIR",), "TMPDIR"),
    ],
)
def test_everything_is_kept_in_a_scratch_folder_of_the_job(
    jobs: Path, text: str, names: tuple[str, ...], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {name: jobs.parent / name / text for name in names}
    for folder in folders.values():
        folder.mkdir(parents=True)
    script = script_for(jobs, monkeypatch)
    places = [
        seen(script, "0000-0", **{name: str(folder) for name, folder in folders.items()}).environment for _ in range(2)
    ]
    for environment in places:
        scratch = Path(environment[SCRATCH])
        assert {environment[name] for name in PLACES} == {str(scratch)}
        assert scratch.parent == folders[chosen]
        assert scratch.stat().st_mode & 0o777 == 0o700
    assert places[0][SCRATCH] != places[1][SCRATCH]


def test_without_a_place_for_scratch_the_worker_does_not_begin(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = started(script_for(jobs, monkeypatch), "0000-0", _CONDOR_SCRATCH_DIR=str(jobs / "none"))
    assert ended.returncode != 0
    assert ended.stdout == b""


# ---- what of the environment goes along


def test_nothing_of_the_environment_is_in_the_script_but_what_decides_results(
    jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"PYTHONPATH": "/kept/0", "JAX_PLATFORMS": "kept-1", "KERAS_BACKEND": "kept-2", "XLA_FLAGS": "kept-3"}
    secret = ("FAKE_TOKEN", "AWS_SECRET_ACCESS_KEY", "X509_USER_PROXY", "PYTHONHOME", "LOGNAME", "LD_PRELOAD")
    path = os.environ["PATH"]
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {**kept, **{name: f"secret-{name}" for name in secret}}.items():
        monkeypatch.setenv(name, value)
    script = script_for(jobs, monkeypatch)
    text = script.read_text()
    assert "secret" not in text
    assert not [name for name in secret if name in text]
    assert all(value in text for value in kept.values())

    monkeypatch.setenv("PATH", path)
    found = set(seen(script, "0000-0").environment)
    threads = {"NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"}
    python = {"PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "PYTHONUSERBASE"}
    of_the_shell = {"PATH", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
    assert found - python - of_the_shell == {*PLACES, *kept, *threads}


@pytest.mark.parametrize("cpus", [1, 8])
def test_the_libraries_keep_to_the_processors_asked_for(jobs: Path, cpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    script = script_for(jobs, monkeypatch, parse(Site, {"engine": "htcondor", "request_cpus": cpus}))
    found = seen(script, "0000-0", OMP_NUM_THREADS="64").environment
    assert {found[name] for name in ("NPROC", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")} == {str(cpus)}


def test_modules_are_found_from_any_folder(jobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "mine", "/elsewhere", ""]))
    script = script_for(jobs, monkeypatch)
    assert seen(script, "0000-0").environment["PYTHONPATH"] == f"{tmp_path / 'mine'}{os.pathsep}/elsewhere"


@pytest.mark.parametrize("enabled", [True, False, None])
def test_what_the_user_has_installed_for_himself_is_found_with_another_home(
    jobs: Path, enabled: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("site.ENABLE_USER_SITE", enabled)
    monkeypatch.setattr("site.getuserbase", lambda: "/home/me/.local")
    found = seen(script_for(jobs, monkeypatch), "0000-0").environment
    assert found.get("PYTHONUSERBASE") == ("/home/me/.local" if enabled else None)
    assert found.get("PYTHONNOUSERSITE") == (None if enabled else "1")


# ---- with the worker itself


def test_the_worker_understands_its_words_and_leaves_no_scratch(jobs: Path, tmp_path: Path) -> None:
    """There is no such unit: it says so, as one that was refused."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    script = written(jobs, HTCONDOR, tmp_path / "my build.py")
    ended = started(script, "0000-0", _CONDOR_SCRATCH_DIR=str(scratch))
    assert ended.returncode == 2, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["news"] == "refused"
    assert "0000-0.json must exist" in answer["detail"]
    assert answer["usage"]["disk_mb"] == 0
    assert list(scratch.iterdir()) == []
