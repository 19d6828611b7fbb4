"""The progress of a run, in a file from which it can be resumed, and its table of results."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.torture.rounds import Round

FILE = "progress.json"


@dataclass
class Played:
    """A round, with where it was: the kind of its world, the world's number and the round's own."""

    kind: str
    world: int
    number: int
    seconds: float
    round: Round


@dataclass
class Progress:
    """`worlds` counts those that were begun; seeds of worlds and rounds come from `seed` and their numbers."""

    seed: int
    kills: int
    kinds: list[str]
    worlds: int = 0
    played: list[Played] = field(default_factory=list)

    @property
    def killed(self) -> int:
        return sum(played.round.kills for played in self.played)

    @property
    def violations(self) -> list[str]:
        return [
            f"seed {self.seed}, {played.kind}, world {played.world}, round {played.number}: {text}"
            for played in self.played
            for text in played.round.violations
        ]

    def save(self, folder: Path) -> None:
        draft = folder / f".{FILE}"
        draft.write_text(json.dumps(asdict(self), indent=1))
        draft.replace(folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Progress:
        """Raises OSError and ValueError where there is none."""
        output = json.loads((folder / FILE).read_text())
        played = [Played(**{**one, "round": Round(**one["round"])}) for one in output.pop("played")]
        return cls(**output, played=played)

    def report(self) -> str:
        """Markdown: a table with a row for each kind, what was killed, refused and violated."""
        lines = [
            f"seed {self.seed}",
            "",
            "| jobs run in | seconds | kills | stops | commands | acknowledged | rounds | median / worst convergence s"
            " | looks for two jobs | violations |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        kinds = sorted({played.kind for played in self.played})
        lines += [self._row(kind, [one for one in self.played if one.kind == kind]) for kind in kinds]
        lines.append(self._row("all", self.played))
        roles: Counter[str] = Counter()
        refusals: Counter[str] = Counter()
        for played in self.played:
            roles.update(played.round.roles)
            refusals.update(played.round.refusals)
        lines += ["", "Killed: " + ", ".join(f"{count} {role}" for role, count in roles.most_common())]
        lines += ["", "What refused commands said:"]
        lines += [f"  {count} x {text}" for text, count in refusals.most_common(30)]
        lines += ["", f"Violations: {len(self.violations)}", *(f"- {text}" for text in self.violations)]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _row(name: str, all_played: list[Played]) -> str:
        rounds = [played.round for played in all_played]
        times = [one.convergence_s for one in rounds if one.convergence_s is not None]
        stuck = sum(one.convergence_s is None for one in rounds if one.looks)
        converged = f"{statistics.median(times):.1f} / {max(times):.1f}" if times else "none"
        cells = [
            name,
            f"{sum(played.seconds for played in all_played):.0f}",
            *(
                str(sum(getattr(one, field) for one in rounds))
                for field in ("kills", "stops", "commands", "acknowledged")
            ),
            str(sum(one.looks > 0 for one in rounds)),
            converged + (f", {stuck} never" if stuck else ""),
            str(sum(one.looks for one in rounds)),
            str(sum(len(one.violations) for one in rounds)),
        ]
        return f"| {' | '.join(cells)} |"
