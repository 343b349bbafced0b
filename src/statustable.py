"""Tables for people: columns as wide as what is in them, and which give way in a narrow terminal.

Pure.  First the room between columns and the long titles go, then the columns
that say least.  What is too wide even then is cut by whoever draws it.
"""

from typing import List, NamedTuple, Sequence

from xha.picture import Line, length, pad
from xha.records import record

#: The largest ``goes`` of a column.
GOES_MAX = 5


@record
class Column(NamedTuple):
    """The head of a column."""

    title: str
    short: str
    # The first to go when there is no room has the largest number; 0 always stays.
    goes: int


def widest(columns: Sequence[Column], rows: Sequence[Sequence[Line]], shown: Sequence[int]
           ) -> List[Line]:
    """The table with every column and its long title."""
    return _lines(columns, rows, shown, False, 2)


def fitting(columns: Sequence[Column], rows: Sequence[Sequence[Line]], shown: Sequence[int],
            width: int) -> List[Line]:
    """The table in ``width`` columns, if it can be made so narrow.

    Args:
        rows: for each row its cells.  A column is as wide as the widest cell of all rows asks
            for, so that it does not jump when other rows are shown.
        shown: which rows, by their place.
    """
    lines = widest(columns, rows, shown)
    least = GOES_MAX + 1
    while length(lines[0]) > width and least > 0:
        kept = [number for number, column in enumerate(columns) if column.goes < least]
        lines = _lines([columns[number] for number in kept],
                       [[row[number] for number in kept] for row in rows], shown, True, 1)
        least -= 1
    return lines


def _lines(columns: Sequence[Column], rows: Sequence[Sequence[Line]], shown: Sequence[int],
           short: bool, gap: int) -> List[Line]:
    titles = [[("dim", column.short if short else column.title)]
              for column in columns]  # type: List[Line]
    widths = [max([length(titles[number])] + [length(row[number]) for row in rows])
              for number in range(len(columns))]
    lines = []  # type: List[Line]
    for row in [titles] + [list(rows[place]) for place in shown]:
        line = [("", " ")]  # type: Line
        for number, cell in enumerate(row):
            line += ([("", " " * gap)] if number else []) + pad(cell, widths[number])
        lines.append(line)
    return lines
