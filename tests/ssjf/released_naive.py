"""The released evaluation once more, slow and obvious: a clock that ticks, one server, lists of jobs.

Written from the description in ``released_quirks``, not from the fast code. Times are multiples of the tick and all
arithmetic is on dyadic numbers, so results can be compared for equality.
"""

TICK = 0.25


class Job:
    def __init__(self, number, arrival, service, key=None, belief=None):
        self.number, self.arrival, self.service, self.key, self.belief = number, arrival, service, key, belief
        self.left, self.waited, self.end, self.running_before = service, 0.0, None, False


def _jobs(arrival, service, key=None, belief=None):
    none = [None] * len(arrival)
    columns = zip(arrival, service, none if key is None else key, none if belief is None else belief, strict=True)
    return [Job(i, *values) for i, values in enumerate(columns)]


def _length(batch, slowdown, continuous):
    choose = min if continuous else max
    work = choose(job.left for job in batch)
    return work, work * (1 + slowdown * (len(batch) - 1))


def fcfs(arrival, service, slots, timeout, slowdown, continuous):
    jobs = _jobs(arrival, service)
    to_come, batch, clock = list(jobs), [], 0.0
    opened = until = None
    work = 0.0
    while any(job.end is None for job in jobs):
        if until is not None and clock >= until:
            for job in batch:
                job.left -= work
                job.end = clock if job.left <= 0 else None
            batch = [job for job in batch if job.end is None]
            until = opened = None
        if until is None:
            if opened is None and (batch or (to_come and to_come[0].arrival <= clock)):
                opened = clock
            if opened is not None:
                while to_come and to_come[0].arrival <= clock and len(batch) < slots:
                    batch.append(to_come.pop(0))
                if len(batch) == slots or clock >= opened + timeout:
                    work, wall = _length(batch, slowdown, continuous)
                    until = clock + wall
        clock += TICK
    return [job.end for job in jobs]


def sjf(
    arrival,
    service,
    key,
    belief,
    slots,
    slowdown,
    continuous,
    by_left,
    true_age,
    resume_base,
    resume_per_s,
    serve_all,
):
    jobs = _jobs(arrival, service, key, belief)
    to_come, waiting, batch, clock = list(jobs), [], [], 0.0
    until, round_before, work = None, 0.0, 0.0
    while True:
        while to_come and to_come[0].arrival <= clock:
            waiting.append(to_come.pop(0))
        if until is not None and clock >= until:
            for job in batch:
                job.left -= work
                if job.left <= 0:
                    job.end = clock
                else:
                    waiting.append(job)
            for job in waiting:
                job.waited += clock - round_before
            round_before, until = clock, None
        if until is None and not waiting and len(to_come) <= (0 if serve_all else 1):
            return [job.end for job in jobs]
        if until is None and waiting:
            eldest = max(waiting, key=lambda job: job.waited)
            patience = eldest.left if true_age else eldest.belief
            if eldest.waited > 100 or eldest.waited > 10 * patience:
                waiting = sorted(waiting, key=lambda job: job.waited, reverse=True)
            else:
                waiting = sorted(waiting, key=lambda job: job.left if by_left else job.key)
            before, batch, waiting = batch, waiting[:slots], waiting[slots:]
            for job in batch:
                started = job.left < job.service
                if started and job not in before:
                    job.left += resume_base + resume_per_s * (job.service - job.left)
            work, wall = _length(batch, slowdown, continuous)
            until = clock + wall
        clock += TICK
