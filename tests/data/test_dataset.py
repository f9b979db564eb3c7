@pytest.mark.parametrize(("n", "most", "rows"), [(0, 3, []), (1, 3, [0]), (3, 5, [0, 1, 2]), (9, 3, [0, 4, 8])])
def test_rows_are_evenly_spread_from_the_first_to_the_last(n: int, most: int, rows: list[int]) -> None:
    assert evenly(n, most).tolist() == rows
