"""Which engine a folder gets, and that no work is given to two of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from farm_programs import Programs

from townsend.config import parse
from townsend.engines.base import WorkUnit
from townsend.engines.engine import open_engine, open_scheduler, site_of
from townsend.engines.farm import FarmEngine
from townsend.engines.htcondor import HTCondor
from townsend.engines.ledger import CANCELLED, JOBS, read_jobs
from townsend.engines.local import LocalEngine
from townsend.engines.site import Site
from townsend.engines.slurm import Slurm
from townsend.errors import InputError

SLURM = parse(Site, {"engine": "slurm", "max_hours": 3, "slurm": {"partition": "long"}})
TOOLS = parse(Site, {"engine": "htcondor", "htcondor": {"submit_with": "tools"}})


@pytest.fixture(autouse=True)
def _installed(programs: Programs) -> None:
    programs.put("sbatch", "17\n")


@pytest.fixture
def live(programs: Programs, tmp_path: Path) -> Path:
    """A folder whose job is out, in Slurm."""
    programs.put("squeue", "0000|0|RUNNING|None|0:10\n")

    def interrupt() -> None:
        with open_engine(SLURM, tmp_path / "run", 1) as engine:
            engine.submit(WorkUnit("a", "none", {}, tmp_path / "run"))
            engine.poll(0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    return tmp_path / "run"


def test_without_a_site_work_is_done_here_and_nothing_is_written(tmp_path: Path) -> None:
    with open_engine(None, tmp_path, 1) as engine:
        assert isinstance(engine, LocalEngine)
    assert list(tmp_path.iterdir()) == []


def test_a_site_is_a_farm_and_is_known_afterwards(tmp_path: Path) -> None:
    with open_engine(SLURM, tmp_path, 1) as engine:
        assert isinstance(engine, FarmEngine)
    assert site_of(tmp_path) == SLURM


def test_each_system_has_its_scheduler(tmp_path: Path) -> None:
    assert isinstance(open_scheduler(SLURM, tmp_path, "0123abc"), Slurm)
    assert isinstance(open_scheduler(TOOLS, tmp_path, "0123abc"), HTCondor)


@pytest.mark.parametrize(("site", "now"), [(None, "local"), (TOOLS, "htcondor")])
def test_work_whose_jobs_are_out_goes_nowhere_else(live: Path, site: Site | None, now: str) -> None:
    with pytest.raises(
        InputError, match=rf"must have no jobs elsewhere \(1 may be in slurm, now --engine is {now}\)"
    ) as no:
        open_engine(site, live, 1)
    assert str(no.value).endswith("say `townsend cancel`, or go on with --engine slurm")
    assert site_of(live) == SLURM


@pytest.mark.parametrize("site", [None, TOOLS])
def test_work_whose_jobs_were_cancelled_goes_anywhere(live: Path, site: Site | None) -> None:
    (live / JOBS / CANCELLED).touch()
    with open_engine(site, live, 1):
        pass
    assert [job.live for job in read_jobs(live)] == [site is None], "who trains here leaves the ledger as it is"


def test_the_same_system_may_be_asked_for_something_else(live: Path, programs: Programs) -> None:
    programs.put("scancel")
    other = parse(Site, {"engine": "slurm", "max_hours": 5})
    with open_engine(other, live, 1):
        pass
    assert site_of(live) == other


def test_a_system_that_is_not_there_leaves_the_folder_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to the same process: whoever tries again in a notebook is no other."""
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    for _ in range(2):
        with pytest.raises(InputError, match="sbatch must be on the PATH"):
            open_engine(SLURM, tmp_path / "run", 1)
    with open_engine(None, tmp_path / "run", 1) as engine:
        assert isinstance(engine, LocalEngine)


def test_a_refused_request_leaves_the_folder_to_others(programs: Programs, tmp_path: Path) -> None:
    programs.put("sbatch", "sbatch: error: invalid partition specified", status=1)
    programs.put("squeue")

    def submit() -> None:
        with open_engine(SLURM, tmp_path, 1) as engine:
            engine.submit(WorkUnit("a", "none", {}, tmp_path))
            engine.poll(0)

    with pytest.raises(InputError, match="invalid partition"):
        submit()
    with open_engine(None, tmp_path, 1) as engine:
        assert isinstance(engine, LocalEngine)
