"""Event files that TensorBoard's own writer makes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.summary.writer.event_file_writer import EventFileWriter


def scalar(tag: str, step: int, value: float, time: float = 1_700_000_000.0) -> Any:
    return Event(step=step, wall_time=time, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))


def tensor(tag: str, step: int, plugin: str = "scalars", **proto: Any) -> Any:
    """A value as TensorFlow 2 writes it; dtype 1 is float32, 2 float64, 3 int32, 9 int64."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin)) if plugin else None
    value = Summary.Value(tag=tag, metadata=metadata, tensor=TensorProto(**proto))
    return Event(step=step, wall_time=1_700_000_000.0, summary=Summary(value=[value]))


def restart(step: int) -> Any:
    return Event(step=step, wall_time=1_700_000_100.0, session_log=SessionLog(status=SessionLog.START))


def written(folder: Path, events: Sequence[Any], suffix: str = "") -> Path:
    """A new event file of the folder with these events."""
    before = set(folder.glob("*")) if folder.is_dir() else set()
    writer = EventFileWriter(str(folder), filename_suffix=suffix)
    for event in events:
        writer.add_event(event)
    writer.close()
    (file,) = set(folder.glob("*")) - before
    return file
