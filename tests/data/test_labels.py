"""One reading of labels: what each spelling means, and what is refused because it could mean two things."""

from collections import Counter

import numpy as np
import pytest

from bench.data.labels import LabelReader
from bench.errors import CardError, DataError


@pytest.fixture
def read(make_task):
    """Label of one value under given classes."""

    def one(value, classes=("neg", "pos"), target="multi-class", **options):
        found = LabelReader(make_task(target, classes), **options).one(value, Counter(), where="row 7")
        return None if found is None else found.tolist()

    return one


@pytest.mark.parametrize("value", ["1", "1.0", "01", "1,0", 1, 1.0, np.uint8(1), np.float32(1), True, np.True_, "TRUE"])
def test_one_is_class_one_in_every_spelling(read, value):
    assert read(value) == 1


@pytest.mark.parametrize("value", ["no_tumor", "No Tumor", " no-tumor ", b"no_tumor", "NO  TUMOR"])
def test_names_without_case_and_blanks(read, value):
    assert read(value, ["glioma", "no_tumor"]) == 1


@pytest.mark.parametrize("value", [-1, "-1", 2, "2", 2.0, 0.5, "0.5", np.inf, "NaN", None, "", np.nan, "poz", [0, 2]])
def test_what_is_no_class_is_refused(read, value):
    with pytest.raises(DataError, match="row 7"):
        read(value)


def test_the_nearest_name_is_offered(read):
    with pytest.raises(DataError, match=r"unknown class 'melonoma' \(did you mean 'melanoma'\?\)"):
        read("melonoma", ["naevus", "melanoma"])


def test_numerals_in_a_table_are_names(read):
    birads = ["1", "2", "3", "4", "5"]
    assert [read(text, birads) for text in ("1", "5", "5.0")] == [0, 4, 4]
    with pytest.raises(DataError, match="unknown class '0'"):
        read("0", birads)
    assert read("0", birads, numbers="index") == 0
    assert read("1", birads, numbers="index") == 1


def test_numbers_that_can_be_a_name_or_a_place_are_refused(read):
    for value, classes in ((1, ["1", "2", "3"]), (3, ["1", "2", "3"]), (0, ["1", "2"]), ("1", ["grade 1", "grade 2"])):
        with pytest.raises(DataError, match=r"can mean the class of that name, or .*numbers = \"name\""):
            read(value, classes)
    assert read(3, ["1", "2", "3"], numbers="name") == 2
    assert read("2", ["grade 1", "grade 2"], numbers="name") == 1
    assert read(0, ["grade 1", "grade 2"], numbers="index") == 0
    assert read(2, ["grade 0", "grade 1", "grade 2"]) == 2, "name and place agree"
    assert read(1, ["normal", "COVID-19"]) == 1, "19 is another number"
    with pytest.raises(DataError, match="unknown class '19'"):
        read(19, ["normal", "COVID-19"])
    assert read("-1", ["-1", "0", "1"]) == 0


def test_true_and_false_are_names_first_and_mean_nothing_among_three(read):
    assert read(True, ["true", "false"]) == 0
    with pytest.raises(DataError, match="unknown class 'True'"):
        read(True, ["a", "b", "c"])


def test_rows_without_a_label_are_left_out_only_when_the_card_says_so(read):
    for value in (-1, None, "", np.nan):
        assert read(value, blank="drop") is None
    with pytest.raises(DataError, match=r"has no label \(-1\).*blank = \"drop\""):
        read(-1)


def test_several_labels(read):
    for value, flags in (
        ("a|C", [1, 0, 1]), ("", [0, 0, 0]), ("No Finding", [0, 0, 0]), (["b"], [0, 1, 0]), ([0, 2], [1, 0, 1]),
        ([1, 0, 1], [1, 0, 1]), ([], [0, 0, 0]), ([0, 1, 2], [1, 1, 1]), ("2", [0, 0, 1]),
        ("a;c", [1, 0, 1]), ("C, a", [1, 0, 1]), ("['a', 'b']", [1, 1, 0]), ("[]", [0, 0, 0]), ("[1,0,1]", [1, 0, 1]),
    ):  # fmt: skip
        assert read(value, "abc", "multi-label") == flags, value
    for value in ("a|d", "a|a", "3", [0, 3], ["a", "a"], [0.5, 0, 1], "a;d", "a b", "a|No Finding", "['a','d']"):
        with pytest.raises(DataError):
            read(value, "abc", "multi-label")
    for joined in ("a,b", "a; b", "B / a", "a+b"):
        assert read(joined, "abc", "multi-label") == [1, 1, 0]
    with pytest.raises(DataError, match="the card names: a, b, c"):
        read("a,d", "abc", "multi-label")
    with pytest.raises(DataError, match="flag for each class, or the places"):
        read([0, 1], "ab", "multi-label")


def test_uncertain_and_empty_cells_by_the_policy_of_the_card(make_task):
    task, cells = make_task("multi-label", "abc"), ["1.0", "-1", ""]

    def read(**policy):
        told = Counter()
        found = LabelReader(task, **policy).cells(cells, told, where="row 7")
        return None if found is None else found.tolist(), sorted(told)

    with pytest.raises(DataError, match=r"row 7: 'b' is uncertain \(-1\).*U-Zeros"):
        read(blank="zeros")
    with pytest.raises(DataError, match=r"'c' is empty .*blank = \"zeros\" or \"drop\""):
        read(uncertain="ones")
    zeros, ones = (read(uncertain=policy, blank="zeros") for policy in ("zeros", "ones"))
    assert (zeros[0], ones[0]) == ([1, 0, 0], [1, 1, 0])
    assert ones[1] == ["images: empty cells, read as 0", "images: uncertain labels (-1), read as 1 (U-Ones)"]
    assert read(uncertain="drop", blank="zeros")[0] is None
    assert read(uncertain="zeros", blank="drop")[0] is None
    with pytest.raises(DataError, match="a cell holds '2'"):
        LabelReader(task).cells(["2", 0, 0], Counter())


def test_u_ignore_is_refused_with_the_reason(make_task):
    from bench.data.load import read_source

    with pytest.raises(CardError, match="U-Ignore leaves single cells out"):
        read_source(make_task("multi-label", reader="npz", file="x.npz", uncertain="ignore"))


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (np.array([2, 0, 1]), [2, 0, 1]),
        (np.array([[2.0], [0.0], [1.0]]), [2, 0, 1]),
        (np.array(["c", "a", "b"]), [2, 0, 1]),
        (np.array([b"c", b"a", b"b"]), [2, 0, 1]),
        (np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]), [2, 0, 1]),
    ],
)
def test_arrays(make_task, values, labels):
    found, keep = LabelReader(make_task()).many(values, Counter())
    assert found.tolist() == labels
    assert found.dtype == np.int64
    assert keep.all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0, 1, -1, -1]), r"no label \(-1\); 2 of 4 labels cannot be read"),
        (np.array([0, 3, 3, 3]), "unknown class '3'; 3 of 4"),
        (np.array([0.5, 1]), "unknown class '0.5'"),
        (np.array([np.nan, 1]), r"no label \(nan\)"),
        (np.array([[1, 1, 0]]), "not exactly one label"),
        (np.zeros((2, 4)), r"expected \(n,\), \(n, 1\) or one-hot \(n, 3\).*multi-label"),
    ],
)
def test_arrays_that_are_refused(make_task, values, message):
    with pytest.raises(DataError, match=message):
        LabelReader(make_task()).many(values, Counter(), where="x")


def test_flags_of_an_array_and_the_rows_it_keeps(make_task):
    task, told = make_task("multi-label"), Counter()
    values = np.array([[1, 0, 1], [-1, 0, 0], [np.nan, 1, 0], [0, 1, 1]])
    found, keep = LabelReader(task, uncertain="drop", blank="zeros").many(values, told)
    assert found.tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 1]]
    assert keep.tolist() == [True, False, True, True]
    assert found.dtype == np.uint8
    assert told == {"images: uncertain labels (-1), left out": 1, "images: empty cells, read as 0": 1}
    with pytest.raises(DataError, match=r"expected \(n, 3\)"):
        LabelReader(task).many(np.zeros((4, 2)), told)


def test_classes_of_one_name_are_no_card(make_task):
    with pytest.raises(CardError, match="same name"):
        make_task(classes=["Grade_1", "grade 1", "x"])


def test_flags_and_places_in_one_cell_are_told_apart_or_refused(read):
    assert read("1;0;1", "abc", "multi-label") == [1, 0, 1], "flags: places are named once each"
    assert read("0;2", "abc", "multi-label") == [1, 0, 1]
    assert read("1|0", "ab", "multi-label", numbers="index") == [1, 1]
    with pytest.raises(DataError, match=r'flag for each class, or the places of both.*numbers = "index"'):
        read("1|0", "ab", "multi-label")


def test_a_finding_of_a_binary_task_that_is_not_known(read):
    for policy, meant in (("zeros", 0), ("ones", 1), ("drop", None)):
        assert read("-1.0", uncertain=policy, target="binary", blank="drop") == meant
    assert read("", blank="zeros", target="binary") == 0
    assert read("none", ["none", "effusion"], "binary", blank="drop") == 0, "a name comes first"
    assert read("-1", blank="drop", target="binary") is None
    with pytest.raises(DataError, match=r"no label \(-1\).*write 0, or name the classes.*U-Zeros"):
        read("-1", blank="zeros", target="binary")


@pytest.mark.parametrize("policy", [{"uncertain": "ones"}, {"blank": "zeros"}], ids=["uncertain", "blank"])
def test_a_policy_of_findings_is_refused_where_there_are_none(make_task, policy):
    from bench.data.load import read_source

    for target, classes in (("multi-class", "abc"), ("ordinal", "abc"), ("number", ["age"])):
        task = make_task(target, classes, reader="npz", file="x.npz", **policy)
        with pytest.raises(CardError, match="is for findings that are there or not"):
            read_source(task).reading(task)


def test_a_separator_at_the_end_of_names_says_nothing(read):
    assert read("a|", ["a", "b", "c"], "multi-label") == [1, 0, 0]
    assert read("b; c;", ["a", "b", "c"], "multi-label") == [0, 1, 1]
    with pytest.raises(DataError, match="has no label"):
        read("1|0|", ["a", "b", "c"], "multi-label")


def test_places_outside_the_classes_are_told_their_range(read):
    with pytest.raises(DataError, match="counts the classes from 0 to 2"):
        read("3", ["1", "2", "3"], "ordinal", numbers="index")


@pytest.mark.parametrize("cell", ["1,0", "0,1", "2,0"])
def test_a_comma_between_two_numbers_of_several_labels_is_refused(read, cell):
    with pytest.raises(DataError, match="a decimal comma, or two labels"):
        read(cell, ["a", "b", "c"], "multi-label")
    assert read(cell, ["a", "b", cell], "multi-label") == [0, 0, 1]
