"""The quick `dataclass` makes records that behave as those of `dataclasses`, and loads it only when it is needed."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys

import pytest

from wsdash.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class Quick:
    """A record."""

    name: str
    size: int = 3
    marks: dict[str, int] = field(default_factory=dict)
    _length: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_length", len(self.name))

    @property
    def length(self) -> int:
        return self._length


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """The same, by the standard library."""

    name: str
    size: int = 3
    marks: dict[str, int] = dataclasses.field(default_factory=dict)
    _length: int = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_length", len(self.name))


def test_it_is_made_compared_and_shown_as_the_standard_one() -> None:
    assert Quick("a") == Quick("a", 3, {}) != Quick("a", 4)
    other: object = Standard("a")
    assert Quick("a") != other
    assert repr(Quick("a", size=4)) == repr(Standard("a", size=4)).replace("Standard", "Quick")
    assert Quick("abc").length == 3
    assert Quick("a").marks is not Quick("a").marks
    assert Quick.__doc__ == "A record."
    with pytest.raises(TypeError):
        Quick()  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        object.__setattr__(Quick("a"), "other", 1)


def test_equal_ones_have_the_same_hash() -> None:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 0

    assert len({Point(1), Point(1, 0), Point(2)}) == 2


def test_the_functions_of_dataclasses_take_it() -> None:
    assert dataclasses.is_dataclass(Quick)
    assert dataclasses.replace(Quick("a", 5), name="abc") == Quick("abc", 5)
    assert dataclasses.replace(Quick("a"), name="abc").length == 3
    assert [one.name for one in dataclasses.fields(Quick)] == [
        one.name for one in dataclasses.fields(Standard)
    ]
    assert dataclasses.asdict(Quick("a", 1, {"b": 2})) == dataclasses.asdict(Standard("a", 1, {"b": 2}))


def test_it_is_matched_copied_and_pickled() -> None:
    match Quick("a", 7):
        case Quick(name, size):
            assert (name, size) == ("a", 7)
    assert copy.deepcopy(Quick("a")) == Quick("a")
    assert pickle.loads(pickle.dumps(Quick("a"))) == Quick("a")


def test_the_model_is_loaded_without_dataclasses() -> None:
    script = "import sys, wsdash.model, wsdash.backend.store.reader; sys.exit('dataclasses' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
