"""A small queue that explains Fig. 9: why the mean completion time grows with the load, and its tail even more.

A queue that is steadily L jobs long would delay every probe alike; Fig. 9's 99th percentile is 15 times the mean at
load 100. Jobs that come in batches do that: the server is busy only a fifth of the time (the share of slow probes read
off Fig. 9 hardly moves between loads 10 and 200), and a probe that meets a batch waits for what is left of it. With
geometric batches of mean b, utilisation rho and mean service s (Poisson batches, one server, exponential service):

    load L = rho b / (1 - rho)      P(wait > t) = rho exp(-t / tau)      tau = b s / (1 - rho) = L s / rho
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from credence.bench.errors import InputError
from credence.kaleidoscope.world.calibration import FAST_S, SERVICE_LEVEL_S


@dataclass(frozen=True)
class Server:
    """A storage server; both numbers are read off Fig. 9.

    Attributes
    ----------
    utilisation : float
        rho: the share of slow probes, the same at loads from 10 to 200.
    service_s : float
        s: of one job [s]; the slope of the mean over the load.
    """

    utilisation: float = 0.18
    service_s: float = 0.0031

    def __post_init__(self):
        if not 0 < self.utilisation < 1 or self.service_s <= 0:
            raise InputError(f"{self}; allowed: utilisation between 0 and 1, service time above 0")


def expected(load, server: Server | None = None) -> dict[str, np.ndarray]:
    """Return ``mean`` [s], ``p99`` [s] and ``lost`` (share over a second) of probes at loads, by the formulas above."""
    server = server or Server()
    tau = np.maximum(np.asarray(load, float) * server.service_s / server.utilisation, 1e-9)
    return {
        "mean": FAST_S + server.utilisation * tau,
        "p99": FAST_S + np.maximum(0, tau * np.log(100 * server.utilisation)),
        "lost": server.utilisation * np.exp(-(SERVICE_LEVEL_S - FAST_S) / tau),
    }


def probe_times(load: float, seconds: float, rng: np.random.Generator, server: Server | None = None) -> np.ndarray:
    """Simulate probes of one server at a load, one a second, event by event.

    Parameters
    ----------
    load : float
        Mean number of jobs in the server, above rho / (1 - rho).
    seconds : float
        Length of the simulation.
    rng : numpy.random.Generator
    server : Server, optional

    Returns
    -------
    numpy.ndarray [probes]
        Completion times [s].

    Raises
    ------
    InputError
        For a load that batches of one job already exceed.
    """
    import simpy  # only this calibration needs it

    server = server or Server()
    rho, service = server.utilisation, server.service_s
    batch = load * (1 - rho) / rho
    if batch < 1:
        raise InputError(f"load is {load!r}; allowed: at least {rho / (1 - rho):.2f}, where batches have one job")
    environment = simpy.Environment()
    queue = simpy.Resource(environment)
    times: list[float] = []

    def work():
        while True:
            yield environment.timeout(rng.exponential(batch * service / rho))
            # all jobs of a batch are served one after the other: one gamma time instead of many events
            environment.process(serve(rng.gamma(rng.geometric(1 / batch), service)))

    def serve(needed: float):
        with queue.request() as turn:
            yield turn
            yield environment.timeout(needed)

    def probe():
        start = environment.now
        with queue.request() as turn:
            yield turn
        times.append(environment.now - start + FAST_S)

    def probes():
        while True:
            yield environment.timeout(rng.exponential(1.0))
            environment.process(probe())

    environment.process(work())
    environment.process(probes())
    environment.run(until=seconds)
    return np.array(times)
