"""Several processes on one machine, one port and one Redis: `dyad serve --workers N`.

The kernel spreads connections over the workers. The supervisor serves no calls: it
starts the workers, replaces a worker that ends, passes signals on to them, and drains all of
them together.
"""

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType

from dyad_server.config import Config
from dyad_server.errors import ConfigError
from dyad_server.grpc_environment import DEBUG_SIGNAL, LEVEL_SIGNAL, RELOAD_SIGNAL, STOP_SIGNALS
from dyad_server.log_line import Line
from dyad_server.ops import bounds, logs
from dyad_server.ops.worker_pages import HOST, pages_of_workers, serving_pages

log = logging.getLogger("dyad.workers")

Serve = Callable[[Config], None]

_STOP = b"stop"
# To the workers too.
_PASSED_ON = (RELOAD_SIGNAL, DEBUG_SIGNAL, LEVEL_SIGNAL)


def run(config: Config, serve: Serve) -> None:
    """Run `config.workers` processes that call `serve`, until a signal stops them.

    Raises:
        ConfigError: the port is in use, or no worker can start.
    """
    with ExitStack() as stack:
        reservation = stack.enter_context(_reserve(config.host, config.port))
        shared = replace(config, port=reservation.getsockname()[1])
        count = config.workers if config.metrics_port else 0
        own = [stack.enter_context(_reserve(HOST, 0)) for _ in range(count)]
        ports = [each.getsockname()[1] for each in own]
        supervisor = Supervisor(shared, serve, ports)
        if ports:
            pages = pages_of_workers(ports, lambda: supervisor.stopping)
            stack.enter_context(serving_pages(config.metrics_host, config.metrics_port, pages))
        supervisor.run()


class Supervisor:
    """Keeps the workers running.

    Attributes:
        stopping: whether it drains them.
    """

    def __init__(self, config: Config, serve: Serve, metrics_ports: Sequence[int]) -> None:
        """Supervise; each worker has a port for its metrics, if there are any metrics."""
        self.stopping = self._debugging = False
        self._config = config
        self._serve = serve
        self._metrics_ports = metrics_ports
        # Spawned: gRPC's threads would not survive a fork.
        self._spawn = multiprocessing.get_context("spawn")
        self._workers: dict[int, tuple[BaseProcess, float]] = {}
        # A signal makes `_woken` readable, which ends the wait for workers.
        self._wake, self._woken = multiprocessing.Pipe()

    def run(self) -> None:
        """Supervise until one of `STOP_SIGNALS`; other signals are passed on to the workers.

        Raises:
            ConfigError: the workers end as soon as they start.
        """
        before = {number: signal.signal(number, self._stop) for number in STOP_SIGNALS}
        before |= {number: signal.signal(number, self._note) for number in _PASSED_ON}
        try:
            for index in range(self._config.workers):
                self._start(index)
            early = 0
            while not self.stopping and early < bounds.EARLY_ENDS:
                ended = self._await_end()
                early = early + 1 if ended else 0
            if early >= bounds.EARLY_ENDS:
                raise ConfigError(
                    "The workers end as soon as they start. See the log above for the reason."
                )
        finally:
            self._drain()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self, index: int) -> None:
        config = self._config
        if self._metrics_ports:
            config = replace(config, metrics_host=HOST, metrics_port=self._metrics_ports[index])
        worker = self._spawn.Process(target=self._serve, args=(config,), name=f"dyad-{index}")
        # A worker that is not ready for a signal yet would end. It gets the signal later:
        # its process inherits that the signal is blocked, and `serve` unblocks it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
        worker.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        self._workers[index] = worker, time.monotonic()
        if self._debugging and worker.pid is not None:
            os.kill(worker.pid, DEBUG_SIGNAL)
        log.info(Line("worker started", index=index, pid=worker.pid))

    def _await_end(self) -> bool:
        """Wait for a worker to end, and replace it. Return whether it ended too soon."""
        sentinels = {worker.sentinel: index for index, (worker, _) in self._workers.items()}
        early = False
        for ready in wait([*sentinels, self._woken]):
            if self.stopping:
                break
            if not isinstance(ready, int):
                self._pass_on()
                continue
            index = sentinels[ready]
            worker, began = self._workers[index]
            worker.join()
            log.warning(Line("worker ended", index=index, status=worker.exitcode))
            early = early or time.monotonic() - began < bounds.EARLY_END_SECONDS
            self._start(index)
        return early

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stopping = True
        self._wake.send_bytes(_STOP)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._wake.send_bytes(str(number).encode())

    def _pass_on(self) -> None:
        """Pass on the signal that woke the supervisor, unless that was one to stop."""
        if (woken := self._woken.recv_bytes()) == _STOP:
            return
        number = int(woken)
        if number != RELOAD_SIGNAL:
            self._debugging = number == DEBUG_SIGNAL
            logs.set_level(self._level)
        for worker, _ in self._workers.values():
            if worker.pid is not None:
                os.kill(worker.pid, number)

    @property
    def _level(self) -> str:
        return "debug" if self._debugging else self._config.log_level

    def _drain(self) -> None:
        workers = [worker for worker, _ in self._workers.values()]
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        deadline = time.monotonic() + self._config.drain_timeout + bounds.KILL_SECONDS
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            if worker.is_alive():
                log.error(Line("worker did not drain in time: killed", pid=worker.pid))
                worker.kill()
                worker.join()


def _reserve(host: str, port: int) -> socket.socket:
    """Bind the port that the workers share and listen on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = (host.strip("[]"), port)
    try:
        # First without SO_REUSEPORT, so that another server's port is not shared.
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            address = trial.getsockname()[:2]
        reservation = socket.socket(family, socket.SOCK_STREAM)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind(address)
    except OSError as error:
        raise ConfigError(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
    return reservation
