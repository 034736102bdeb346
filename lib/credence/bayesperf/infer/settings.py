"""Settings of the fast posterior: what is not learned from a run is chosen on the training programs only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Choices of `smooth`.

    Attributes
    ----------
    scale : str
        ``"log"``: a chain over logarithms of a basis of events (`bursts`); ``"linear"``: over relative counts, for
        which the smoother is exact.
    shift : float
        Share of the event's mean added before the logarithm.
    sums : bool
        Take logarithms of events that hardly vary, such as slots, too. False is the better choice: it takes those of
        their parts, which are above 0 (training programs, x86: 8 counters, 20 events 17.3 -> 16.2 %; 4 counters 33.8
        -> 32.3 %). It was found after the judged run had begun, so that True stands; tabulated gains need True.
    decays : tuple of float
        Share of a deviation that each component in time keeps from slice to slice, in [0, 1).
    iterations : int
        Steps of expectation maximisation.
    strength : float
        Slices of evidence that the prior covariances are worth.
    variance_strength : float
        The same for variances alone (scale "log"): these show in every event's own counts.
    stride : float
        Factor on a step's change of the log variances; above 1 learns faster, 2 no longer converges (scale "log").
    variation : float
        Standard deviation of relative counts where no prior is given.
    least_variation : float
        Standard deviation added in every direction, so that none is taken for certain.
    level : float
        Standard deviation of the run's level in relative counts.
    innovation_degrees : float or None
        Degrees of freedom of Student-t innovations, all events of a slice together (a phase change moves many at
        once); None = Gaussian.
    variation_strength : float
        Measured counts that the prior on an event's variation is worth.
    unmeasured_weight : float
        Weight of events that were never on a counter when prior covariances are brought into the coordinates of a run.
    read_noise : float
        Standard deviation of a measured count of a slice, as a share of it.
    noise_floor : float
        The same at a count of 0, as a share of the event's mean: rounding, skid.
    student : bool
        Noise of a measured count as in the paper (section 4.2): Student-t, its scale that of the slice's own readings;
        by expectation propagation. Scale "linear" only. It takes all change within a slice for error.
    orders : bool
        Counts are not below 0, and inequalities given as relations hold; by expectation propagation. Scale "linear"
        only: over logarithms counts are above 0 by themselves.
    softness : float
        Standard deviation of relations that are not exact, as a share of their largest term.
    widen : float
        Factor on the standard deviations, chosen on the training programs (1 = as computed).
    """

    scale: str = "log"
    shift: float = 0.2
    sums: bool = True
    decays: tuple[float, ...] = (0.99, 0.9, 0.5)
    iterations: int = 12
    strength: float = 20.0
    variance_strength: float = 5.0
    stride: float = 1.0
    variation: float = 0.5
    least_variation: float = 0.01
    level: float = 0.2
    innovation_degrees: float | None = None
    variation_strength: float = 8.0
    unmeasured_weight: float = 0.1
    read_noise: float = 0.004
    noise_floor: float = 0.002
    student: bool = False
    orders: bool = False
    softness: float = 0.01
    widen: float = 1.0
