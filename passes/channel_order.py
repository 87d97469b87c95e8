"""The order in which neighbours are closest: the shortest path through all channels."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Order = NDArray[np.intp]
#: Up to so many channels the path is the shortest of all.
EXACT_SIZE = 10
_LONGEST_SEGMENT = 3


def shortest_order(distances: Floats) -> Order:
    """A short path through all points: the shortest up to 10, else one that no local move makes shorter.

    A path must be shorter than the order as it stands, which else is the answer. The same distances give the same path.

    Shapes: distances (n, n), symmetric -> (n,).
    Source: Held and Karp 1962; Croes 1958 (2-opt); Or 1976 (Or-opt).
    """
    given = np.arange(len(distances))
    is_small = len(distances) <= EXACT_SIZE
    found = exact_order(distances) if is_small else improved(_nearest_neighbours(distances), distances)
    return found if path_length(found, distances) < path_length(given, distances) * (1 - 1e-9) else given


def path_length(order: Order, distances: Floats) -> float:
    """The sum of the distances of neighbours."""
    return float(distances[order[:-1], order[1:]].sum())


def exact_order(distances: Floats) -> Order:
    """The shortest path, from those through all sets of points that end at each."""
    count = len(distances)
    best = np.full((1 << count, count), np.inf)
    before = np.zeros((1 << count, count), np.intp)
    best[1 << np.arange(count), np.arange(count)] = 0.0
    for done in range(1, 1 << count):
        longer = best[done][:, None] + distances
        for point in range(count):
            if not done >> point & 1:
                before[done | 1 << point, point] = longer[:, point].argmin()
                best[done | 1 << point, point] = longer[:, point].min()
    done, last = (1 << count) - 1, int(best[-1].argmin())
    order = [last]
    while len(order) < count:
        done, last = done ^ 1 << last, int(before[done, last])
        order.append(last)
    return np.array(order, np.intp)


def improved(order: Order, distances: Floats) -> Order:
    """The path after moves that make it shorter, until there are none: 2-opt, and Or-opt of up to 3 points.

    A further point at distance 0 from all closes the path, so that its ends are places like any other.
    """
    count = len(order)
    closed = np.zeros((count + 1, count + 1))
    closed[:count, :count] = distances
    tour = np.append(order, count)
    least = 1e-12 * float(distances.max(initial=0.0))
    is_done = False
    while not is_done:
        is_done = True
        for at in range(count):
            is_done &= not _turn(tour, at, closed, least)
        for length in range(1, min(_LONGEST_SEGMENT, count - 1) + 1):
            for point in order:
                is_done &= not _move(tour, point, length, closed, least)
    return np.roll(tour, -1 - int(np.flatnonzero(tour == count)[0]))[:count]


def _turn(tour: Order, at: int, distances: Floats, least: float) -> bool:
    """2-opt: turn what follows `at` around up to the best place. Changes the tour where that makes it shorter."""
    here, ends, after = tour[at], tour[at + 1 :], np.append(tour[at + 2 :], tour[0])
    gains = distances[here, ends[0]] + distances[ends, after] - distances[here, ends] - distances[ends[0], after]
    best = int(gains.argmax())
    if not gains[best] > least:
        return False
    tour[at + 1 : at + 2 + best] = tour[at + 1 : at + 2 + best][::-1].copy()
    return True


def _move(tour: Order, point: int, length: int, distances: Floats, least: float) -> bool:
    """Or-opt: put the points from `point` on in the best other place, turned or not, where that is shorter."""
    turned = np.roll(tour, -int(np.flatnonzero(tour == point)[0]))
    segment, rest = turned[:length], turned[length:]
    first, last, before, after = segment[0], segment[-1], rest[:-1], rest[1:]
    gain = distances[rest[-1], first] + distances[last, rest[0]] - distances[rest[-1], rest[0]]
    gap = distances[before, after]
    costs = np.stack(
        [
            distances[before, first] + distances[last, after] - gap,
            distances[before, last] + distances[first, after] - gap,
        ]
    )
    is_turned, at = np.unravel_index(costs.argmin(), costs.shape)
    if not gain - costs[is_turned, at] > least:
        return False
    moved = segment[::-1] if is_turned else segment
    tour[:] = np.concatenate([rest[: at + 1], moved, rest[at + 1 :]])
    return True


def _nearest_neighbours(distances: Floats) -> Order:
    """From the point that is farthest from all others, always on to the nearest that is left."""
    left = np.ones(len(distances), bool)
    order = [int(distances.sum(1).argmax())]
    for _ in range(len(distances) - 1):
        left[order[-1]] = False
        order.append(int(np.where(left, distances[order[-1]], np.inf).argmin()))
    return np.array(order, np.intp)
