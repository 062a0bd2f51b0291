"""The kernels of sampled fields against the slow reference, and what must hold whatever the samples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from aggregate import ragged
from aggregate.counter import counter
from aggregate.gauge import ends, gauge, summary
from aggregate.holds import Holds
from aggregate.state import state
from devices.columns import Times
from tests.aggregate import reference
from tests.aggregate.cases import LABELS, Case, cases

NS = 1e9
FINER = st.lists(st.integers(0, 60), max_size=12)


def cells(case: Case, expected: object) -> NDArray[np.float64]:
    """The reference's nested lists as an array, also where there are no series."""
    return np.array(expected, np.float64).reshape(-1, len(case.edge_ticks) - 1)


def near(actual: ArrayLike, expected: ArrayLike) -> None:
    np.testing.assert_allclose(np.asarray(actual, np.float64), np.asarray(expected, np.float64), rtol=1e-9, atol=1e-9)


def coarse(case: Case, fine: Case, partial: ArrayLike) -> ArrayLike:
    """The partials of finer buckets, added up to those of the coarser ones."""
    starts = np.searchsorted(fine.edge_ticks, case.edge_ticks[:-1])
    return np.add.reduceat(np.asarray(partial, np.float64), starts, axis=1)


@given(cases())
def test_boundaries_are_those_of_a_search_in_each_series(case: Case) -> None:
    expected = [
        offset + np.searchsorted(np.array(times, np.int64), case.edges)
        for offset, times in zip(case.offsets, case.series, strict=False)
    ]
    longest = max(map(len, case.series), default=0)
    for found in (
        ragged.boundaries(case.time, case.offsets, case.edges),
        ragged._by_counting(case.time, case.offsets, case.edges),
        ragged._by_bisection(case.time, case.offsets, case.edges, longest),
        ragged._by_interpolation(case.time, case.offsets, case.edges),
    ):
        assert found.dtype == np.intp
        np.testing.assert_array_equal(found, np.array(expected, np.intp).reshape(-1, len(case.edges)))


@pytest.mark.parametrize("seed", range(8))
def test_boundaries_of_long_series_are_right_however_uneven_these_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    last = np.iinfo(np.int64).max // 2
    series = [
        np.arange(1000) * 60_000_000_000,  # by the clock
        np.cumsum(rng.integers(1, 10 ** rng.integers(1, 15), 5000)),  # now and then
        np.concatenate([np.arange(900), 10**18 + np.arange(900)]),  # two bursts, decades apart
        np.concatenate([np.arange(999), [last]]),
        np.array([7]),
        np.array([], np.int64),
    ]
    rng.shuffle(series)
    time, offsets = np.concatenate(series), np.cumsum([0, *map(len, series)])
    edges = np.unique(np.concatenate([[0, last], rng.choice(time, 200), rng.integers(0, 10**18, 200)]))
    expected = [begin + np.searchsorted(each, edges) for begin, each in zip(offsets, series, strict=False)]
    np.testing.assert_array_equal(ragged.boundaries(time, offsets, edges), expected)


@given(cases())
def test_gauge_equals_the_reference(case: Case) -> None:
    partials = gauge(case.holds, case.flat_values)
    args = (case.edge_list, case.max_hold_ns)
    near(partials.integral, cells(case, reference.integral(case.series, case.values, *args)) / NS)
    np.testing.assert_array_equal(partials.observed, cells(case, reference.observed(case.series, *args)) / NS)
    low, high = reference.extremes(case.series, case.values, *args)
    np.testing.assert_array_equal(partials.low, cells(case, low))
    np.testing.assert_array_equal(partials.high, cells(case, high))


@given(cases())
def test_ends_are_the_first_and_last_sample_of_each_bucket(case: Case) -> None:
    found = ends(case.holds, case.flat_values)
    for row, times in enumerate(case.series):
        for bucket in range(len(case.edge_list) - 1):
            inside = [i for i, time in enumerate(times) if reference.bucket_of(time, case.edge_list) == bucket]
            if inside:
                assert found.first_time[row, bucket] == times[inside[0]]
                assert found.first[row, bucket] == case.values[row][inside[0]]
                assert found.last_time[row, bucket] == times[inside[-1]]
                assert found.last[row, bucket] == case.values[row][inside[-1]]
            else:
                assert np.isnan(found.first[row, bucket])
                assert np.isnan(found.last[row, bucket])
                assert found.first_time[row, bucket] > found.last_time[row, bucket]


@given(cases())
def test_state_equals_the_reference(case: Case) -> None:
    partials = state(case.holds, case.flat_codes, LABELS)
    args = (case.series, case.codes, case.edge_list)
    seconds = reference.label_seconds(*args, case.max_hold_ns, LABELS)
    entries = reference.label_entries(*args, LABELS)
    for label in range(LABELS):
        np.testing.assert_array_equal(partials.seconds[..., label], cells(case, seconds[label]) / NS)
        np.testing.assert_array_equal(partials.entries[..., label], cells(case, entries[label]))
    near(partials.seconds.sum(axis=-1), partials.observed)


@given(cases(low=0.0))
def test_counter_equals_the_reference(case: Case) -> None:
    partials = counter(case.time, case.flat_values, case.offsets, case.edges, case.max_hold_ns)
    increase, observed = reference.increase(case.series, case.values, case.edge_list, case.max_hold_ns)
    near(partials.increase, cells(case, increase))
    np.testing.assert_array_equal(partials.observed, cells(case, observed) / NS)
    assert (partials.increase >= 0).all()


@given(cases(low=0.0))
def test_increases_add_up_to_the_total(case: Case) -> None:
    whole = Case(case.ticks, sorted({-1, *case.edge_ticks, 61}), case.hold_ticks, case.values, case.codes)
    partials = counter(whole.time, whole.flat_values, whole.offsets, whole.edges, whole.max_hold_ns)
    for found, values in zip(partials.increase, whole.values, strict=True):
        assert math.isclose(found.sum(), math.fsum(reference.rises(values)), rel_tol=1e-9)


@given(cases(low=0.0), FINER)
def test_finer_buckets_add_up_to_coarser_ones(case: Case, more: list[int]) -> None:
    fine = case.refined(more)
    for made in (
        lambda each: gauge(each.holds, each.flat_values).integral,
        lambda each: each.holds.observed,
        lambda each: state(each.holds, each.flat_codes, LABELS).seconds,
        lambda each: state(each.holds, each.flat_codes, LABELS).entries,
        lambda each: counter(each.time, each.flat_values, each.offsets, each.edges, each.max_hold_ns).increase,
        lambda each: counter(each.time, each.flat_values, each.offsets, each.edges, each.max_hold_ns).observed,
    ):
        near(coarse(case, fine, made(fine)), made(case))


@given(cases(low=0.0), st.integers(0, 4))
def test_some_series_and_the_others_are_all_series(case: Case, cut: int) -> None:
    parts = (case.only(slice(cut)), case.only(slice(cut, None)))
    for made in (
        lambda each: gauge(each.holds, each.flat_values).integral,
        lambda each: state(each.holds, each.flat_codes, LABELS).seconds,
        lambda each: state(each.holds, each.flat_codes, LABELS).entries,
        lambda each: counter(each.time, each.flat_values, each.offsets, each.edges, each.max_hold_ns).increase,
    ):
        np.testing.assert_array_equal(np.concatenate([made(part) for part in parts]), made(case))


@pytest.mark.parametrize(
    ("edges", "seconds"),
    [
        ([0, 10, 20], [1 + 4, 4]),  # carried in until 1; the sample at 10 is the later bucket's
        ([-4, 0], [3]),
        ([14, 30], [0]),  # the sample at 10 holds no longer than to 14
        ([2, 4, 6, 12], [2, 2, 2]),
        ([20, 30, 40], [0, 0]),
    ],
)
def test_a_sample_holds_for_max_hold_at_most(edges: list[int], seconds: list[float]) -> None:
    holds = Holds.sampled(_s([-3, 2, 10]), np.array([0, 3]), _s(edges), 4 * 10**9)
    np.testing.assert_array_equal(holds.observed, [seconds])


def test_one_lone_sample_fills_what_it_holds() -> None:
    holds = Holds.sampled(_s([5]), np.array([0, 1]), _s([0, 10, 20, 30]), 12 * 10**9)
    partials = gauge(holds, np.array([3.0]))
    np.testing.assert_array_equal(partials.integral, [[15, 21, 0]])
    np.testing.assert_array_equal(partials.low, [[3, 3, np.inf]])
    np.testing.assert_array_equal(state(holds, np.array([1], np.int32), 2).entries, np.zeros((1, 3, 2)))


def test_a_change_across_a_gap_is_an_entry_where_it_is_seen() -> None:
    holds = Holds.sampled(_s([1, 25]), np.array([0, 2]), _s([0, 10, 20, 30]), 10**9)
    np.testing.assert_array_equal(state(holds, np.array([0, 1], np.int32), 2).entries[..., 1], [[0, 0, 1]])


def test_an_increase_is_spread_over_edges_but_not_over_a_gap() -> None:
    # 100 → 160 over 6 s, of which 2 lie in the first bucket; a reset to 7 over 3 s; then 14 s away, another 5.
    time, values = _s([8, 14, 17, 31]), np.array([100.0, 160.0, 7.0, 12.0])
    partials = counter(time, values, np.array([0, 4]), _s([0, 10, 20, 30, 40]), 6 * 10**9)
    np.testing.assert_array_equal(partials.increase, [[20, 40 + 7, 0, 5]])
    np.testing.assert_array_equal(partials.observed, [[2, 7, 0, 0]])


def test_a_register_that_falls_at_every_sample_counts_each_new_value() -> None:
    values = np.arange(5.0, 0.0, -1.0)
    partials = counter(_s([0, 1, 2, 3, 4]), values, np.array([0, 5]), _s([0, 10]), 10**9)
    np.testing.assert_array_equal(partials.increase, [[4 + 3 + 2 + 1]])


@pytest.mark.parametrize("after", [1e-12, 0.0, 0.5])
def test_what_a_register_shows_after_a_reset_loses_no_digits(after: float) -> None:
    time, edges = np.arange(4, dtype=np.int64) * 10**9, np.array([0, 4], np.int64) * 10**9
    partials = counter(time, np.array([1e9, 1e9, after, after]), np.array([0, 4]), edges, 10**9)
    assert partials.increase.tolist() == [[after]]


def test_integrals_do_not_cancel() -> None:
    # A running sum over the first series would drown the second in its rounding.
    time = np.tile(np.arange(1000, dtype=np.int64) * 10**9, 2)
    values = np.concatenate([np.full(1000, 1e12), np.full(1000, 1e-12)])
    holds = Holds.sampled(time, np.array([0, 1000, 2000]), _s([0, 500, 1000]), 10**9)
    np.testing.assert_allclose(gauge(holds, values).integral[1], [500e-12, 500e-12], rtol=1e-12)


@pytest.mark.parametrize("series", [0, 1, 3])
def test_series_without_samples_are_unobserved(series: int) -> None:
    time, offsets, edges = np.empty(0, np.int64), np.zeros(series + 1, np.intp), _s([0, 1, 2])
    holds = Holds.sampled(time, offsets, edges, 10**9)
    empty = np.zeros((series, 2))
    np.testing.assert_array_equal(gauge(holds, np.empty(0)).integral, empty)
    np.testing.assert_array_equal(state(holds, np.empty(0, np.int32), 2).seconds, np.zeros((series, 2, 2)))
    np.testing.assert_array_equal(counter(time, np.empty(0), offsets, edges, 10**9).increase, empty)


def _s(seconds: list[int]) -> Times:
    return np.array(seconds, np.int64) * 10**9


@given(cases())
def test_summaries_are_those_of_the_samples_in_each_bucket(case: Case) -> None:
    found = summary(case.holds, case.flat_values)
    for row, (times, values) in enumerate(zip(case.series, case.values, strict=True)):
        for bucket in range(len(case.edge_list) - 1):
            inside = [
                value
                for time, value in zip(times, values, strict=True)
                if reference.bucket_of(time, case.edge_list) == bucket
            ]
            assert found.count[row, bucket] == len(inside)
            np.testing.assert_allclose(found.total[row, bucket], sum(inside), rtol=1e-12, atol=1e-9)
            assert found.low[row, bucket] == min(inside, default=np.inf)
            assert found.high[row, bucket] == max(inside, default=-np.inf)
