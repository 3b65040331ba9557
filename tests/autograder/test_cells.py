"""A file as Python statements: formats and damages, and what is told about them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autograder.cells import MOST_CELLS, Script, Statement, Unreadable, read_script


def notebook(*cells: str | dict[str, Any]) -> bytes:
    """A notebook of code cells, or of such as are given."""
    whole = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": each}
        if isinstance(each, str)
        else each
        for each in cells
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": whole}).encode()


def read(*cells: str | dict[str, Any]) -> Script:
    return read_script("work.ipynb", notebook(*cells))


def names(script: Script) -> list[str]:
    """What is defined, in its order."""
    return [name for each in script.statements for name in sorted(each.binds)]


def test_a_cell_is_its_statements() -> None:
    script = read("import a, b.c as d\nfrom e import f, g\nx = 1\n", "class K:\n    pass\n")
    assert names(script) == ["a", "d", "f", "g", "x", "K"]
    assert [each.cell.where for each in script.statements][-1] == "work.ipynb, cell 2"
    assert script.notes == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("%matplotlib inline\nx = 1", ["x"]),
        ("!ls \\\n  -l\nx = !ls\ny = %pwd\nz = 3", ["x", "y", "z"]),
        ("?print\nprint?\ntorch.log??\nx = 1", ["x"]),
        ("%%time\n\nx = 1", ["x"]),
        ("%%capture out --no-stderr\nx = 1", ["x"]),
        ("%%bash\nx = 1", []),
        ("%%html\n<b>x = 1</b>", []),
        ("%time x = 1", ["x"]),
        ("x = (3\n     % 2)\n!ls", ["x"]),
        (">>> x = 1\n>>> y = 2\n", ["x", "y"]),
        ("In [3]: import y\n\nIn [4]: x = 1\n", ["x", "y"]),
        ("    x = 1\n    y = 2\n", ["x", "y"]),
        ("if __name__ == '__main__':\n    x = 1\n    y = 2\n", ["x", "y"]),
        ("if True:\n    print(1)\n    x = 1\nelif a:\n    y = 2\nelse:\n    z = 3\n", ["x", "y", "z"]),
        ("print(x := 1)", ["x"]),
        ("[last := y for y in z]", []),
        ("match a:\n    case [b, *c]:\n        d = 1\n", ["d"]),
        ("async def f():\n    await g()\n\nvalue = await f()\n", ["f", "value"]),
        ("type = 1\n名 = 2\n", ["type", "名"]),
        ("with a as b, c as (d, e):\n    f = 1\n", ["b", "d", "e", "f"]),
        ("for a in b:\n    c = a\n", ["a", "c"]),
        ("a, (b, *c) = d\n", ["a", "b", "c"]),
        ("a.b = c[0] = 1\n", []),
        ("def f():\n    x = 1\ng = lambda y: y\n", ["f", "g"]),
        ("print('a\\d')\nx = 1\n", ["x"]),
        ("\ufeffx = 1\r\ny = 2\r\n", ["x", "y"]),
        ("def f():\n    %time y = 1\n    return y\n", ["f"]),
    ],
)
def test_what_a_notebook_takes_for_python(source: str, found: list[str]) -> None:
    script = read(source)
    assert sorted(names(script)) == sorted(found)
    assert script.notes == []


def test_lines_keep_their_numbers() -> None:
    script = read("%matplotlib inline\n!ls\n\n\ndef f():\n    return 1\n")
    assert script.statements[-1].node.lineno == 5
    script = read("x = = 1\n\n\ndef f():\n    return 1\n")
    assert script.statements[-1].node.lineno == 4


@pytest.mark.parametrize(
    "cells",
    [
        ("def f(x):\n    y = x\n", "    return y\n"),
        ("def f(x):\n    y = x\n    ", "return y\n"),
        ("def f(x):\n", '    """What it does."""\n', "    return x\n"),
        ("def f(x):\n    y = x\n", "    y = y + 1\n", "    return y\n"),
        ("def f(x):\n    return (x\n", "            + 1)\n"),
        ("def f(x):\n    return g(x.s", "um())\n"),
        ("de", "f f(x):\n    return x\n"),
        ("@decorated\n", "def f(x):\n    return x\n"),
        ("def f(x):\n    if x:\n", "        return 1\n    return 2\n"),
        ("class f:\n    def a(self):\n        return 1\n", "    def b(self):\n        return 2\n"),
        ("class f:\n    def a(self):\n        self.x = 1\n", "        self.y = 2\n"),
        ("class f:\n    def a(self):\n        return 1\n\n    ", "def b(self):\n        return 2\n"),
        ("%time\ndef f(x):\n", "    return x\n"),
    ],
)
def test_a_torn_definition_is_put_together(cells: tuple[str, ...]) -> None:
    script = read("before = 1\n", *cells, "after = 1\n")
    assert names(script) == ["before", "f", "after"]
    cells_2_to = f"cells 2 {'and' if len(cells) == 2 else 'to'} {len(cells) + 1}"
    assert script.notes == [f"work.ipynb, {cells_2_to} belong together and were read as one."]


@pytest.mark.parametrize(
    "cells",
    [
        ("def f(x):\n    return x\n", "    y = 1\n"),
        ("def f(x):\n    return x\n", "    def y(self):\n        return 1\n"),
        ("f = 1\n", "    y = 1\n"),
        ("def f(x):\n    return x\n    ", "y = 1\n"),
        ("def f(x):\n    x.clear()\n    ", "y = 1\n"),
        ("class f:\n    pass\n    ", "def y(x):\n    return 1\n"),
        ("class f:\n    pass\n", "    y = 1\n"),
        ("def f(x):\n    raise NotImplementedError\n", "    y = 1\n"),
    ],
)
def test_what_stands_alone_stays_alone(cells: tuple[str, ...]) -> None:
    script = read(*cells)
    assert names(script) == ["f", "y"]
    assert script.notes == []


def test_only_neighbours_are_put_together() -> None:
    text = {"cell_type": "markdown", "metadata": {}, "source": "And now?"}
    script = read("def f(x):\n    y = (\n", text, "    1)\n    return y\n")
    assert names(script) == []
    assert len(script.notes) == 2


def test_what_a_damaged_cell_still_holds() -> None:
    source = (
        "import a\n\n@wrapped\ndef f():\n    return 1\n\ndef broken(:\n    pass\n\n"
        "x = [\n    1,\n]\n\nif x:\n    y = 1\nelse:\n    y = 2\n\n"
        "s = '''\nnot code\n'''\nprint 'old'\n\nclass K:\n    z = 1\n"
    )
    script = read(source)
    assert names(script) == ["a", "f", "x", "y", "s", "K"]
    assert script.notes == [
        "work.ipynb, cell 1 is no Python (line 7: invalid syntax); what else stands in it was read."
    ]


def test_a_cell_without_python_is_told() -> None:
    script = read("x = 1", "This is prose.", "y %>% z")
    assert names(script) == ["x"]
    assert script.notes == [
        "work.ipynb, cell 2 is no Python (line 1: invalid syntax); passed over.",
        "work.ipynb, cell 3 is no Python (line 1: invalid syntax); passed over.",
    ]


@pytest.mark.parametrize("kind", ["markdown", "raw"])
@pytest.mark.parametrize("around", ["{}", "```python\n{}\n```\n", "\n```\n{}\n```"])
def test_code_in_cells_that_are_none(kind: str, around: str) -> None:
    script = read({"cell_type": kind, "metadata": {}, "source": around.format("def f(x):\n    return x")})
    (statement,) = script.statements
    assert statement.binds == {"f"}
    assert not statement.cell.code
    assert statement.cell.source.split("\n")[statement.node.lineno - 1] == "def f(x):"


@pytest.mark.parametrize(
    "text",
    ["# def f(x): return x", "Hello", "Think: `def f(x)`", "x = what?", "The loss\n= 3", "- a\n- b", ""],
)
def test_prose_is_no_code(text: str) -> None:
    script = read({"cell_type": "markdown", "metadata": {}, "source": text})
    assert (names(script), script.notes) == ([], [])


def test_the_given_texts_are_no_code() -> None:
    from autograder.checks import SETS
    from tests.autograder.course import ROOT

    for folder in SETS.values():
        path = ROOT / "assignments" / folder / f"{folder}.ipynb"
        script = read_script(path.name, path.read_bytes())
        assert script.notes == []
        assert all(each.cell.code for each in script.statements)


def test_the_formats_of_long_ago() -> None:
    cells = [
        {"cell_type": "heading", "level": 1, "metadata": {}, "source": ["Title"]},
        {
            "cell_type": "code",
            "language": "python",
            "metadata": {},
            "input": ["x = 1\n", "y = 2"],
            "outputs": [],
        },
        {"cell_type": "code", "language": "R", "metadata": {}, "input": "y <- 2", "outputs": []},
    ]
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {},
        "worksheets": [{"cells": cells[:1]}, {"cells": cells[1:]}],
    }
    script = read_script("old.ipynb", json.dumps(old).encode())
    assert names(script) == ["x", "y"]
    assert script.statements[0].cell.where == "old.ipynb, cell 2"
    assert script.notes == []


def test_cells_in_other_languages() -> None:
    shell = {"cell_type": "code", "metadata": {"vscode": {"languageId": "shellscript"}}, "source": "ls -l"}
    python = {"cell_type": "code", "metadata": {"vscode": {"languageId": "python"}}, "source": "x = 1"}
    script = read(shell, python)
    assert (names(script), script.notes) == (["x"], [])


def test_the_names_of_cells() -> None:
    graded = {
        "cell_type": "code",
        "id": "abc",
        "metadata": {"nbgrader": {"grade_id": "ps1-1"}},
        "source": "x = 1",
    }
    odd = {"cell_type": "code", "id": 7, "metadata": {"nbgrader": ["ps1-1"]}, "source": ["y = 2"]}
    odder = {"cell_type": "code", "metadata": [], "source": "z = 3"}
    script = read(graded, odd, odder)
    assert [each.cell.ids for each in script.statements] == [("ps1-1", "abc"), (), ()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_notebooks(encoding: str) -> None:
    content = notebook("名 = 'ä'").decode()
    assert names(read_script("a.ipynb", content.encode(encoding))) == ["名"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "latin-1"])
def test_encodings_of_python_files(encoding: str) -> None:
    content = "# é\nx = 'é'\n" if encoding == "latin-1" else "# 名\n名 = 1\nx = 2\n"
    script = read_script("a.py", content.encode(encoding))
    assert names(script)[-1] == "x"
    assert script.notes == []


@pytest.mark.parametrize("cookie", ["klingon", "rot13", "unicode_escape", "idna", "utf-7"])
def test_an_encoding_that_is_none(cookie: str) -> None:
    script = read_script("a.py", f"# -*- coding: {cookie} -*-\nx = 1\n# \xe9".encode("latin-1"))
    assert names(script) in (["x"], [])
    assert all("is no Python" in note for note in script.notes)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"3",
        b"{}",
        b'{"cells": 3}',
        b'{"cells": [3]}',
        b'{"cells": [{"cell_type": "code", "source": [1]}]}',
        b'{"worksheets": [1]}',
        b"\x00\x01\x02\xff" * 100,
        b"[" * 100_000,
        b'{"cells":' * 100_000,
        b'{"cells": [' + b'{"cell_type": "code", "source": "x"},' * (MOST_CELLS + 1) + b"]}",
    ],
)
def test_what_is_no_notebook(content: bytes) -> None:
    with pytest.raises(Unreadable):
        read_script("a.ipynb", content)


def test_more_cells_than_anybody_writes() -> None:
    cell = {"cell_type": "code", "source": "x = 1"}
    content = json.dumps({"cells": [cell] * (MOST_CELLS + 5)}).replace('"cell_type"', '"cell\\u005ftype"')
    script = read_script("a.ipynb", content.encode())
    assert len(script.statements) == MOST_CELLS
    assert script.notes == [f"a.ipynb holds more than {MOST_CELLS} cells; only these were read."]


def test_a_truncated_notebook_gives_its_whole_cells() -> None:
    content = notebook("x = 1", {"metadata": {}, "cell_type": "raw", "source": ""}, "y = 2", "z = 3")
    script = read_script("a.ipynb", content[: content.index(b"z = ")])
    assert names(script) == ["x", "y"]
    (note,) = script.notes
    assert note.startswith("a.ipynb is damaged (")
    assert note.endswith("; the 3 cells that can be read count.")


def test_the_marks_of_a_merge() -> None:
    lines = json.dumps(json.loads(notebook("a = 1\n", "b = 2\n")), indent=1).split("\n")
    marked = [lines[0], "<<<<<<< HEAD", *lines[1:7], "=======", *lines[7:9], ">>>>>>> theirs", *lines[9:]]
    assert names(read_script("a.ipynb", "\n".join(marked).encode())) == ["a", "b"]
    source = "x = 1\n<<<<<<< HEAD\ny = 1\n=======\nz = 2\n>>>>>>> theirs\nw = 3\n"
    assert names(read(source)) == ["x", "y", "w"]


@pytest.mark.parametrize(
    ("source", "looks_up"),
    [
        ("def f(x):\n    y = a(x)\n    return y + b.c\n", {"a", "b"}),
        (
            "class K(Base):\n    x = 1\n    def f(self):\n        return x, self.y\n",
            {"Base", "x", "__name__"},
        ),
        ("def f(x=default):\n    x = 1\n    def g():\n        return x, outer\n", {"default", "outer"}),
        ("f = lambda x: [x + y for y in z if w(y)]\n", {"z", "w"}),
        ("@decorated(by)\ndef f(x: Hint) -> Other:\n    pass\n", {"decorated", "by"}),
        ("x: Hint = 1\n", set()),
        ("return x\n", set()),
    ],
)
def test_what_a_statement_stands_on(source: str, looks_up: set[str]) -> None:
    statement = read(source).statements[0]
    assert statement.looks_up - {"__annotations__"} == looks_up


def test_what_a_statement_hints_at() -> None:
    assert read("def f(x: A[B], *y: 'C', **z: D.e) -> F:\n    v: G = 1\n").statements[0].hints == set("ABDFG")


@pytest.mark.parametrize(
    ("source", "touched"),
    [
        ("table[0] = 1", {"table"}),
        ("Layer.forward = mine", {"Layer"}),
        ("total += 1", {"total"}),
        ("table.append(1)", {"table"}),
        ("for i in x:\n    table[i].rows.add(i)", {"table"}),
        ("print(table)", set()),
        ("x = table.pop()", set()),
        ("def f():\n    table[0] = 1", set()),
    ],
)
def test_what_a_statement_changes(source: str, touched: set[str]) -> None:
    assert read(source).statements[0].touches == touched


@pytest.mark.parametrize(
    ("source", "stub"),
    [
        ("def f(x):\n    raise NotImplementedError", True),
        (
            "def f(x):\n    '''What.'''\n    if x:\n        raise ValueError(x)\n    raise NotImplementedError('yet')",
            True,
        ),
        ("def f(x):\n    '''What.'''", True),
        ("def f(x):\n    pass", True),
        ("def f(x): ...", True),
        ("def f(x):\n    return 1\n    raise NotImplementedError", False),
        ("def f(x):\n    if x:\n        raise NotImplementedError\n    return x", False),
        ("def f(x):\n    raise ValueError", False),
        ("class K:\n    def f(self):\n        raise NotImplementedError", True),
        ("class K:\n    def f(self):\n        pass\n    def g(self):\n        return 1", False),
        ("x = 1", False),
    ],
)
def test_what_is_yet_to_be_written(source: str, stub: bool) -> None:
    assert read(source).statements[0].is_stub is stub


def test_stand_ins() -> None:
    for source in ('x = mine("x")', 'x: int = mine("x", x)', 'x = autograder.mine("x")'):
        (statement,) = read(source).statements
        assert statement.stands_in
        assert statement.looks_up - {"__annotations__"} <= {"mine", "x"}
    assert not read("x = yours('x')").statements[0].stands_in


def test_cells_that_write_a_file() -> None:
    script = read("%%writefile lib/helpers.py\ndef one():\n    return 1\n", "%%file a.txt\nnothing")
    assert script.inner == {"lib/helpers.py": b"def one():\n    return 1\n"}
    assert names(script) == []


@pytest.mark.parametrize(
    "source",
    [
        "if 1:\n  pass\n" + "elif x:\n  y = 1\n" * 3000,
        "f = " + "lambda: " * 900 + "1",
        "x = " + "(" * 5000 + ")" * 5000,
        "x = a" + ".b" * 20_000,
        "x = " + "-" * 100_000 + "1",
        "x = '\0'",
        "x = '\udc80'",
        "y" * 2_000_000,
    ],
)
def test_hostile_sources_end_in_a_note(source: str) -> None:
    script = read("before = 1", source, "after = 1")
    assert {"before", "after"} <= set(names(script))
    for each in script.statements:
        assert isinstance(each, Statement)
        assert "after" not in each.looks_up
    assert len(script.notes) <= 1
    assert len(script.notes) == 1 or names(script) == ["before", "f", "after"]
