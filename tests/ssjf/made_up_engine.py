"""A made-up model and clock for tests of the engine: every pass takes what a profile says, or nothing moves at all."""

from credence.ssjf.engine import Sequence
from credence.ssjf.model.profiles import decode_s, prefill_s


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self):
        self.seconds = 0.0

    def now(self):
        return self.seconds

    def wait_until(self, instant):
        assert instant > self.seconds
        self.seconds = instant


class ProfileModel:
    """Passes cost what `profile` says; an answer ends after as many tokens as its prompt's first token."""

    def __init__(self, clock, profile, slots):
        self.clock, self.profile, self.slots = clock, profile, slots
        self.inside: list[Sequence] = []

    def _give(self, sequences):
        for sequence in sequences:
            done = len(sequence.generated) >= sequence.prompt[0] if sequence.prompt else False
            sequence.add(-1 if done else 7, {-1})

    def prefill(self, sequences):
        self.inside += sequences
        assert len(self.inside) <= self.slots
        self.clock.seconds += prefill_s(self.profile, sum(len(s.prompt) + len(s.generated) for s in sequences))
        self._give(sequences)

    def decode(self, sequences):
        assert {id(s) for s in sequences} == {id(s) for s in self.inside}
        context = sum(len(s.prompt) + len(s.generated) for s in sequences)
        self.clock.seconds += decode_s(self.profile, len(sequences), context)
        self._give(sequences)

    def seat(self, sequences):
        self.inside += sequences
        assert len(self.inside) <= self.slots

    def release(self, sequence):
        self.inside = [other for other in self.inside if other is not sequence]
