"""What can be chosen about the model: its variants and its priors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from credence.bench.errors import InputError, choose
from credence.kaleidoscope.data.topology import KINDS

# A window in which a component is down: about 1 in 1,000, as in the released notebook for everything but the networks.
# The recorded issues give 4e-4 (26,596 raw events, mean length of Fig. 4, 875 components, two years).
DEFAULT_P_UP = MappingProxyType(dict.fromkeys(KINDS, 0.999))


@dataclass(frozen=True)
class Variant:
    """Which form of the model.

    Attributes
    ----------
    lnet : str
        ``"or"``: a group of routers works while one of its members does (fail-over); ``"mixture"``: a share of dead
        members loses that share of the probes (round robin), which is what the paper's case study saw (§VII-C).
    health : str
        ``"beta"``: health is a rate (paper §V-A); ``"bernoulli"``: up or down (the released notebook). Matters to NUTS
        and ADVI only; the exact posterior and the search are binary.
    missing : str
        ``"missing"``: probes that were never launched say nothing; ``"failed"``: they count as failed (the notebook).
    pair : bool
        False: a pair of servers needs both of them (ablation: no fail-over in the model).
    """

    lnet: str = "or"
    health: str = "beta"
    missing: str = "missing"
    pair: bool = True

    def __post_init__(self):
        choose(self.lnet, ("or", "mixture"), "variant lnet")
        choose(self.health, ("beta", "bernoulli"), "variant health")
        choose(self.missing, ("missing", "failed"), "variant missing")


@dataclass(frozen=True)
class Priors:
    """Priors of the binary model and of the Beta model.

    Attributes
    ----------
    p_up : mapping of str to float
        P(up) in a window by kind of component; kinds that are left out keep the default 0.999.
    up_rate : float
        Success rate of a probe whose path works: 1 - 0.28 %, P(over 1 s | normal) of the digitised Fig. 6.
    up_strength : float or None
        None: that rate is the same for all cells. Else each cell's rate is Beta with this mean and this many
        pseudo-probes, integrated out, which allows for cells that are less reliable than others. 50 is likelier than
        None on training windows of the two-year replay, by 1.7 nats a window without an issue and 2.7 a window of one,
        and no matter on the four real windows (notebook scale).
    down : tuple of float
        Beta(a, b) of a failed path's success rate, integrated out for each cell on its own. No choice is best
        everywhere: the replay's partial losses favour (2, 1), the four real windows, which are outages, (0.5, 1.5).
        (0.5, 0.5) lies between.
    likelihood : str
        ``"counts"``: Binomial, as above; ``"artifact"``: the released notebook's logarithm of a linear mix of counts.
    health : tuple of float
        Beta(a, b) of every component's health in the Beta model. The paper states (0.5, 0.5) (§V-A).
    """

    p_up: Mapping[str, float] = field(default_factory=lambda: DEFAULT_P_UP)
    up_rate: float = 0.9972
    up_strength: float | None = 50.0
    down: tuple[float, float] = (0.5, 0.5)
    likelihood: str = "counts"
    health: tuple[float, float] = (10.0, 0.1)

    def __post_init__(self):
        for kind, value in self.p_up.items():
            choose(kind, KINDS, "kind of component")
            if not 0 < value < 1:
                raise InputError(f"p_up of {kind} is {value!r}; allowed: between 0 and 1")
        object.__setattr__(self, "p_up", MappingProxyType({**DEFAULT_P_UP, **self.p_up}))
        if not 0 < self.up_rate < 1:
            raise InputError(f"up_rate is {self.up_rate!r}; allowed: between 0 and 1")
        for name in ("down", "health"):
            if min(getattr(self, name)) <= 0:
                raise InputError(f"{name} is {getattr(self, name)!r}; allowed: two numbers above 0")
        if self.up_strength is not None and self.up_strength <= 0:
            raise InputError(f"up_strength is {self.up_strength!r}; allowed: above 0, or None")
        choose(self.likelihood, ("counts", "artifact"), "likelihood")

    def of_components(self, kinds: np.ndarray) -> np.ndarray:
        """Return P(up) of every component [components], given the positions of their kinds in ``KINDS``."""
        return np.array([self.p_up[kind] for kind in KINDS])[kinds]

    def _working(self) -> str:
        spread = "" if self.up_strength is None else f" (Beta of weight {self.up_strength:g})"
        return f"{self.up_rate:g}{spread}"

    def __str__(self) -> str:
        shown = ", ".join(f"{kind} {value:g}" for kind, value in self.p_up.items())
        return (
            f"P(up): {shown}; success rate of a working path {self._working()}, "
            f"of a failed one Beta({self.down[0]:g}, {self.down[1]:g})"
        )


# The released notebook: Bernoulli health, 0.999 and for networks 0.99, log of a linear mix of counts.
ARTIFACT = Priors(p_up={"network": 0.99}, likelihood="artifact")
