"""A sweep as event files of TensorBoard: its curves, and its hyperparameters beside its figures.

What to use when
----------------
- `export_tensorboard`: write the folder; then `tensorboard --logdir FOLDER`.
- `townsend.sweep.dashboard.dashboard`: Optuna's pages instead, which follow a running sweep by themselves.

Written with the small package tensorboardX; TensorFlow is not needed, neither to write nor to look at them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from townsend.errors import InputError
from townsend.files import write_json
from townsend.folders import check_replaceable, folder_as_a_whole
from townsend.sweep.board_verdicts import shown_value
from townsend.sweep.history import CURVES, History, read_history
from townsend.training.records import FitRecord, Outcome

if TYPE_CHECKING:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary

__all__ = ["MADE_BY", "export_tensorboard"]

MADE_BY = "townsend export"
_MARK = "townsend.json"
_FILE = "events.out.tfevents.0.townsend"  # TensorBoard knows its files by the third word
_OWN = re.compile(rf"trial-\d+|{re.escape(_MARK)}|{re.escape(_FILE)}")
_PLUGIN = "hparams"
_MOST_METRICS = 6
_ON_VALIDATION = "validation/"


def export_tensorboard(run: Path, folder: Path) -> Path:
    """Write what the sweep in folder `run` has left so far: one folder of event files a trial, whole or not at all.

    Each has `loss`, `monitor_loss`, `accuracy` and `monitor_accuracy` by epoch, where there are such, and each metric
    on validation as `validation/<metric>`. The tab HPARAMS compares the trials.

    Arguments:
        run: folder of a sweep, which may be running.
        folder: to be written; one that was exported before is replaced.

    Returns `folder`. Raises InputError when the package tensorboardX is not installed, `run` holds no sweep or no trial
    that has ended, a record is damaged, or `folder` holds other things.
    """
    _check_package()
    own = {path.name for path in folder.iterdir() if _OWN.fullmatch(path.name)} if folder.is_dir() else set()
    check_replaceable(folder, _MARK, MADE_BY, frozenset(own))
    history = read_history(run)
    if not history.board.rows:
        msg = f"{run} must hold a trial that has ended (none has yet); repeat the command later"
        raise InputError(msg)
    with folder_as_a_whole(folder) as new:
        write_json(new / _MARK, {"made_by": MADE_BY, "sweep": history.board.source})
        begun = min(history.ended.values())
        _write(new / _FILE, [_event(begun, 0, _experiment(history))], begun)
        for row in history.board.rows:
            trial = new / f"trial-{row.trial:04d}"
            trial.mkdir()
            _write(trial / _FILE, _events(row, history), history.ended[row.trial] - row.wall_s)
    return folder


def _check_package() -> None:
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        rule = "event files of TensorBoard need the package tensorboardX"
        msg = f'{rule} (it is not installed); say pip install "townsend[dashboard]"'
        raise InputError(msg) from None


def _write(path: Path, events: Iterable[Event], begun: float) -> None:
    """Write records with their check sums; tensorboardX's own writer would put host and time into the file's name."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter

    writer = RecordWriter(str(path.resolve()))
    try:
        for event in (Event(wall_time=begun, file_version="brain.Event:2"), *events):
            writer.write(event.SerializeToString(deterministic=True))
    finally:
        writer.close()


def _event(wall_time: float, step: int, summary: Summary) -> Event:
    from tensorboardX.proto.event_pb2 import Event

    return Event(wall_time=wall_time, step=step, summary=summary)


def _events(row: FitRecord, history: History) -> Iterable[Event]:
    """Yield the events of a trial; its epochs are spread evenly over its time, which ends with its bracket."""
    end, curves = history.ended[row.trial], history.curves.get(row.trial, {})
    start, epochs = end - row.wall_s, max(map(len, curves.values()), default=0)
    yield _event(start, 0, _session_start(row, _kinds(history)))
    for index in range(epochs):
        scalars = {name: float(curves[name][index]) for name in CURVES if index < len(curves.get(name, ()))}
        yield _event(start + row.wall_s * (index + 1) / epochs, index + 1, _scalars(scalars))
    yield _event(end, row.best_epoch, _scalars({_ON_VALIDATION + n: m.value for n, m in row.metrics.items()}))
    yield _event(end, row.epochs, _session_end(row))


def _scalars(values: Mapping[str, float]) -> Summary:
    from tensorboardX.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])


def _experiment(history: History) -> Summary:
    """Return what the tab HPARAMS has columns for, said once for all trials."""
    from tensorboardX.proto.api_pb2 import Experiment, HParamInfo, MetricInfo, MetricName

    columns = [HParamInfo(name=name, type=kind) for name, kind in _kinds(history).items()]
    metrics = [_ON_VALIDATION + name for name in history.board.metrics[:_MOST_METRICS]]
    shown = [MetricInfo(name=MetricName(tag=tag), display_name=tag) for tag in metrics]
    return _plugin("experiment", Experiment(name=history.board.source, hparam_infos=columns, metric_infos=shown))


def _kinds(history: History) -> dict[str, int]:
    """Return the type of each hyperparameter; a column of TensorBoard has one."""
    from tensorboardX.proto.api_pb2 import DataType

    found = {}
    for name in history.board.hyperparameters:
        values = [row.hyperparameters[name] for row in history.board.rows if name in row.hyperparameters]
        kind = "STRING"
        if all(isinstance(value, bool) for value in values):
            kind = "BOOL"
        elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            kind = "FLOAT64"
        found[name] = DataType.Value(f"DATA_TYPE_{kind}")
    return found


def _session_start(row: FitRecord, kinds: Mapping[str, int]) -> Summary:
    from tensorboardX.proto.api_pb2 import DATA_TYPE_BOOL, DATA_TYPE_FLOAT64
    from tensorboardX.proto.plugin_hparams_pb2 import SessionStartInfo

    start = SessionStartInfo()
    for name, value in row.hyperparameters.items():
        if kinds[name] == DATA_TYPE_BOOL:
            start.hparams[name].bool_value = value
        elif kinds[name] == DATA_TYPE_FLOAT64:
            start.hparams[name].number_value = value
        else:
            start.hparams[name].string_value = shown_value(value)
    return _plugin("session_start_info", start)


def _session_end(row: FitRecord) -> Summary:
    from tensorboardX.proto.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
    from tensorboardX.proto.plugin_hparams_pb2 import SessionEndInfo

    well = row.outcome.usable or row.outcome is Outcome.PRUNED
    return _plugin("session_end_info", SessionEndInfo(status=STATUS_SUCCESS if well else STATUS_FAILURE))


def _plugin(kind: str, content: Any) -> Summary:
    """Return a message to the plugin of the tab HPARAMS; TensorBoard finds it by tag and plugin name."""
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    data = HParamsPluginData(version=0, **{kind: content}).SerializeToString(deterministic=True)
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=_PLUGIN, content=data))
    return Summary(value=[Summary.Value(tag=f"_hparams_/{kind}", metadata=metadata)])
