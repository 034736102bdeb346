"""The search for the likeliest explanation, compiled: every move touches only the cells of one variable.

For every variable v, ``gain[v]`` is the sum, over its cells that nothing else makes fail, of the log-likelihood of
having failed minus that of what they are otherwise; for routers in turn ``height[v, level]`` is the same sum of the
log-likelihood at each level. A change of variable j changes these sums only for what shares a cell with j. Variables
that may be worth a change are kept in a list (``hot``), so that the best change is found without a look at the rest.

``frame`` is what stays: start, cells, variables (of cells), size, fatal, mixed, column, code, table, odds, cost (the
log prior odds of a variable's fatal level). ``state`` is what a search changes: level, dead (fatal variables by cell),
gain, height, hot, is_hot, many (length of hot, in an array of one).
"""

import numpy as np
from numba import njit

TOLERANCE = 1e-9
KEPT = 64  # alternatives kept, and changes kept of each
NEAR = 15.0  # alternatives less likely than by this, in nats, need not be found


@njit(cache=True)
def _heat(u, frame, state):
    """Put u on the list of variables that may be worth a change."""
    mixed, cost = frame[5], frame[10]
    level, _, gain, _, hot, is_hot, many = state
    if is_hot[u]:
        return
    if not mixed[u]:
        worth = gain[u] + cost[u]
        if (worth if level[u] == 0 else -worth) <= TOLERANCE:
            return
    is_hot[u] = True
    hot[many[0]] = u
    many[0] += 1


@njit(cache=True)
def _heat_all(frame, state):
    for u in range(len(frame[3])):
        _heat(u, frame, state)


@njit(cache=True)
def _count_cell(c, u, sign, live, frame, state):
    """Add (or take away) cell c to the sums of variable u."""
    size, mixed, column, code, table = frame[3], frame[5], frame[6], frame[7], frame[8]
    gain, height = state[2], state[3]
    if mixed[u]:
        for d in range(size[u] + 1):
            height[u, d] += sign * table[code[c], column[u, d]]
    else:
        gain[u] += sign * (table[code[c], 1] - live)


@njit(cache=True)
def _sole(c, variables, level, fatal, besides):
    """The fatal variable of cell c other than `besides`; -1 if there is none."""
    for j in range(variables.shape[1]):
        u = variables[c, j]
        if u >= 0 and u != besides and level[u] >= fatal[u]:
            return u
    return -1


@njit(cache=True)
def _shift(v, target, frame, state):
    """Change the share that routers in turn lose, without any being fatal."""
    start, cells, variables, _, fatal, _, column, code, table, _, _ = frame
    level, dead, gain, _, _, _, _ = state
    old, new = column[v, level[v]], column[v, target]
    for i in range(start[v], start[v + 1]):
        c = cells[i]
        if dead[c] > 1:
            continue
        change = table[code[c], new] - table[code[c], old]
        only = _sole(c, variables, level, fatal, v) if dead[c] == 1 else -1
        for j in range(variables.shape[1]):
            u = variables[c, j]
            if u >= 0 and u != v and (dead[c] == 0 or u == only):
                gain[u] -= change
                _heat(u, frame, state)


@njit(cache=True)
def move(v, target, frame, state):
    """Put variable v at level `target` and bring all sums up to date."""
    start, cells, variables, size, fatal, mixed, column, code, table, _, cost = frame
    level, dead, gain, height, hot, is_hot, many = state
    before, after = level[v] >= fatal[v], target >= fatal[v]
    if before == after:
        if not before and mixed[v] and level[v] != target:
            _shift(v, target, frame, state)
        level[v] = target
        return
    if before:  # from here on v is at its new level, the count of fatal variables is that of the others
        level[v] = target
    step = -1 if before else 1
    any_mixed = table.shape[1] > 2
    found = many[0]
    # written out in one piece: this loop is where the time goes
    for i in range(start[v], start[v + 1]):
        c = cells[i]
        others = dead[c] - (1 if before else 0)
        dead[c] += step
        if others > 1:
            continue
        only = _sole(c, variables, level, fatal, v) if others == 1 else -1
        row = code[c]
        live = table[row, 0]
        if any_mixed:
            for j in range(variables.shape[1]):
                u = variables[c, j]
                if u >= 0 and mixed[u]:
                    live = table[row, column[u, level[u]]]
        less = step * (table[row, 1] - live)
        for j in range(variables.shape[1]):
            u = variables[c, j]
            if u < 0 or u == v or (others == 1 and u != only):
                continue
            if any_mixed and mixed[u]:
                for d in range(size[u] + 1):
                    height[u, d] -= step * table[row, column[u, d]]
                worth = np.inf
            else:
                gain[u] -= less
                worth = gain[u] + cost[u]
                if level[u] > 0:
                    worth = -worth
            if worth > TOLERANCE and not is_hot[u]:
                is_hot[u] = True
                hot[found] = u
                found += 1
    many[0] = found
    level[v] = target
    _heat(v, frame, state)


@njit(cache=True)
def _worth(v, target, frame, state):
    """Change of the log posterior if v goes to level `target`."""
    fatal, mixed, odds = frame[4], frame[5], frame[9]
    level, _, gain, height, _, _, _ = state
    change = odds[v, target] - odds[v, level[v]]
    if mixed[v]:
        return change + height[v, target] - height[v, level[v]]
    before, after = level[v] >= fatal[v], target >= fatal[v]
    if after and not before:
        change += gain[v]
    elif before and not after:
        change -= gain[v]
    return change


@njit(cache=True)
def _best(frame, state, banned, locked):
    """The best single change of what is hot, and the sum of what all of them promise; cools down the others."""
    size, fatal, mixed = frame[3], frame[4], frame[5]
    level, _, _, _, hot, is_hot, many = state
    best, chosen, target, promise = TOLERANCE, -1, 0, 0.0
    kept = 0
    for k in range(many[0]):
        v = hot[k]
        own = 0.0
        if mixed[v]:
            for d in range(size[v] + 1):
                if d == level[v] or (d > level[v] and banned[v]) or (d < level[v] and locked[v]):
                    continue
                worth = _worth(v, d, frame, state)
                own = max(own, worth)
                if worth > best:
                    best, chosen, target = worth, v, d
        else:
            other = fatal[v] if level[v] == 0 else 0
            own = _worth(v, other, frame, state)
            if own > TOLERANCE and ((other > 0 and banned[v]) or (other == 0 and locked[v])):
                hot[kept] = v
                kept += 1
                continue
            if own > best:
                best, chosen, target = own, v, other
        if own > TOLERANCE or mixed[v]:
            promise += own
            hot[kept] = v
            kept += 1
        else:
            is_hot[v] = False
    many[0] = kept
    return best, chosen, target, promise


@njit(cache=True)
def _descend(frame, state, total, banned, locked, journal, used, goal):
    """Make the best change until none helps, or what they promise does not reach the goal; all go into the journal.

    Promises of changes that compete for the same failed cells count in full, so the sum is rarely too low (only where
    changes share the cost of cells that did not fail).
    """
    level = state[0]
    while used < len(journal):
        worth, v, target, promise = _best(frame, state, banned, locked)
        if v < 0 or total + promise < goal:
            break
        journal[used, 0], journal[used, 1] = v, level[v]
        used += 1
        move(v, target, frame, state)
        total += worth
    return total, used


@njit(cache=True)
def _change(v, target, frame, state, journal, used):
    journal[used, 0], journal[used, 1] = v, state[0][v]
    move(v, target, frame, state)
    return used + 1


@njit(cache=True)
def _undo(frame, state, journal, used, back_to):
    while used > back_to:
        used -= 1
        move(journal[used, 0], journal[used, 1], frame, state)
    return used


@njit(cache=True)
def _note(level, journal, used, since, worth, n, other, change):
    """Keep what differs between the explanation before and the one found instead."""
    other[n] = worth
    kept = 0
    for k in range(since, used):
        v = journal[k, 0]
        first = True
        for i in range(since, k):
            if journal[i, 0] == v:
                first = False
        if first and level[v] != journal[k, 1] and kept < KEPT:
            change[n, kept, 0], change[n, kept, 1] = v, level[v]
            kept += 1


@njit(cache=True)
def _swap(frame, state, total, banned, locked, journal, used, down, other, change):
    """Take each blamed variable away, explain the rest without it; keep what is better.

    Returns the total, the journal's length, and whether anything got better.
    """
    level = state[0]
    n = 0
    for v in down:
        if level[v] == 0:
            continue
        since = used
        before = _worth(v, 0, frame, state)
        used = _change(v, 0, frame, state, journal, used)
        banned[v] = True
        tried, used = _descend(frame, state, total + before, banned, locked, journal, used, total - NEAR)
        banned[v] = False
        if n < KEPT and tried > total - NEAR:
            _note(level, journal, used, since, tried - total, n, other, change)
            n += 1
        if tried > total + TOLERANCE:
            tried, used = _descend(frame, state, tried, banned, locked, journal, used, -np.inf)
            return tried, used, True
        used = _undo(frame, state, journal, used, since)
    return total, used, False


@njit(cache=True)
def _replace(frame, state, total, banned, locked, journal, used, down):
    """Blame one more variable that shares cells with blamed ones, and drop what it makes needless."""
    start, cells, variables, size, fatal, _, _, _, _, odds, _ = frame
    level = state[0]
    saved = np.zeros(len(size))
    seen = np.full(len(size), -1)
    for w in down:
        for i in range(start[w], start[w + 1]):
            for j in range(variables.shape[1]):
                v = variables[cells[i], j]
                if v >= 0 and v != w and level[v] < fatal[v] and seen[v] != w:
                    seen[v] = w
                    saved[v] -= odds[w, level[w]]
    for v in range(len(size)):
        if saved[v] <= 0:
            continue
        worth = _worth(v, fatal[v], frame, state)
        if worth + saved[v] <= TOLERANCE:
            continue
        since = used
        used = _change(v, fatal[v], frame, state, journal, used)
        locked[v] = True
        tried, used = _descend(frame, state, total + worth, banned, locked, journal, used, -np.inf)
        locked[v] = False
        if tried > total + TOLERANCE:
            tried, used = _descend(frame, state, tried, banned, locked, journal, used, -np.inf)
            return tried, used, True
        used = _undo(frame, state, journal, used, since)
    return total, used, False


@njit(cache=True)
def improve(frame, state, total, other, change):
    """From all up to a local optimum under add, remove and swap; returns the log posterior."""
    size = frame[3]
    level = state[0]
    banned = np.zeros(len(size), np.bool_)
    locked = np.zeros(len(size), np.bool_)
    _heat_all(frame, state)
    if state[6][0] == 0:
        return total
    journal = np.empty((4 * len(size) + 64, 2), np.int32)
    total, _ = _descend(frame, state, total, banned, locked, journal, 0, -np.inf)
    while True:
        down = np.flatnonzero(level)
        if len(down) == 0:
            break
        other[:] = -np.inf
        change[:, :, 0] = -1
        total, _, better = _swap(frame, state, total, banned, locked, journal, 0, down, other, change)
        if not better:
            total, _, better = _replace(frame, state, total, banned, locked, journal, 0, down)
        if not better:
            break
    return total


@njit(cache=True)
def base(frame, state):
    """Sums when all is up: fills gain and height, returns the log-likelihood."""
    variables, code, table = frame[2], frame[7], frame[8]
    total = 0.0
    for c in range(len(code)):
        live = table[code[c], 0]
        total += live
        for j in range(variables.shape[1]):
            u = variables[c, j]
            if u >= 0:
                _count_cell(c, u, 1.0, live, frame, state)
    return total


@njit(cache=True)
def deviate(usual, frame, state):
    """Change sums from those of the usual counts to those of this window; returns the change of log-likelihood."""
    variables, size, mixed, column, code, table = frame[2], frame[3], frame[5], frame[6], frame[7], frame[8]
    gain, height = state[2], state[3]
    total = 0.0
    for c in range(len(code)):
        if code[c] == usual[c]:
            continue
        new, old = table[code[c], 0], table[usual[c], 0]
        total += new - old
        more = (table[code[c], 1] - new) - (table[usual[c], 1] - old)
        for j in range(variables.shape[1]):
            u = variables[c, j]
            if u < 0:
                continue
            if mixed[u]:
                for d in range(size[u] + 1):
                    height[u, d] += table[code[c], column[u, d]] - table[usual[c], column[u, d]]
            else:
                gain[u] += more
    return total


@njit(cache=True)
def clear(frame, state):
    """Make everything up again, touching only the cells of what was down."""
    start, cells = frame[0], frame[1]
    level, dead, _, _, _, is_hot, many = state
    for v in range(len(level)):
        if level[v] > 0:
            for i in range(start[v], start[v + 1]):
                dead[cells[i]] = 0
            level[v] = 0
    is_hot[:] = False
    many[0] = 0


@njit(cache=True)
def encode(sent, succeeded, missing, failed_too, most, code):
    """Rows of the table from counts, in one pass: returns the first cell that cannot be, or -1."""
    for c in range(len(code)):
        k = succeeded[c]
        f = sent[c] - k - (0 if failed_too else missing[c])
        if k < 0 or f < 0 or k > most or f > most:
            return c
        code[c] = k * (most + 1) + f
    return -1


@njit(cache=True)
def replay(usual, codes, still, gain0, height0, base0):
    """Search many windows of the same cells: codes [windows, cells] -> levels and log posteriors.

    `still` is the frame without code: start, cells, variables, size, fatal, mixed, column, table, odds, cost.
    """
    start, cells, variables, size, fatal, mixed, column, table, odds, cost = still
    windows = codes.shape[0]
    level = np.zeros(len(size), np.int8)
    dead = np.zeros(codes.shape[1], np.int8)
    hot, is_hot, many = np.empty(len(size), np.int32), np.zeros(len(size), np.bool_), np.zeros(1, np.int64)
    levels = np.zeros((windows, len(size)), np.int8)
    totals = np.empty(windows)
    other = np.empty(KEPT)
    change = np.empty((KEPT, KEPT, 2), np.int32)
    for w in range(windows):
        frame = (start, cells, variables, size, fatal, mixed, column, codes[w], table, odds, cost)
        state = (level, dead, gain0.copy(), height0.copy(), hot, is_hot, many)
        total = base0 + deviate(usual, frame, state)
        totals[w] = improve(frame, state, total, other, change)
        levels[w] = level
        clear(frame, state)
    return levels, totals
