"""Slow, obvious twins of the kernels that end a batch: Python's own floats, one weight after the other."""

import numpy as np


def lane_sum(values):
    """Eight lanes, added two by two, and what is left over."""
    values = [float(value) for value in values]
    whole = len(values) // 8 * 8
    lanes = [0.0] * 8
    for place in range(whole):
        lanes[place % 8] += values[place]
    rest = 0.0
    for value in values[whole:]:
        rest += value
    pairs = [lanes[0] + lanes[1], lanes[2] + lanes[3], lanes[4] + lanes[5], lanes[6] + lanes[7]]
    return ((pairs[0] + pairs[1]) + (pairs[2] + pairs[3])) + rest


def clip(value, low, high):
    return min(max(value, low), high)


def factor(w, dependence, origin):
    """f(w) of one weight."""
    s, lo, hi = float(np.abs(origin).max()), float(origin.min()), float(origin.max())
    if dependence == "affine":
        return max(w - lo, 0.0) * max(hi - w, 0.0) / (hi - lo) if hi > lo else 0.0
    if s == 0.0:
        return 0.0
    drive = {"sign-magnitude": w, "signed": abs(w), "positive": max(w, 0.0)}[dependence]
    return drive * clip(1.0 - abs(w) / s, 0.0, 1.0)


def find_change(weight, plus, minus, origin, dependence, *, a_plus, a_minus, gain):
    change = np.zeros(weight.shape)
    for place in np.ndindex(weight.shape):
        delta = a_plus * int(plus[place]) + a_minus * int(minus[place])
        change[place] = gain * (delta * factor(float(weight[place]), dependence, origin))
    return change


def apply_change(weight, change, origin, dependence, step):
    s, lo, hi = float(np.abs(origin).max()), float(origin.min()), float(origin.max())
    moved = np.zeros_like(weight)
    for place in np.ndindex(weight.shape):
        began = float(origin[place])
        low, high = (-s if began < 0 else 0.0), (s if began > 0 else 0.0)
        if dependence == "affine":
            low, high = lo, hi
        moved[place] = clip(float(weight[place]) + step * float(change[place]), low, high)
    return moved


def measure(weight, origin, centre):
    """The six counters of each feature."""
    rows = []
    for row, start in zip(weight.astype(np.float64), origin.astype(np.float64), strict=True):
        x = row - centre
        flips = np.count_nonzero(np.sign(row) != np.sign(start))
        powers = [lane_sum(x), lane_sum(x * x), lane_sum(x * (x * x)), lane_sum((x * x) * (x * x))]
        rows.append([lane_sum((row - start) * (row - start)), flips, *powers])
    return np.array(rows)


def round_weights(weight, bits, bounds):
    """Units of the grid, and the largest |w|, the sum of |w| and that of what is rounded, of each feature."""
    units, reach = np.zeros(weight.shape, dtype=np.int32), []
    for number, row in enumerate(weight.astype(np.float64)):
        acts = row
        if bounds is not None:
            low, high = bounds
            acts = np.array([clip((w - low) / (high - low), 0.0, 1.0) for w in row], np.float32).astype(float)
        units[number] = [round(float(w) * 2**bits) for w in acts]
        reach.append([np.abs(row).max(), lane_sum(np.abs(row)), lane_sum(np.abs(acts))])
    return units, np.array(reach)


def advance(layers, finished, strength, num_images, *, rho, most):
    """One batch of a stage and its twin on whole arrays; masters, finished layers and the brake after it.

    `layers` is a list, the stage first, of dicts: name, weight, origin, change (at strength 1), confine.
    """
    active = [layer for layer in layers if layer["name"] not in finished]
    if layers[0]["name"] in finished:
        active = []
    step, brake = strength / num_images, 1.0
    for layer in active:
        allowed = most * np.linalg.norm(layer["origin"])
        if step * np.linalg.norm(layer["change"]) > allowed:
            brake = min(brake, allowed / (step * np.linalg.norm(layer["change"])))
    masters = {layer["name"]: layer["weight"] for layer in layers}
    for layer in active:
        masters[layer["name"]] = layer["confine"](layer["weight"] + brake * step * layer["change"])
    for place, layer in enumerate(active):
        moved = masters[layer["name"]] - layer["origin"]
        share = np.linalg.norm(moved) / np.linalg.norm(layer["origin"])
        if share >= rho:
            for each in active[place:]:
                way = masters[each["name"]] - each["origin"]
                masters[each["name"]] = each["origin"] + rho / share * way
            return masters, finished | {each["name"] for each in active[place:]}, brake
    return masters, finished, brake
