"""ecseq.Sequences: construction, selection, windows, and every refusal."""

import datetime
import itertools
import pickle

import numpy as np
import pytest

from ecseq._sequences import Sequences

pd = pytest.importorskip("pandas")


def small(**carried):
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    return Sequences(values, np.array([0, 3, 4, 6]), feature_names=["amount", "gap"], **carried)


def table(**columns):
    data = {
        "card": ["b", "a", "b", "a", "c"],
        "ts": [30.0, 10.0, 20.0, 10.0, 5.0],
        "amount": [1.0, 2.0, 3.0, 4.0, 5.0],
        "flag": [True, False, True, False, True],
        "fraud": [1, 0, 0, 1, 0],
        "terminal": ["t1", "t2", "t1", "t3", "t2"],
        "age": [50, 40, 50, 40, 60],
    }
    data.update(columns)
    return pd.DataFrame(data)


class TestConstruction:
    def test_float32_and_int64_are_not_copied(self):
        values = np.ones((5, 3), dtype=np.float32)
        offsets = np.array([0, 2, 5], dtype=np.int64)
        batch = Sequences(values, offsets)
        assert np.shares_memory(batch.values, values)
        assert np.shares_memory(batch.offsets, offsets)
        assert values.flags.writeable
        assert not batch.values.flags.writeable

    def test_memory_map_is_not_copied(self, tmp_path):
        stored = np.memmap(tmp_path / "values", dtype=np.float32, mode="w+", shape=(4, 2))
        assert np.shares_memory(Sequences(stored, [0, 4]).values, stored)

    @pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint8, bool])
    def test_other_numbers_are_converted(self, dtype):
        given = np.array([[1, 0], [0, 1]], dtype=dtype)
        batch = Sequences(given, [0, 1, 2])
        assert batch.values.dtype == np.float32
        np.testing.assert_array_equal(batch.values, given)
        assert not np.shares_memory(batch.values, given)

    def test_fortran_order_is_copied_to_rows(self):
        given = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(3, 2))
        batch = Sequences(given, [0, 3])
        assert batch.values.flags.c_contiguous
        np.testing.assert_array_equal(batch.values, given)

    def test_names_ids_and_lengths(self):
        batch = small(ids=["u", "v", "w"])
        assert batch.feature_names == ["amount", "gap"]
        assert batch.ids.tolist() == ["u", "v", "w"]
        assert batch.lengths.tolist() == [3, 1, 2]
        assert batch.n_features == 2
        assert Sequences([[1.0, 2.0]], [0, 1]).feature_names == ["x0", "x1"]

    def test_from_list(self):
        items = [np.ones((2, 3)), np.zeros((1, 3)), np.full((4, 3), 7)]
        batch = Sequences.from_list(items)
        assert batch.offsets.tolist() == [0, 2, 3, 7]
        for got, expected in zip(batch, items, strict=True):
            np.testing.assert_array_equal(got, expected)

    def test_from_padded_ignores_the_padding(self):
        x = np.arange(12, dtype=np.float64).reshape(2, 3, 2)
        x[0, 2] = np.nan
        batch = Sequences.from_padded(x, [2, 3], feature_names=["a", "b"])
        np.testing.assert_array_equal(batch[0], x[0, :2])
        np.testing.assert_array_equal(batch[1], x[1])
        assert batch.offsets.tolist() == [0, 2, 5]

    def test_datetimes_become_seconds(self):
        times = np.array(["1970-01-01T00:00:01", "1970-01-01T00:01:00"], dtype="datetime64[ns]")
        batch = Sequences([[1.0], [2.0]], [0, 2], times=times)
        assert batch.times.tolist() == [1.0, 60.0]

    def test_pickle_keeps_everything_and_stays_read_only(self):
        batch = small(
            times=[0, 1, 2, 0, 0, 5], labels=[0, 1, 0, 1, 0, 1], entities={"t": list("aabbcc")}
        )
        copy = pickle.loads(pickle.dumps(batch.windows(2)))
        np.testing.assert_array_equal(copy.values, batch.values)
        assert copy.labels.tolist() == [0, 1, 0, 1, 0, 1]
        assert copy.end_entities["t"].tolist() == list("aabbcc")
        assert not copy.values.flags.writeable
        with pytest.raises(ValueError, match="windows already"):
            copy.windows(2)

    def test_repr(self):
        assert repr(small()) == "Sequences(3 sequences, 6 events, 2 features)"
        assert "times, labels, entities t" in repr(
            small(times=[0, 1, 2, 0, 0, 5], labels=np.zeros(6), entities={"t": np.arange(6)})
        )


class TestRefusals:
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, bad):
        values = np.ones((70_000, 2), dtype=np.float32)
        values[69_000, 1] = bad
        with pytest.raises(ValueError, match=r"values: row 69000, column 'gap'.*finite.*(NaN|inf)"):
            Sequences(values, [0, 70_000], feature_names=["amount", "gap"])

    def test_beyond_float32(self):
        with pytest.raises(ValueError, match=r"row 1, column 'x0'.*1e\+39.*float32"):
            Sequences([[1.0], [1e39]], [0, 2])

    @pytest.mark.parametrize(
        ("offsets", "message"),
        [
            ([0, 2, 2, 6], "sequence 1 is empty"),
            ([0, 4, 2, 6], r"increasing.*offsets\[1\] = 4"),
            ([0, 7], "past the end of values \\(6 rows\\)"),
            ([0, 4], "last 2 of 6 rows of values unused"),
            ([1, 6], "first entry to be 0, got 1"),
            ([0], "zero sequences"),
            ([[0, 6]], "one dimension"),
        ],
    )
    def test_offsets(self, offsets, message):
        with pytest.raises(ValueError, match=message):
            Sequences(np.ones((6, 2)), offsets)

    @pytest.mark.parametrize("offsets", [[0.0, 6.0], ["0", "6"], [False, True]])
    def test_offsets_that_are_not_integers(self, offsets):
        with pytest.raises(TypeError, match="offsets: expected integers"):
            Sequences(np.ones((6, 2)), offsets)

    @pytest.mark.parametrize(
        ("values", "error", "message"),
        [
            (np.ones(6), ValueError, r"\[steps, features\], got shape \(6,\); use values.reshape"),
            (np.ones((2, 3, 1)), ValueError, r"got shape \(2, 3, 1\)"),
            (np.ones((0, 2)), ValueError, "zero rows"),
            (np.ones((6, 0)), ValueError, "zero columns"),
            (np.array([["a"]] * 6), TypeError, "values: expected numbers"),
            (np.ones((6, 1)) * 1j, TypeError, "expected numbers, got dtype complex128"),
            ([[1.0], [1.0, 2.0]], ValueError, "values: expected a regular array"),
        ],
    )
    def test_values(self, values, error, message):
        with pytest.raises(error, match=message):
            Sequences(values, [0, 6])

    @pytest.mark.parametrize(
        ("names", "error", "message"),
        [
            (["a"], ValueError, "expected 2, one per column, got 1"),
            (["a", "a"], ValueError, "'a' is named twice"),
            ("ab", TypeError, "expected a list of names"),
            ([1, 2], TypeError, "expected strings"),
        ],
    )
    def test_feature_names(self, names, error, message):
        with pytest.raises(error, match=f"feature_names: .*{message}|feature_names: {message}"):
            Sequences(np.ones((6, 2)), [0, 6], feature_names=names)

    @pytest.mark.parametrize(
        ("carried", "error", "message"),
        [
            (
                {"times": np.arange(5)},
                ValueError,
                r"times: expected one entry per row \(6\), got 5",
            ),
            ({"times": [0, 2, 1, 0, 0, 0]}, ValueError, "times: row 2 .*earlier"),
            ({"times": [0, 1, np.nan, 0, 0, 0]}, ValueError, "times: row 2.*finite"),
            ({"times": ["now"] * 6}, TypeError, "times: expected seconds"),
            ({"times": np.array(["NaT"] * 6, "datetime64[s]")}, ValueError, "times: row 0"),
            ({"labels": [0, 1]}, ValueError, "labels: expected one entry per row"),
            ({"labels": [0, 1, np.nan, 0, 1, 0]}, ValueError, "labels: row 2"),
            ({"labels": [0, 1, np.inf, 0, 1, 0]}, ValueError, "labels: row 2.*finite"),
            ({"entities": {"t": ["a"] * 5}}, ValueError, r"entities\['t'\]: expected one entry"),
            ({"ids": [1, 2]}, ValueError, r"ids: expected one entry per sequence \(3\), got 2"),
        ],
    )
    def test_carried_columns(self, carried, error, message):
        with pytest.raises(error, match=message):
            small(**carried)

    @pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT])
    def test_no_entity_is_none(self, nothing):
        batch = small(entities={"t": np.array(["a", nothing] * 3, dtype=object)})
        assert batch.entities["t"].tolist() == ["a", None] * 3

    def test_times_may_fall_between_sequences_and_repeat_within(self):
        assert small(times=[5, 5, 6, 1, 0, 0]).end_times.tolist() == [6.0, 1.0, 0.0]

    @pytest.mark.parametrize(
        ("items", "error", "message"),
        [
            ([], ValueError, "at least one sequence"),
            ([np.ones((1, 2)), np.ones((0, 2))], ValueError, r"sequences\[1\]: is empty"),
            (
                [np.ones((1, 2)), np.ones((1, 3))],
                ValueError,
                r"sequences\[1\]: expected 2 features",
            ),
            ([np.ones((1, 2)), np.ones(2)], ValueError, r"sequences\[1\]: expected two dimensions"),
            ([[["a"]]], TypeError, r"sequences\[0\]: expected numbers"),
            ([[[1.0]], [[2.0], [np.nan]]], ValueError, r"sequences\[1\]: row 1, column 'x0'"),
            ([[[1e300]]], ValueError, r"sequences\[0\]: row 0.*beyond the range of float32"),
        ],
    )
    def test_from_list(self, items, error, message):
        with pytest.raises(error, match=message):
            Sequences.from_list(items)

    @pytest.mark.parametrize(
        ("lengths", "error", "message"),
        [
            ([0, 1], ValueError, "lengths: row 0: expected 1 to 3, got 0"),
            ([1, 4], ValueError, "lengths: row 1: expected 1 to 3, got 4"),
            ([1], ValueError, "expected one entry per sequence"),
            ([1.0, 2.0], TypeError, "lengths: expected integers"),
        ],
    )
    def test_padded_lengths(self, lengths, error, message):
        with pytest.raises(error, match=message):
            Sequences.from_padded(np.ones((2, 3, 1)), lengths)

    def test_padded_values(self):
        with pytest.raises(ValueError, match=r"x: expected three dimensions"):
            Sequences.from_padded(np.ones((2, 3)), [1, 1])
        with pytest.raises(ValueError, match="zero rows"):
            Sequences.from_padded(np.ones((0, 3, 1)), [])
        x = np.ones((3, 4, 2))
        x[2, 1, 1] = np.nan
        with pytest.raises(ValueError, match="x: row 2, step 1, column 'x1'"):
            Sequences.from_padded(x, [4, 1, 2])


class TestSelection:
    def test_integer_gives_a_read_only_view(self):
        batch = small()
        one = batch[-1]
        np.testing.assert_array_equal(one, batch.values[4:6])
        assert np.shares_memory(one, batch.values)
        with pytest.raises(ValueError, match="read-only"):
            one[0, 0] = 1.0
        np.testing.assert_array_equal(batch[np.int32(1)], batch.values[3:4])

    @pytest.mark.parametrize("index", [3, -4])
    def test_integer_out_of_range(self, index):
        with pytest.raises(IndexError, match="there are 3 sequences"):
            small()[index]

    @pytest.mark.parametrize(
        ("index", "expected"),
        [
            (slice(1, None), [1, 2]),
            (slice(None, None, -1), [2, 1, 0]),
            ([2, 0, 2], [2, 0, 2]),
            (np.array([-1, -3]), [2, 0]),
            (np.array([True, False, True]), [0, 2]),
            ([False, True, False], [1]),
        ],
    )
    def test_sub_batches_share_the_values(self, index, expected):
        batch = small(ids=["u", "v", "w"], labels=np.arange(6))
        part = batch[index]
        assert np.shares_memory(part.values, batch.values)
        assert part.ids.tolist() == [["u", "v", "w"][i] for i in expected]
        assert part.labels.tolist() == [[2, 3, 5][i] for i in expected]
        for got, i in zip(part, expected, strict=True):
            np.testing.assert_array_equal(got, batch[i])

    def test_selection_of_a_selection(self):
        batch = small()
        np.testing.assert_array_equal(batch[1:][1:][0], batch[2])

    @pytest.mark.parametrize(
        ("index", "error", "message"),
        [
            ([True, False], IndexError, "mask of 3 entries, got 2"),
            (np.ones(4, dtype=bool), IndexError, "mask of 3 entries, got 4"),
            ([0, 3], IndexError, "sequence 3 is out of range"),
            ([-4], IndexError, "sequence -4 is out of range"),
            ([0.5], IndexError, "integers or a mask"),
            ([[0]], IndexError, "one dimension"),
            (True, IndexError, "one dimension"),
            ("u", IndexError, "one dimension"),
            (slice(5, 9), ValueError, "holds no sequence"),
            (np.zeros(3, dtype=bool), ValueError, "holds no sequence"),
            ([], ValueError, "holds no sequence"),
        ],
    )
    def test_refusals(self, index, error, message):
        with pytest.raises(error, match=message):
            small()[index]

    def test_offsets_of_a_part(self):
        batch = small()
        with pytest.raises(ValueError, match=r"\.compact\(\)"):
            _ = batch[[0, 2]].offsets
        with pytest.raises(ValueError, match=r"\.compact\(\)"):
            _ = batch[1:].offsets
        assert batch[:].offsets.tolist() == [0, 3, 4, 6]

    def test_compact(self):
        batch = small(times=[0, 1, 2, 0, 0, 5], labels=np.arange(6), entities={"t": list("abcdef")})
        part = batch[[2, 0]].compact()
        assert part.offsets.tolist() == [0, 2, 5]
        np.testing.assert_array_equal(part.values, batch.values[[4, 5, 0, 1, 2]])
        assert part.step_labels.tolist() == [4, 5, 0, 1, 2]
        assert part.times.tolist() == [0, 5, 0, 1, 2]
        assert part.entities["t"].tolist() == list("efabc")
        assert part.row_order.tolist() == [4, 5, 0, 1, 2]
        assert part.ids.tolist() == [2, 0]
        assert not np.shares_memory(part.values, batch.values)
        assert batch.compact() is batch

    def test_compact_of_neighbours_does_not_copy(self):
        batch = small()
        part = batch[1:].compact()
        assert part.offsets.tolist() == [0, 1, 3]
        assert np.shares_memory(part.values, batch.values)
        np.testing.assert_array_equal(part[1], batch[2])


class TestWindows:
    @pytest.mark.parametrize("length", [1, 2, 3, 50])
    def test_against_brute_force(self, length):
        rng = np.random.default_rng(0)
        lengths = rng.integers(1, 9, size=20)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        values = rng.normal(size=(offsets[-1], 3)).astype(np.float32)
        windows = Sequences(values, offsets).windows(length)
        expected = [
            values[max(begin, end - length) : end]
            for begin, stop in itertools.pairwise(offsets)
            for end in range(begin + 1, stop + 1)
        ]
        assert len(windows) == len(values)
        assert np.shares_memory(windows.values, values)
        for got, window in zip(windows, expected, strict=True):
            np.testing.assert_array_equal(got, window)

    def test_carried_columns_are_those_of_the_last_event(self):
        batch = small(
            ids=["u", "v", "w"], times=[0, 1, 2, 9, 3, 4], labels=[0, 1, 0, 1, 1, 0],
            entities={"t": list("abcdef")},
        )  # fmt: skip
        windows = batch.windows(2)
        assert windows.labels.tolist() == [0, 1, 0, 1, 1, 0]
        assert windows.end_times.tolist() == [0, 1, 2, 9, 3, 4]
        assert windows.end_entities["t"].tolist() == list("abcdef")
        assert windows.end_rows.tolist() == list(range(6))
        assert windows.ids.tolist() == ["u", "u", "u", "v", "w", "w"]
        assert batch.labels.tolist() == [0, 1, 0]
        assert batch.end_entities["t"].tolist() == ["c", "d", "f"]

    def test_of_a_sub_batch(self):
        batch = small()
        windows = batch[[2, 1]].windows(20)
        assert windows.starts.tolist() == [4, 4, 3]
        assert windows.stops.tolist() == [5, 6, 4]

    def test_compact_windows(self):
        windows = small().windows(2)
        with pytest.raises(ValueError, match=r"\.compact\(\)"):
            _ = windows.offsets
        compact = windows.compact()
        assert compact.lengths.tolist() == [1, 2, 2, 1, 1, 2]
        for a, b in zip(windows, compact, strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize(
        ("length", "error"),
        [(0, ValueError), (-1, ValueError), (2.0, TypeError), (True, TypeError)],
    )
    def test_bad_length(self, length, error):
        with pytest.raises(error, match="length: expected"):
            small().windows(length)

    def test_windows_of_windows_are_refused(self):
        for windows in (small().windows(2), small().windows(2)[1:], small().windows(2).compact()):
            with pytest.raises(ValueError, match=r"call \.windows\(\) on the batch"):
                windows.windows(2)


class TestSplitByTime:
    def test_windows_by_their_end(self):
        windows = small(times=[0, 1, 2, 9, 3, 4]).windows(3)
        before, after = windows.split_by_time(3)
        assert before.end_times.tolist() == [0, 1, 2]
        assert after.end_times.tolist() == [9, 3, 4]
        assert np.shares_memory(before.values, windows.values)

    @pytest.mark.parametrize(
        "moment",
        [
            "2024-01-02",
            datetime.datetime(2024, 1, 2),
            datetime.datetime(2024, 1, 2, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
            np.datetime64("2024-01-02"),
            pd.Timestamp("2024-01-02"),
            1704153600.0,
        ],
    )
    def test_dates(self, moment):
        times = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[D]")
        batch = Sequences(np.ones((3, 1)), [0, 1, 2, 3], times=times)
        before, after = batch.split_by_time(moment)
        assert (len(before), len(after)) == (1, 2)

    @pytest.mark.parametrize(
        ("moment", "error", "message"),
        [
            (0, ValueError, "no sequence ends before"),
            (100, ValueError, "no sequence ends from"),
            (np.nan, ValueError, "finite time"),
            ("soon", ValueError, "ISO date"),
            (np.datetime64("NaT"), ValueError, "expected a time"),
            (None, TypeError, "seconds or a date"),
            (True, TypeError, "seconds or a date"),
        ],
    )
    def test_refusals(self, moment, error, message):
        with pytest.raises(error, match=message):
            small(times=[0, 1, 2, 9, 3, 4]).split_by_time(moment)

    def test_without_times(self):
        with pytest.raises(ValueError, match="carry no times"):
            small().split_by_time(1)


def arrow(frame):
    return pytest.importorskip("pyarrow").Table.from_pandas(frame, preserve_index=False)


class ArrowStream:
    """A table of a library that only speaks the Arrow C stream."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


KINDS = [lambda frame: frame, arrow, lambda frame: ArrowStream(arrow(frame))]


class TestFromFrame:
    @pytest.mark.parametrize("convert", KINDS, ids=["pandas", "arrow", "stream"])
    def test_sorts_stably_and_carries_the_columns(self, convert):
        batch = Sequences.from_frame(
            convert(table()), by="card", time="ts", features=["amount", "flag"], label="fraud",
            static=["age"], entities=["terminal"],
        )  # fmt: skip
        assert batch.ids.tolist() == ["a", "b", "c"]
        assert batch.row_order.tolist() == [1, 3, 2, 0, 4]
        assert batch.offsets.tolist() == [0, 2, 4, 5]
        assert batch.feature_names == ["amount", "flag", "age"]
        np.testing.assert_array_equal(
            batch.values, [[2, 0, 40], [4, 0, 40], [3, 1, 50], [1, 1, 50], [5, 1, 60]]
        )
        assert batch.times.tolist() == [10, 10, 20, 30, 5]
        assert batch.labels.tolist() == [1, 1, 0]
        assert batch.end_entities["terminal"].tolist() == ["t3", "t1", "t2"]
        assert batch.end_rows.tolist() == [3, 0, 4]

    def test_against_pandas_on_random_tables(self):
        rng = np.random.default_rng(1)
        frame = pd.DataFrame(
            {
                "u": rng.integers(0, 30, 500),
                "t": rng.integers(0, 40, 500),
                "v": rng.normal(size=500),
            }
        )
        batch = Sequences.from_frame(frame, by="u", time="t", features=["v"], entities=["t"])
        expected = frame.sort_values(["u", "t"], kind="stable")
        np.testing.assert_array_equal(batch.row_order, expected.index)
        np.testing.assert_array_equal(batch.values[:, 0], expected["v"].astype(np.float32))
        np.testing.assert_array_equal(batch.lengths, frame.groupby("u").size())
        assert batch.entities["t"].dtype == np.int64

    def test_without_time_keeps_the_order_of_the_table(self):
        batch = Sequences.from_frame(table(), by="card", features=["amount"])
        assert batch.row_order.tolist() == [1, 3, 0, 2, 4]
        assert batch.times is None
        assert batch.end_times is None
        assert batch.labels is None

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    @pytest.mark.parametrize("convert", KINDS[:2], ids=["pandas", "arrow"])
    def test_datetimes_of_any_unit(self, unit, convert):
        ts = pd.Series(
            np.array([30, 10, 20, 10, 5], dtype="datetime64[s]").astype(f"datetime64[{unit}]")
        )
        batch = Sequences.from_frame(
            convert(table(ts=ts)), by="card", time="ts", features=["amount"]
        )
        assert batch.times.tolist() == [10, 10, 20, 30, 5]

    @pytest.mark.parametrize("convert", KINDS[:2], ids=["pandas", "arrow"])
    def test_time_zones_are_converted_to_utc(self, convert):
        ts = pd.to_datetime([30, 10, 20, 10, 5], unit="s", utc=True).tz_convert("America/New_York")
        batch = Sequences.from_frame(
            convert(table(ts=ts)), by="card", time="ts", features=["amount"]
        )
        assert batch.times.tolist() == [10, 10, 20, 30, 5]

    def test_nanoseconds_are_sorted_exactly(self):
        base = np.datetime64("2024-01-01", "ns")
        ts = base + np.array([0, 3, 2, 1, 0], dtype="timedelta64[ns]")
        batch = Sequences.from_frame(
            table(ts=ts, card=["a"] * 5), by="card", time="ts", features=["amount"]
        )
        assert batch.row_order.tolist() == [0, 4, 3, 2, 1]

    @pytest.mark.parametrize(
        "dtype", ["Int64", "Float64", "boolean", "int64[pyarrow]", "bool[pyarrow]"]
    )
    def test_extension_dtypes(self, dtype):
        amount = pd.Series([1, 0, 1, 1, 0]).astype(dtype)
        batch = Sequences.from_frame(table(amount=amount), by="card", features=["amount"])
        assert batch.values.ravel().tolist() == [0, 1, 1, 1, 0]

    def test_pandas_arrow_backed_frame(self):
        frame = table(ts=pd.to_datetime([30, 10, 20, 10, 5], unit="s")).convert_dtypes(
            dtype_backend="pyarrow"
        )
        batch = Sequences.from_frame(
            frame, by="card", time="ts", features=["amount"], label="fraud", entities=["terminal"]
        )
        assert batch.times.tolist() == [10, 10, 20, 30, 5]
        assert batch.ids.tolist() == ["a", "b", "c"]
        assert batch.labels.tolist() == [1, 1, 0]

    @pytest.mark.parametrize("convert", KINDS[:2], ids=["pandas", "arrow"])
    def test_categories(self, convert):
        frame = table()
        frame["card"] = frame["card"].astype("category")
        frame["terminal"] = frame["terminal"].astype("category")
        batch = Sequences.from_frame(
            convert(frame), by="card", time="ts", features=["amount"], entities=["terminal"]
        )
        assert batch.ids.tolist() == ["a", "b", "c"]
        assert batch.end_entities["terminal"].tolist() == ["t3", "t1", "t2"]

    def test_numeric_owners_are_sorted_as_numbers(self):
        batch = Sequences.from_frame(
            table(card=[10, 9, 10, 9, 100]), by="card", features=["amount"]
        )
        assert batch.ids.tolist() == [9, 10, 100]

    def test_the_index_of_the_frame_does_not_matter(self):
        frame = table().set_index(pd.Index([7, 7, 3, 1, 0]))
        batch = Sequences.from_frame(frame, by="card", time="ts", features=["amount"])
        assert batch.row_order.tolist() == [1, 3, 2, 0, 4]

    @pytest.mark.parametrize("convert", KINDS[:2], ids=["pandas", "arrow"])
    @pytest.mark.parametrize("argument", ["by", "time", "label", "features", "static", "entities"])
    def test_missing_column(self, convert, argument):
        arguments = {"by": "card", "time": "ts", "features": ["amount"]}
        arguments[argument] = "hour" if argument in ("by", "time", "label") else ["hour"]
        with pytest.raises(
            ValueError, match=r"no column 'hour'; the columns are 'card', 'ts', 'amount'"
        ):
            Sequences.from_frame(convert(table()), **arguments)

    @pytest.mark.parametrize("convert", KINDS[:2], ids=["pandas", "arrow"])
    @pytest.mark.parametrize("column", ["card", "ts", "amount", "fraud", "age"])
    def test_missing_value(self, convert, column):
        frame = table()
        frame[column] = frame[column].where(np.arange(5) != 3)
        with pytest.raises(ValueError, match=f"row 3, column '{column}'"):
            Sequences.from_frame(
                convert(frame), by="card", time="ts", features=["amount"], label="fraud",
                static=["age"], entities=["terminal"],
            )  # fmt: skip

    @pytest.mark.parametrize("convert", KINDS[:2], ids=["pandas", "arrow"])
    @pytest.mark.parametrize("dtype", ["str", "object", "category", "Int64"])
    def test_an_event_may_have_no_entity(self, convert, dtype):
        terminal = ["1", "2", "1", None, "2"]
        if dtype == "Int64":
            terminal = [None if t is None else int(t) for t in terminal]
        frame = table(terminal=pd.Series(terminal).astype(dtype))
        batch = Sequences.from_frame(
            convert(frame), by="card", features=["amount"], entities=["terminal"]
        )
        expected = [terminal[i] for i in (1, 3, 0, 2, 4)]
        assert batch.entities["terminal"].tolist() == expected

    @pytest.mark.parametrize("convert", KINDS[:2], ids=["pandas", "arrow"])
    def test_infinite_and_too_large(self, convert):
        for bad, message in (
            (np.inf, "finite number, got inf"),
            (1e39, "beyond the range of float32"),
        ):
            frame = table(amount=[1.0, 2.0, bad, 4.0, 5.0])
            with pytest.raises(ValueError, match=f"row 2, column 'amount': .*{message}"):
                Sequences.from_frame(convert(frame), by="card", features=["amount"])
        frame = table(ts=[1.0, np.inf, 2.0, 3.0, 4.0])
        with pytest.raises(ValueError, match="column 'ts': row 1"):
            Sequences.from_frame(convert(frame), by="card", time="ts", features=["amount"])

    @pytest.mark.parametrize(
        ("change", "arguments", "error", "message"),
        [
            ({}, {"static": ["terminal"]}, TypeError, "column 'terminal'.*encode its categories"),
            (
                {"ts": pd.to_datetime([1, 2, 3, 4, 5])},
                {"features": ["ts"]},
                TypeError,
                "the hour or",
            ),
            ({"ts": list("12345")}, {"time": "ts"}, TypeError, "column 'ts'.*pandas.to_datetime"),
            (
                {"age": [50, 40, 51, 40, 60]},
                {"static": ["age"]},
                ValueError,
                "'age' varies within.*'b'",
            ),
            ({}, {"static": ["amount"]}, ValueError, "'amount' is already one of the features"),
            ({}, {"features": []}, ValueError, "at least one column name"),
            ({}, {"features": "amount"}, TypeError, "list of names"),
            ({}, {"features": ["amount", "amount"]}, ValueError, "named twice"),
            ({"card": ["a", 1, "a", 1, 2]}, {}, TypeError, "column 'card'.*one kind"),
        ],
    )
    def test_refusals(self, change, arguments, error, message):
        with pytest.raises(error, match=message):
            Sequences.from_frame(
                table(**change), **{"by": "card", "features": ["amount"], **arguments}
            )

    def test_no_rows(self):
        with pytest.raises(ValueError, match="zero rows"):
            Sequences.from_frame(table().iloc[:0], by="card", features=["amount"])

    def test_a_column_that_exists_twice(self):
        frame = pd.concat([table(), table()[["amount"]]], axis=1)
        with pytest.raises(ValueError, match="2 columns are called 'amount'"):
            Sequences.from_frame(frame, by="card", features=["amount"])

    def test_not_a_table(self):
        with pytest.raises(TypeError, match=r"pandas DataFrame.*got dict"):
            Sequences.from_frame({"card": [1]}, by="card", features=["amount"])

    def test_the_table_is_not_changed(self):
        frame = table()
        Sequences.from_frame(frame, by="card", time="ts", features=["amount"], label="fraud")
        pd.testing.assert_frame_equal(frame, table())
