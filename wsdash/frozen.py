"""`dataclass` for the records that every command loads: `dataclasses.dataclass(frozen=True, slots=True)`, made faster.

`dataclasses` itself loads a dozen modules and compiles seven methods for each class: together a quarter of the time of
`wsdash list`. Here only `__init__` is compiled, and `dataclasses` is loaded when one of its functions (`replace`,
`asdict`, `fields`) asks for the fields. The type checker sees the standard decorator, which holds that nothing is
assigned to; at run time an assignment is not refused.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which the quick verbs do without
if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
else:

    class _Special:
        """A field with a default that is made for each record, or one that `__post_init__` sets."""

        __slots__ = ("options",)

        def __init__(self, options):
            self.options = options

    def field(**options):
        """Return the options of a field: `default_factory`, or `init=False` with `repr=False` and `compare=False`."""
        return _Special(options)

    def dataclass(*, frozen, slots):
        """Return a decorator that makes an immutable record with equality, a hash and a representation."""
        assert frozen
        assert slots
        return _make

    def _make(cls):
        names = tuple(cls.__annotations__)
        defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
        given = tuple(
            name for name in names if not isinstance(defaults.get(name), _Special) or _is_made(defaults[name])
        )
        body = {
            name: value
            for name, value in cls.__dict__.items()
            if name not in (*names, "__dict__", "__weakref__")
        }
        body |= {
            "__slots__": names,
            "__match_args__": given,
            "__init__": _init_of(cls, given, defaults),
            "__eq__": _equals,
            "__hash__": _hash,
            "__repr__": _shown,
            "__dataclass_fields__": _Fields(defaults),
        }
        return type(cls)(cls.__name__, cls.__bases__, body)

    def _is_made(default):
        return "default_factory" in default.options

    def _init_of(cls, given, defaults):
        """Compile a function that sets each field from its argument, then calls `__post_init__`."""
        arguments, lines, surroundings = ["self"], [], {"_MISSING": object()}
        for name in given:
            arguments.append(name)
            if isinstance(defaults.get(name), _Special):
                surroundings[f"_make_{name}"] = defaults[name].options["default_factory"]
                arguments[-1] += "=_MISSING"
                lines.append(f"self.{name} = _make_{name}() if {name} is _MISSING else {name}")
                continue
            if name in defaults:
                surroundings[f"_default_{name}"] = defaults[name]
                arguments[-1] += f"=_default_{name}"
            lines.append(f"self.{name} = {name}")
        if "__post_init__" in cls.__dict__:
            lines.append("self.__post_init__()")
        exec(f"def __init__({', '.join(arguments)}):\n " + "\n ".join(lines), surroundings)
        made = surroundings["__init__"]
        made.__qualname__ = f"{cls.__qualname__}.__init__"
        return made

    def _equals(self, other):
        if self.__class__ is not other.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)

    def _hash(self):
        return hash(tuple(getattr(self, name) for name in self.__match_args__))

    def _shown(self):
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{self.__class__.__qualname__}({fields})"

    class _Fields:
        """The fields as `dataclasses` has them, made when they are asked for first."""

        def __init__(self, defaults):
            self.defaults = defaults

        def __get__(self, record, cls):
            import dataclasses

            body = {
                name: dataclasses.field(**value.options) if isinstance(value, _Special) else value
                for name, value in self.defaults.items()
            }
            standard = dataclasses.dataclass(
                type(cls.__name__, (), {**body, "__annotations__": cls.__annotations__})
            )
            cls.__dataclass_fields__ = standard.__dataclass_fields__
            return cls.__dataclass_fields__
