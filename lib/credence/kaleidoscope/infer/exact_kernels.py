"""Sums over the states of trees, compiled."""

import numpy as np
from numba import njit


@njit(cache=True)
def fill(node, parent, offset, size, fatal, mixed, column, cell_variables, cell_node, cell_mask, code, table, width):
    """Log-likelihood of cells by term and mask, relative to having failed; and that of having failed.

    Returns
    -------
    terms : [terms, width]
    failed : [nodes]
    """
    terms = np.zeros((offset[-1], width))
    failed = np.zeros(len(node))
    chain = np.empty(64, np.int64)
    on = np.empty(64, np.bool_)
    for c in range(len(code)):
        n = cell_node[c]
        if n < 0:
            continue
        down = table[code[c], 1]
        failed[n] += down
        depth = 0
        at = n
        while at >= 0:
            chain[depth] = at
            on[depth] = False
            for j in range(cell_variables.shape[1]):
                if cell_variables[c, j] == node[at]:
                    on[depth] = True
            depth += 1
            at = parent[at]
        for x in range(offset[n + 1] - offset[n]):
            rest = x
            share = 0
            dead = False
            for i in range(depth):
                v = node[chain[i]]
                states = size[v] + 1
                level = rest % states
                rest //= states
                if on[i]:
                    if level >= fatal[v]:
                        dead = True
                        break
                    if mixed[v]:
                        share = column[v, level]
            if not dead:
                terms[offset[n] + x, cell_mask[c]] += table[code[c], share] - down
    return terms, failed


@njit(cache=True)
def _inside(first, last, parent, offset, states, log_prior, terms, live, reach, total):
    """Upward pass of one block: `total` [terms] gets log weights, the return value is the block's log sum."""
    masks = len(live)
    base = offset[first]
    for n in range(first, last):
        s = states[n]
        for x in range(offset[n + 1] - offset[n]):
            value = log_prior[n, x % s]
            for m in range(masks):
                if live[m]:
                    value += terms[offset[n] + x, m]
            total[offset[n] - base + x] = value
    result = 0.0
    for n in range(last - 1, first - 1, -1):
        s = states[n]
        at = offset[n] - base
        for above in range((offset[n + 1] - offset[n]) // s):
            top = -np.inf
            for k in range(s):
                top = max(top, total[at + above * s + k])
            value = 0.0
            for k in range(s):
                value += np.exp(total[at + above * s + k] - top)
            value = top + np.log(value)
            reach[at + above] = value
            if parent[n] < 0:
                result += value
            else:
                total[offset[parent[n]] - base + above] += value
    return result


@njit(cache=True)
def block_sums(blocks, root, parent, offset, states, log_prior, terms, live, longest):
    """Log sums of blocks of one class: [patterns, blocks]."""
    result = np.empty((len(live), len(blocks)))
    reach, total = np.empty(longest), np.empty(longest)
    for i in range(len(blocks)):
        b = blocks[i]
        for p in range(len(live)):
            result[p, i] = _inside(
                root[b], root[b + 1], parent, offset, states, log_prior, terms, live[p], reach, total
            )
    return result


@njit(cache=True)
def block_levels(blocks, root, parent, offset, states, log_prior, terms, live, weight, longest, marginal, joint):
    """Downward pass: adds to `marginal` [nodes, levels] for patterns of posterior probability `weight`.

    Where `joint` has rows [terms, width + 1] it gets P(term and mask alive), and P(term) in its last column.
    """
    reach, total, chance = np.empty(longest), np.empty(longest), np.empty(longest)
    for i in range(len(blocks)):
        b = blocks[i]
        first, last = root[b], root[b + 1]
        base = offset[first]
        for p in range(len(live)):
            if weight[p] < 1e-18:
                continue
            _inside(first, last, parent, offset, states, log_prior, terms, live[p], reach, total)
            for n in range(first, last):
                s = states[n]
                at = offset[n] - base
                for x in range(offset[n + 1] - offset[n]):
                    above = x // s
                    before = weight[p] if parent[n] < 0 else chance[offset[parent[n]] - base + above]
                    here = before * np.exp(total[at + x] - reach[at + above])
                    chance[at + x] = here
                    marginal[n, x % s] += here
                    if len(joint):
                        joint[offset[n] + x, joint.shape[1] - 1] += here
                        for m in range(live.shape[1]):
                            if live[p, m]:
                                joint[offset[n] + x, m] += here


@njit(cache=True)
def else_up(node, parent, offset, size, fatal, cell_variables, cell_node, cell_mask, joint, without):
    """P(all else that a cell crosses works, at least in part): [cells, V], 0 where there is no variable.

    `without` [cells, V]: for a global component, P(the other global components of the cell are up); -1 for others.
    """
    result = np.zeros(cell_variables.shape)
    every = joint.shape[1] - 1
    for c in range(len(cell_node)):
        n = cell_node[c]
        local = 1.0
        if n >= 0:
            local = 0.0
            for x in range(offset[n + 1] - offset[n]):
                rest, at, broken, culprit = x, n, 0, -1
                while at >= 0:
                    v = node[at]
                    level = rest % (size[v] + 1)
                    rest //= size[v] + 1
                    if level >= fatal[v]:
                        for j in range(cell_variables.shape[1]):
                            if cell_variables[c, j] == v:
                                broken += 1
                                culprit = j
                    at = parent[at]
                if broken == 0:
                    local += joint[offset[n] + x, every]
                for j in range(cell_variables.shape[1]):
                    if without[c, j] < 0 and (broken == 0 or (broken == 1 and j == culprit)):
                        result[c, j] += joint[offset[n] + x, cell_mask[c]]
        for j in range(cell_variables.shape[1]):
            if without[c, j] >= 0:
                result[c, j] = without[c, j] * local
            if cell_variables[c, j] < 0:
                result[c, j] = 0.0
    return result
