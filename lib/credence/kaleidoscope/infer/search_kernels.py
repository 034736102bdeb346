"""The search for the likeliest explanation, compiled: every move touches only the cells of one variable.

For every variable v, ``gain[v]`` is the sum, over its cells that nothing else makes fail, of the log-likelihood of
having failed minus that of what they are otherwise; for routers in turn ``height[v, level]`` is the same sum of the
log-likelihood at each level. A change of variable j changes these sums only for what shares a cell with j.
"""

import numpy as np
from numba import njit

TOLERANCE = 1e-9
KEPT = 64  # alternatives kept, and changes kept of each


@njit(cache=True)
def _live(c, variables, level, mixed, column, code, table):
    """Log-likelihood of cell c if nothing in it is fatal."""
    for j in range(variables.shape[1]):
        v = variables[c, j]
        if v >= 0 and mixed[v]:
            return table[code[c], column[v, level[v]]]
    return table[code[c], 0]


@njit(cache=True)
def _count_cell(c, u, sign, live, variables, size, mixed, column, code, table, gain, height):
    """Add (or take away) cell c to the sums of variable u."""
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
def move(v, target, start, cells, variables, size, fatal, mixed, column, code, table, level, dead, gain, height):
    """Put variable v at level `target` and bring all sums up to date."""
    before, after = level[v] >= fatal[v], target >= fatal[v]
    if not before and not after:
        if mixed[v] and level[v] != target:
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
        level[v] = target
        return
    if before and after:
        level[v] = target
        return
    if before:  # from here on v is at its new level, the count of fatal variables is that of the others
        level[v] = target
    step = -1 if before else 1
    for i in range(start[v], start[v + 1]):
        c = cells[i]
        others = dead[c] - 1 if before else dead[c]
        if others == 0:
            live = _live(c, variables, level, mixed, column, code, table)
            for j in range(variables.shape[1]):
                u = variables[c, j]
                if u >= 0 and u != v:
                    _count_cell(c, u, -step, live, variables, size, mixed, column, code, table, gain, height)
        elif others == 1:
            u = _sole(c, variables, level, fatal, v)
            live = _live(c, variables, level, mixed, column, code, table)
            _count_cell(c, u, -step, live, variables, size, mixed, column, code, table, gain, height)
        dead[c] += step
    level[v] = target


@njit(cache=True)
def _worth(v, target, level, fatal, mixed, odds, gain, height):
    """Change of the log posterior if v goes to level `target`."""
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
def _best(size, fatal, mixed, odds, level, gain, height, banned, locked):
    """The best single change: add to all, remove from those that are down."""
    best, chosen, target = TOLERANCE, -1, 0
    for v in range(len(size)):
        if mixed[v]:
            for d in range(size[v] + 1):
                if d == level[v] or (d > level[v] and banned[v]) or (d < level[v] and locked[v]):
                    continue
                worth = _worth(v, d, level, fatal, mixed, odds, gain, height)
                if worth > best:
                    best, chosen, target = worth, v, d
        elif level[v] == 0:
            if banned[v]:
                continue
            worth = gain[v] + odds[v, fatal[v]]
            if worth > best:
                best, chosen, target = worth, v, fatal[v]
        elif not locked[v]:
            worth = -gain[v] - odds[v, level[v]]
            if worth > best:
                best, chosen, target = worth, v, 0
    return best, chosen, target


@njit(cache=True)
def _descend(frame, state, total, banned, locked, journal, used):
    """Make the best change until none helps; every change goes into the journal."""
    start, cells, variables, size, fatal, mixed, column, code, table, odds = frame
    level, dead, gain, height = state
    while used < len(journal):
        worth, v, target = _best(size, fatal, mixed, odds, level, gain, height, banned, locked)
        if v < 0:
            break
        journal[used, 0], journal[used, 1] = v, level[v]
        used += 1
        move(v, target, start, cells, variables, size, fatal, mixed, column, code, table, level, dead, gain, height)
        total += worth
    return total, used


@njit(cache=True)
def _undo(frame, state, journal, used, back_to):
    start, cells, variables, size, fatal, mixed, column, code, table, _ = frame
    level, dead, gain, height = state
    while used > back_to:
        used -= 1
        v, target = journal[used, 0], journal[used, 1]
        move(v, target, start, cells, variables, size, fatal, mixed, column, code, table, level, dead, gain, height)
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
    start, cells, variables, size, fatal, mixed, column, code, table, odds = frame
    level, dead, gain, height = state
    n = 0
    for v in down:
        if level[v] == 0:
            continue
        since = used
        before = _worth(v, 0, level, fatal, mixed, odds, gain, height)
        journal[used, 0], journal[used, 1] = v, level[v]
        used += 1
        move(v, 0, start, cells, variables, size, fatal, mixed, column, code, table, level, dead, gain, height)
        banned[v] = True
        tried, used = _descend(frame, state, total + before, banned, locked, journal, used)
        banned[v] = False
        if n < KEPT:
            _note(level, journal, used, since, tried - total, n, other, change)
            n += 1
        if tried > total + TOLERANCE:
            tried, used = _descend(frame, state, tried, banned, locked, journal, used)
            return tried, used, True
        used = _undo(frame, state, journal, used, since)
    return total, used, False


@njit(cache=True)
def _replace(frame, state, total, banned, locked, journal, used, down):
    """Blame one more variable that shares cells with blamed ones, and drop what it makes needless."""
    start, cells, variables, size, fatal, mixed, column, code, table, odds = frame
    level, dead, gain, height = state
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
        worth = _worth(v, fatal[v], level, fatal, mixed, odds, gain, height)
        if worth + saved[v] <= TOLERANCE:
            continue
        since = used
        journal[used, 0], journal[used, 1] = v, level[v]
        used += 1
        move(v, fatal[v], start, cells, variables, size, fatal, mixed, column, code, table, level, dead, gain, height)
        locked[v] = True
        tried, used = _descend(frame, state, total + worth, banned, locked, journal, used)
        locked[v] = False
        if tried > total + TOLERANCE:
            tried, used = _descend(frame, state, tried, banned, locked, journal, used)
            return tried, used, True
        used = _undo(frame, state, journal, used, since)
    return total, used, False


@njit(cache=True)
def improve(frame, state, total, swap, other, change):
    """From all up to a local optimum under add, remove and swap; returns the log posterior."""
    size = frame[3]
    level = state[0]
    banned = np.zeros(len(size), np.bool_)
    locked = np.zeros(len(size), np.bool_)
    journal = np.empty((4 * len(size) + 64, 2), np.int64)
    total, _ = _descend(frame, state, total, banned, locked, journal, 0)
    while swap:
        down = np.flatnonzero(level)
        if len(down) == 0:
            break
        change[:, :, 0] = -1
        total, _, better = _swap(frame, state, total, banned, locked, journal, 0, down, other, change)
        if not better:
            total, _, better = _replace(frame, state, total, banned, locked, journal, 0, down)
        if not better:
            break
    return total


@njit(cache=True)
def base(start, cells, variables, size, mixed, column, code, table, gain, height):
    """Sums when all is up: fills gain and height, returns the log-likelihood."""
    total = 0.0
    for c in range(len(code)):
        live = table[code[c], 0]
        total += live
        for j in range(variables.shape[1]):
            u = variables[c, j]
            if u >= 0:
                _count_cell(c, u, 1.0, live, variables, size, mixed, column, code, table, gain, height)
    return total


@njit(cache=True)
def deviate(usual, variables, size, mixed, column, code, table, gain, height):
    """Change sums from those of the usual counts to those of this window; returns the change of log-likelihood."""
    total = 0.0
    for c in range(len(code)):
        if code[c] == usual[c]:
            continue
        new, old = table[code[c], 0], table[usual[c], 0]
        total += new - old
        for j in range(variables.shape[1]):
            u = variables[c, j]
            if u < 0:
                continue
            if mixed[u]:
                for d in range(size[u] + 1):
                    height[u, d] += table[code[c], column[u, d]] - table[usual[c], column[u, d]]
            else:
                gain[u] += (table[code[c], 1] - new) - (table[usual[c], 1] - old)
    return total


@njit(cache=True)
def clear(level, dead, start, cells):
    """Make everything up again, touching only the cells of what was down."""
    for v in range(len(level)):
        if level[v] > 0:
            for i in range(start[v], start[v + 1]):
                dead[cells[i]] = 0
            level[v] = 0


@njit(cache=True)
def replay(usual, codes, start, cells, variables, size, fatal, mixed, column, table, odds, gain0, height0, base0):
    """Search many windows of the same cells: codes [windows, cells] -> levels and log posteriors."""
    windows = codes.shape[0]
    level = np.zeros(len(size), np.int8)
    dead = np.zeros(codes.shape[1], np.int16)
    levels = np.zeros((windows, len(size)), np.int8)
    totals = np.empty(windows)
    other = np.empty(KEPT)
    change = np.empty((KEPT, KEPT, 2), np.int32)
    for w in range(windows):
        code = codes[w]
        gain, height = gain0.copy(), height0.copy()
        total = base0 + deviate(usual, variables, size, mixed, column, code, table, gain, height)
        frame = (start, cells, variables, size, fatal, mixed, column, code, table, odds)
        totals[w] = improve(frame, (level, dead, gain, height), total, True, other, change)
        levels[w] = level
        clear(level, dead, start, cells)
    return levels, totals
