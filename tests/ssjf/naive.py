"""The simulator stated again, slowly: one iteration at a time, plain lists, no heaps, no jumps in time.

It shares no code with the library. Costs are read off the profile object field by field; orders are written out as
``min`` and ``max`` over tuples. An instant is "there" when it lies within 1e-9 s.
"""

from dataclasses import dataclass

SOON = 1e-9


@dataclass
class Job:
    index: int
    arrival: float
    eligible: float
    prompt: int
    output: int
    predicted: float
    drawn: float
    since: float
    level: int = 0
    level_since: float = 0.0
    level_tokens: int = 0
    tokens: int = 0
    begun: bool = False
    protected: bool = False
    start: float | None = None
    first: float | None = None
    end: float | None = None
    preemptions: int = 0

    @property
    def context(self):
        return self.prompt + self.tokens

    @property
    def finished(self):
        return self.tokens >= self.output


def on_table(table, size):
    if size <= table[0][0] or len(table) == 1:
        return table[0][1]
    right = next((i for i in range(1, len(table)) if size <= table[i][0]), len(table) - 1)
    (x0, y0), (x1, y1) = table[right - 1], table[right]
    return max(0.0, y0 + (y1 - y0) / (x1 - x0) * (size - x0))


class World:
    """Everything a mode needs: the jobs, the settings, and the definitions of cost and order."""

    def __init__(self, arrival, prompt, output, policy, profile, slots, aging, latency, timeout, predicted, drawn):
        self.policy, self.profile, self.slots, self.aging, self.timeout = policy, profile, slots, aging, timeout
        self.now = 0.0
        self.waiting, self.done, self.coming = [], [], []
        clock = float("-inf")
        for i in range(len(arrival)):
            clock = max(arrival[i], clock) + latency if policy.name in ("ssjf", "psrpt") else arrival[i]
            self.coming.append(
                Job(i, arrival[i], clock, prompt[i], output[i], predicted[i], drawn[i], since=arrival[i])
            )
        self.total = len(self.coming)

    # costs
    def prefill(self, tokens):
        if self.profile.prefill_table:
            return on_table(self.profile.prefill_table, tokens)
        return self.profile.prefill_base_s + self.profile.prefill_per_token_s * tokens

    def decode(self, batch, context):
        if self.profile.decode_table:
            cost = on_table(self.profile.decode_table, batch)
        else:
            cost = self.profile.decode_base_s + self.profile.decode_per_sequence_s * batch
        return cost + self.profile.decode_per_context_token_s * context

    def capacity(self):
        return float("inf") if self.profile.kv_tokens is None else self.profile.kv_tokens

    def needs_prefill(self, job):
        return not job.begun or self.profile.preemption == "recompute"

    def swap(self, job):
        if self.profile.preemption != "swap" or self.needs_prefill(job):
            return 0.0
        return self.profile.swap_base_s + self.profile.swap_per_token_s * job.context

    # order
    def quantum(self, level):
        return float("inf") if level == self.policy.levels - 1 else self.policy.quantum_tokens * 2**level

    def key(self, job):
        return {
            "fcfs": (job.eligible, 0),
            "sjf": (job.output, 0),
            "ssjf": (job.predicted, 0),
            "srpt": (job.output - job.tokens, 0),
            "psrpt": (max(job.predicted - job.tokens, 0), 0),
            "mlfq": (job.level, job.level_since),
            "random": (job.drawn, 0),
        }[self.policy.name]

    def preemptive(self):
        return self.policy.name in ("srpt", "psrpt", "mlfq")

    def is_aged(self, job):
        return bool(self.aging) and job.since + self.aging <= self.now + SOON

    def place(self, job):
        """Place in the queue: aged ones first, by how long they have waited."""
        return (0, job.since, 0, job.index) if self.is_aged(job) else (1, *self.key(job), job.index)

    def rank(self, job):
        """Rank among the running; the largest gives way."""
        return (0, job.since, 0, job.index) if job.protected else (1, *self.key(job), job.index)

    def displaces(self, waiting, running):
        return not running.protected and (self.is_aged(waiting) or self.key(waiting)[0] < self.key(running)[0])

    # events
    def arrive(self):
        while self.coming and self.coming[0].eligible <= self.now + SOON:
            job = self.coming.pop(0)
            job.level_since = job.eligible
            if self.policy.name == "mlfq":
                while self.quantum(job.level) * self.decode(1, 0) < self.prefill(job.prompt):
                    job.level += 1
            self.waiting.append(job)

    def promote(self):
        for job in self.waiting:
            due = job.since + self.policy.promote_after_s
            if self.policy.name == "mlfq" and job.level > 0 and due <= self.now + SOON:
                job.level, job.level_tokens, job.level_since = 0, 0, due

    def admit(self, job):
        job.protected = self.is_aged(job)
        self.waiting.remove(job)
        if job.start is None:
            job.start = self.now

    def put_back(self, job):
        job.preemptions += 1
        job.protected = False
        job.since = self.now
        self.waiting.append(job)

    def token(self, job):
        job.tokens += 1
        job.level_tokens += 1
        if job.first is None:
            job.first = self.now

    def maybe_demote(self, job):
        if self.policy.name == "mlfq" and not job.finished and job.level_tokens >= self.quantum(job.level):
            job.level, job.level_tokens, job.level_since = job.level + 1, 0, self.now

    def finish(self, job):
        job.end = self.now
        if job.first is None:
            job.first = self.now
        self.done.append(job)

    def prefilled(self, job):
        if self.profile.prefill_emits_token and not job.finished:
            self.token(job)

    def need(self, job):
        """Cache needed to be admitted and decoded once."""
        gain = 1 if self.profile.prefill_emits_token and self.needs_prefill(job) else 0
        return min(job.context + gain + 1, job.prompt + job.output)


def run_servers(world):
    """Slots on their own clocks. running[slot] = [job, what it does, until when]."""
    running = [None] * world.slots
    while len(world.done) < world.total:
        thresholds = [job.since + world.aging for job in world.waiting if world.aging]
        if world.policy.name == "mlfq":
            thresholds += [job.since + world.policy.promote_after_s for job in world.waiting]
        times = [time for time in thresholds if time > world.now + SOON]
        times += [until for _, _, until in filter(None, running)]
        times += [job.eligible for job in world.coming[:1]]
        world.now = min(times)
        world.arrive()
        for slot, entry in enumerate(running):
            if not entry or entry[2] > world.now + SOON:
                continue
            job, doing, _ = entry
            if doing == "prefill":
                world.prefilled(job)
            elif doing == "decode":
                world.token(job)
            if job.finished:
                world.finish(job)
                running[slot] = None
            else:
                world.maybe_demote(job)
                running[slot] = [job, "boundary", world.now]
        world.promote()

        def begin(slot):
            job = min(world.waiting, key=world.place)
            prefill, swap = world.needs_prefill(job), world.swap(job)
            world.admit(job)
            job.begun = True
            if prefill:
                running[slot] = [job, "prefill", world.now + world.prefill(job.context)]
            elif swap:
                running[slot] = [job, "swap", world.now + swap]
            else:
                running[slot] = [job, "boundary", world.now]

        while world.waiting and None in running:
            begin(running.index(None))
        while world.waiting and world.preemptive():
            open_ = [slot for slot in range(world.slots) if not running[slot][0].protected]
            if not open_:
                break
            worst = max(open_, key=lambda slot: world.rank(running[slot][0]))
            job, doing, _ = running[worst]
            if doing != "boundary" or not world.displaces(min(world.waiting, key=world.place), job):
                break
            begin(worst)
            world.put_back(job)
        for entry in running:
            if entry and entry[1] == "boundary":
                entry[1:] = ["decode", world.now + world.decode(1, entry[0].context)]


def run_engine(world):
    """One engine, shared iterations."""
    running = []
    while len(world.done) < world.total:
        world.arrive()
        if not running and not world.waiting:
            world.now = world.coming[0].eligible
            continue
        world.promote()

        def give_way(job):
            running.remove(job)
            world.put_back(job)

        while sum(job.context + 1 for job in running) > world.capacity():
            give_way(max(running, key=world.rank))

        fresh, overhead, needs = [], 0.0, {job.index: job.context + 1 for job in running}
        while world.waiting:
            head = min(world.waiting, key=world.place)

            def fits(victims, head=head, needs=needs):
                left = [job for job in running if job not in victims]
                needed = sum(needs[job.index] for job in left) + world.need(head)
                return len(left) < world.slots and needed <= world.capacity()

            worse = [job for job in running if world.preemptive() and world.displaces(head, job)]
            worse.sort(key=world.rank, reverse=True)
            enough = [count for count in range(len(worse) + 1) if fits(worse[:count])]
            if not enough:
                break
            for job in worse[: enough[0]]:
                give_way(job)
            needs[head.index] = world.need(head)
            if world.needs_prefill(head):
                fresh.append(head)
            overhead += world.swap(head)
            world.admit(head)
            head.begun = True
            running.append(head)
        if fresh or overhead:
            world.now += overhead + (world.prefill(sum(job.context for job in fresh)) if fresh else 0.0)
            for job in fresh:
                world.prefilled(job)
        else:
            world.now += world.decode(len(running), sum(job.context for job in running))
            for job in running:
                world.token(job)
        for job in list(running):
            if job.finished:
                running.remove(job)
                world.finish(job)
            else:
                world.maybe_demote(job)


def run_batches(world):
    """One engine, closed batches."""
    while len(world.done) < world.total:
        world.arrive()
        if not world.waiting:
            world.now = world.coming[0].eligible
            continue
        deadline = world.now + world.timeout
        while len(world.waiting) < world.slots and world.now < deadline:
            upcoming = world.coming[0].eligible if world.coming else float("inf")
            world.now = min(deadline, upcoming)
            world.arrive()
        world.promote()
        batch, fresh, overhead, needed = [], [], 0.0, 0
        while world.waiting and len(batch) < world.slots:
            head = min(world.waiting, key=world.place)
            if needed + world.need(head) > world.capacity():
                break
            needed += world.need(head)
            if world.needs_prefill(head):
                fresh.append(head)
            overhead += world.swap(head)
            world.admit(head)
            head.begun = True
            batch.append(head)
        world.now += overhead + (world.prefill(sum(job.context for job in fresh)) if fresh else 0.0)
        for job in fresh:
            world.prefilled(job)
        while any(not job.finished for job in batch):
            active = [job for job in batch if not job.finished]
            if sum(job.context for job in batch) + len(active) > world.capacity():
                victim = max(active, key=world.rank)
                batch.remove(victim)
                while victim.level_tokens >= world.quantum(victim.level):
                    victim.level_tokens -= world.quantum(victim.level)
                    victim.level, victim.level_since = victim.level + 1, world.now
                world.put_back(victim)
                continue
            world.now += world.decode(len(batch), sum(job.context for job in batch))
            for job in active:
                world.token(job)
        for job in batch:
            world.finish(job)


def simulate(arrival, prompt, output, *, policy, batching, slots, profile, aging, latency, timeout, predicted, drawn):
    """Return the lists start, first, end, preemptions by request."""
    world = World(arrival, prompt, output, policy, profile, slots, aging, latency, timeout, predicted, drawn)
    if batching == "dynamic":
        run_batches(world)
    elif batching == "none" or profile.prefill == "overlapped":
        run_servers(world)
    else:
        run_engine(world)
    jobs = sorted(world.done, key=lambda job: job.index)
    return [[getattr(job, name) for job in jobs] for name in ("start", "first", "end", "preemptions")]
