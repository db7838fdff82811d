"""Event files as TensorBoard reads them: records with check sums, taken apart here byte by byte."""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from written_sweep import curves_of, fit, write_sweep

from townsend.errors import InputError
from townsend.sweep.export_tensorboard import export_tensorboard
from townsend.training.records import Outcome

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2", reason="extra dashboard: tensorboardX is not installed")
FILE = "events.out.tfevents.0.townsend"
RECORDS = [
    fit(0, 0.8),
    fit(1, 0.95, Outcome.STOPPED_EARLY),
    fit(2, 0.0, Outcome.PRUNED, epochs=3, figures=(0.6, 0.7)),
    fit(13, 0.0, Outcome.DIVERGED, epochs=1),
]


def crc32c(data: bytes) -> int:
    """Castagnoli's check sum, bit by bit as RFC 3720 defines it, masked as TensorFlow does."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 & -(value & 1))
    value ^= 0xFFFFFFFF
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def events(path: Path) -> list[Any]:
    data, found = path.read_bytes(), []
    while data:
        (length,), (sum_of_length,) = struct.unpack("<Q", data[:8]), struct.unpack("<I", data[8:12])
        assert sum_of_length == crc32c(data[:8])
        body, (sum_of_body,) = data[12 : 12 + length], struct.unpack("<I", data[12 + length : 16 + length])
        assert sum_of_body == crc32c(body)
        found.append(event_pb2.Event.FromString(body))
        data = data[16 + length :]
    assert found[0].file_version == "brain.Event:2"
    return found[1:]


def scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(path):
        for value in event.summary.value:
            if not value.HasField("metadata"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def plugin(path: Path, kind: str) -> Any:
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    (value,) = [v for event in events(path) for v in event.summary.value if v.tag == f"_hparams_/{kind}"]
    assert value.metadata.plugin_data.plugin_name == "hparams"
    return getattr(HParamsPluginData.FromString(value.metadata.plugin_data.content), kind)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return export_tensorboard(write_sweep(tmp_path / "run", RECORDS), tmp_path / "logs")


def test_one_folder_a_trial(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    assert names == [FILE, "townsend.json", "trial-0000", "trial-0001", "trial-0002", "trial-0013"]
    assert all([each.name for each in path.iterdir()] == [FILE] for path in folder.glob("trial-*"))


def test_curves_and_figures_are_scalars_by_epoch(folder: Path) -> None:
    found = scalars(folder / "trial-0001" / FILE)
    assert set(found) == {"loss", "monitor_loss", "accuracy", "validation/auc", "validation/f1"}
    expected = curves_of(RECORDS[1])
    for name in ("loss", "monitor_loss", "accuracy"):
        assert [step for step, _ in found[name]] == list(range(1, 28))
        assert np.array_equal(np.array([value for _, value in found[name]], np.float32), expected[name])
    assert found["validation/auc"] == [(20, pytest.approx(0.95))]
    times = [event.wall_time for event in events(folder / "trial-0001" / FILE)]
    assert times == sorted(times)


def test_the_tab_of_hyperparameters_compares_the_trials(folder: Path) -> None:
    from tensorboardX.proto.api_pb2 import DATA_TYPE_BOOL, DATA_TYPE_FLOAT64, DATA_TYPE_STRING

    experiment = plugin(folder / FILE, "experiment")
    kinds = {info.name: info.type for info in experiment.hparam_infos}
    assert kinds["optimizer"] == DATA_TYPE_STRING
    assert kinds["norm"] == DATA_TYPE_BOOL
    assert kinds["rate"] == kinds["momentum"] == DATA_TYPE_FLOAT64
    assert [info.name.tag for info in experiment.metric_infos] == ["validation/auc", "validation/f1"]
    started = {trial: plugin(folder / f"trial-{trial:04d}" / FILE, "session_start_info").hparams for trial in (0, 1)}
    assert started[0]["momentum"].number_value == RECORDS[0].hyperparameters["momentum"]
    assert "momentum" not in started[1]
    assert (started[1]["optimizer"].string_value, started[1]["norm"].bool_value) == (
        "adam",
        RECORDS[1].hyperparameters["norm"],
    )
    ended = [plugin(path / FILE, "session_end_info").status for path in sorted(folder.glob("trial-*"))]
    assert ended == [1, 1, 1, 2]  # success, success, success (pruned), failure (diverged)


def test_the_same_sweep_gives_the_same_bytes_and_replaces_only_our_own_folder(folder: Path, tmp_path: Path) -> None:
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(folder / "trial-0002")
    export_tensorboard(tmp_path / "run", folder)
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        export_tensorboard(tmp_path / "run", folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_without_its_package_the_export_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r'pip install "townsend\[dashboard\]"'):
        export_tensorboard(write_sweep(tmp_path / "run", RECORDS), tmp_path / "logs")


def test_a_sweep_without_an_ended_trial_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold a trial that has ended"):
        export_tensorboard(write_sweep(tmp_path / "run", [], trials=2), tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
