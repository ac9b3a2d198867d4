"""A stand-in for picamera2 0.3.38 with the shape of the real one, and with its traps.

A thread per camera runs jobs and one of the manager's listens; a job that nobody waits for any more stays in the queue and
takes the next request; stop() waits behind such a job; a failed __init__ leaves its pipe open; the list of cameras is
kept until the last one is closed; buffers flagged as damaged never come out.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import CancelledError, Future
from time import monotonic_ns
from types import SimpleNamespace
from typing import Any

import libcamera
import numpy as np

KNOWN = {"BGR888": 3, "RGB888": 3, "XBGR8888": 4, "YUV420": 1}


class _Manager:
    def __init__(self) -> None:
        self._cms: Any = None
        self.cameras: dict[int, Any] = {}
        self.thread: Any = None
        self._ended = threading.Event()

    @property
    def cms(self) -> libcamera.CameraManager:
        if self._cms is None:
            self._cms = libcamera.CameraManager.singleton()
        return self._cms

    def reset(self) -> None:
        self._cms = None
        self._cms = libcamera.CameraManager.singleton()

    def add(self, index: int, camera: Any) -> None:
        self.cameras[index] = camera
        if self.thread is None:
            self._ended.clear()
            self.thread = threading.Thread(target=self._ended.wait, name="picamera2 listen", daemon=True)
            self.thread.start()

    def cleanup(self, index: int) -> None:
        del self.cameras[index]
        if not self.cameras:
            self._ended.set()
            self.thread.join()
            self.thread = self._cms = None


class _Heap:
    """The memory's device, closed when nobody refers to it any more."""

    def __init__(self) -> None:
        self._file = os.open("/dev/null", os.O_RDONLY)

    def __del__(self) -> None:
        os.close(self._file)


class _Selector:
    """What each thread waits on: never closed, and in a cycle with itself."""

    def __init__(self) -> None:
        self._heap, self._map = _Heap(), self


class _Job:
    def __init__(self) -> None:
        self.future: Future[Any] = Future()

    def cancel(self) -> None:
        self.future.set_exception(CancelledError())


class CompletedRequest:
    def __init__(self, camera: Picamera2, buffers: dict[str, Any], sequence: int, taken_at: int | None) -> None:
        self.picam2, self._buffers = camera, buffers
        self._metadata = {} if taken_at is None else {"SensorTimestamp": taken_at}
        told = SimpleNamespace(metadata=SimpleNamespace(sequence=sequence))
        self.request = SimpleNamespace(buffers=dict.fromkeys(buffers, told))
        self.config = camera.camera_config
        self.ref_count = 1

    def release(self) -> None:
        self.ref_count -= 1
        if self.ref_count < 0:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")
        with self.picam2.lock:
            self.picam2.queued.append(self._buffers)

    def get_metadata(self) -> dict[str, Any]:
        return dict(self._metadata)


class MappedArray:
    def __init__(self, request: CompletedRequest, stream: str, reshape: bool = True, write: bool = True) -> None:
        assert not reshape
        assert not write
        self._data = request._buffers[stream]
        self.array: Any = None

    def __enter__(self) -> MappedArray:
        self.array = self._data.view()
        self.array.flags.writeable = False
        return self

    def __exit__(self, *_error: object) -> None:
        self.array = None


class Picamera2:
    _cm = _Manager()

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        found = [{"Model": one.sensor.model, "Id": one.id, "Num": number} for number, one in enumerate(Picamera2._cm.cms.cameras)]
        return sorted(found, key=lambda one: ("/usb" not in one["Id"], one["Id"]), reverse=True)

    def __init__(self, camera_num: int = 0) -> None:
        self.notifyme_r, self.notifyme_w = os.pipe2(os.O_NONBLOCK)
        self.notifymeread = os.fdopen(self.notifyme_r, "rb")
        self.is_open = False
        self.camera_idx = self.global_camera_info()[camera_num]["Num"]
        self.camera = self._cm.cms.cameras[self.camera_idx]
        self.sensor = self.camera.sensor
        self.myself = self          # the real one is in reference cycles too
        try:
            if libcamera.SENSORS.get(self.camera.id) is not self.sensor:
                raise RuntimeError("Failed to acquire camera: No such device")
            self.camera.acquire()
        except Exception as error:
            raise RuntimeError("Camera __init__ sequence did not complete.") from error
        self.is_open = True
        self.lock = threading.Lock()
        self.queued: list[dict[str, Any]] = []
        self._completed: list[CompletedRequest] = []
        self._jobs: list[_Job] = []
        self._thread: Any = None
        self._ended = threading.Event()
        self.camera_config: dict[str, Any] = {}
        self._cm.add(self.camera_idx, self)
        self.allocator: Any = _Heap()

    @property
    def camera_controls(self) -> dict[str, tuple[int, int, int]]:
        return dict.fromkeys(self.sensor.controls, (0, 1, 0))

    def create_video_configuration(self, *, main: Any, lores: Any, raw: Any, transform: Any, colour_space: Any,
                                   buffer_count: int, controls: Any, display: Any, encode: Any) -> dict[str, Any]:
        assert isinstance(colour_space, libcamera.ColorSpace)
        for name in controls:
            assert name in (*self.sensor.controls, "AfTrigger"), f"Control {name} is not advertised by libcamera"
        return {"main": dict(main), "lores": lores and dict(lores), "raw": raw, "transform": transform,
                "colour_space": colour_space, "buffer_count": buffer_count, "controls": controls}

    def configure(self, configuration: dict[str, Any]) -> None:
        self.sensor.meet("configure")
        self.sensor.configured += 1
        for name in ("main", "lores"):
            stream = configuration[name]
            if stream is None:
                continue
            stream["format"] = (name == "main" and self.sensor.gives) or stream["format"]
            width, height = stream["size"]
            stream["stride"] = width * KNOWN[stream["format"]] + self.sensor.padding
            stream["framesize"] = stream["stride"] * height * (3 if stream["format"] == "YUV420" else 2) // 2 + 4096
        if not self.sensor.flips:
            configuration["transform"] = libcamera.Transform()
        if self.sensor.video_range:
            configuration["colour_space"] = libcamera.ColorSpace.Smpte170m()
        self.camera_config = configuration

    def camera_configuration(self) -> dict[str, Any]:
        return self.camera_config

    def start(self) -> None:
        self.sensor.meet("start")
        streams = {name: self.camera_config[name] for name in ("main", "lores") if self.camera_config[name]}
        self.queued = [{name: np.zeros(one["framesize"], np.uint8) for name, one in streams.items()}
                       for _ in range(self.camera_config["buffer_count"])]
        self._thread = threading.Thread(target=self._run, name="picamera2 thread_func", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        _Selector()
        while not self._ended.wait(1 / self.sensor.rate_hz):
            libcamera.refresh()
            if not self.sensor.silent and libcamera.SENSORS.get(self.camera.id) is self.sensor:
                self._expose()

    def _expose(self) -> None:
        sensor = self.sensor
        with self.lock:
            sensor.sequence += 1
            if not self.queued or sensor.sequence in sensor.bad:
                return
            buffers = self.queued.pop(0)
        for data in buffers.values():
            data[:] = np.arange(data.size) + sensor.sequence
        offset = sensor.clock_offset_ns
        taken_at = None if offset is None else monotonic_ns() + offset
        older = None
        with self.lock:
            self._completed.append(CompletedRequest(self, buffers, sensor.sequence, taken_at))
            finished = [(self._jobs.pop(0), self._completed.pop(0))] if self._jobs else []
            if len(self._completed) > 1:
                older = self._completed.pop(0)
        if older is not None:
            older.release()
        for job, request in finished:
            job.future.set_result(request)

    def capture_request(self, wait: bool | float | None = None) -> Any:
        self.sensor.meet("capture")
        job = _Job()
        with self.lock:
            if not self._jobs and self._completed:
                job.future.set_result(self._completed.pop(0))
            else:
                self._jobs.append(job)
        return job if wait is False else job.future.result(timeout=None if wait in (None, True) else wait)

    def wait(self, job: _Job, timeout: float | None = None) -> Any:
        return job.future.result(timeout=timeout)

    def cancel_all_and_flush(self) -> None:
        with self.lock:
            for job in self._jobs:
                job.cancel()
            self._jobs = []

    def close(self) -> None:
        if not self.is_open:
            return
        self.sensor.meet("close")
        if self._jobs:
            self.sensor.let_go.wait()        # stop() waits behind a job that waits for a frame
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self.camera.release()
        self._cm.cleanup(self.camera_idx)
        self.is_open = False
        self.camera = None
        self.notifymeread.close()
        os.close(self.notifyme_w)
        self.allocator = _Heap()
