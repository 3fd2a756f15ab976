"""Which games, networks and budgets a suite has, and which cells its tables are made of."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "rusu2015"
NETS = ("100%", "25%", "7%", "4%")
LOSSES = ("mse", "nll", "kl")
TEMPERATURES = ("1", "0.1", "0.01", "0.001", "relative")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One set of games with budgets.

    Attributes:
        name: on the command line.
        tasks: environment id by game, as the paper calls it where it has it.
        loss_games: of table 1 and of the temperature sweep.
        merge_games: of table B2.
        follow_games: of figure 5.
        nets: specs of the four networks by their size.
        multi: multi-task network of table B2.
        multi_all: multi-task network of table 2.
        steps: of one student.
        teacher_steps: of one teacher, and of a network trained from scratch, per game.
        episodes: a policy is scored by.
        seeds: of every cell.
        clip_rewards: teachers learn from the signs of rewards.
        teachers: whose teachers are taken; itself, but for a quick try.
    """

    name: str
    tasks: dict[str, str]
    loss_games: tuple[str, ...]
    merge_games: tuple[str, ...]
    follow_games: tuple[str, ...]
    nets: dict[str, str]
    multi: str
    multi_all: str
    steps: int
    teacher_steps: int
    episodes: int = 64
    seeds: int = 5
    clip_rewards: bool = False
    teachers: str = ""

    def teacher(self, game: str) -> Path:
        """The folder of a game's teacher."""
        return RESULTS / (self.teachers or self.name) / "teachers" / game

    def quick(self) -> "Suite":
        """A try of all kinds of cells: two games, one seed, a small part of the steps."""
        games = self.loss_games[:2]
        return replace(
            self,
            name=f"{self.name}-quick",
            tasks={game: self.tasks[game] for game in games},
            loss_games=games,
            merge_games=games,
            follow_games=games[:1],
            steps=self.steps // 8,
            teacher_steps=self.teacher_steps // 20,
            episodes=16,
            seeds=1,
            teachers=self.name,
        )


_SMALL = ("Asterix", "Breakout", "Freeway", "Seaquest", "SpaceInvaders")
_LARGE = (
    *("BeamRider", "Breakout", "Enduro", "Freeway", "MsPacman", "Pong", "Qbert", "Riverraid"),
    *("Seaquest", "SpaceInvaders"),
)
_NATURE = {size: f"nature:{size}" for size in NETS}
_ATARI = Suite(
    name="atari10",
    tasks={game: f"{game}NoFrameskip-v4" for game in _LARGE},
    loss_games=("Breakout", "Freeway", "Pong", "Qbert"),
    merge_games=("Freeway", "Pong", "Qbert"),
    follow_games=("Qbert",),
    nets=_NATURE,
    multi="multi:nature:100%,fc128",
    multi_all="multi:cnn:64x8s4,64x4s2,64x3,fc1500,fc128",
    steps=270_000,
    teacher_steps=8_000_000,
    episodes=32,
    seeds=1,
    clip_rewards=True,
)
SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            name="minatar",
            tasks={game: f"MinAtar/{game}-v1" for game in _SMALL},
            loss_games=("Breakout", "Freeway", "Asterix", "SpaceInvaders"),
            merge_games=("Breakout", "Freeway", "SpaceInvaders"),
            follow_games=("Breakout",),
            nets={
                "100%": "minatar",
                "25%": "cnn:8x3,fc64",
                "7%": "cnn:8x3,fc16",
                "4%": "cnn:8x3,fc8",
            },
            multi="multi:minatar,fc32",
            multi_all="multi:cnn:64x3,fc256,fc32",
            steps=54_000,
            teacher_steps=1_500_000,
        ),
        replace(
            _ATARI,
            name="atari3",
            tasks={game: f"{game}NoFrameskip-v4" for game in ("Freeway", "Pong", "Qbert")},
            loss_games=("Pong", "Freeway", "Qbert"),
            follow_games=("Pong",),
        ),
        _ATARI,
    )
}


@dataclass(frozen=True)
class Cell:
    """One run of one kind; its result is a JSON file.

    Attributes:
        kind: "reference", "distill", "scratch", "multi-dqn", "merge" or "follow".
        games: one, or those of a multi-task network.
        net: a spec.
        method: loss, or temperature of the sweep after a colon ("kl:0.1").
        seed: of everything.
    """

    kind: str
    games: tuple[str, ...]
    net: str = ""
    method: str = ""
    seed: int = 0

    @property
    def file(self) -> str:
        """The name of its result."""
        words = [self.kind, "+".join(self.games), self.method, self.net, f"seed{self.seed}"]
        plain = "_".join(word for word in words if word)
        return "".join(c if c.isalnum() or c in "_+.-" else "-" for c in plain) + ".json"


def cells(suite: Suite) -> Iterator[Cell]:
    """All cells of a suite, those first that most rests on; seeds go round outside."""
    for seed in range(suite.seeds):
        for game in suite.tasks:
            yield Cell("reference", (game,), seed=seed)
        for game in suite.loss_games:
            for loss in reversed(LOSSES):
                yield Cell("distill", (game,), suite.nets["100%"], loss, seed)
        for game in suite.tasks:
            for size in NETS[1:]:
                yield Cell("distill", (game,), suite.nets[size], "kl", seed)
        for method in ("kl", "nll"):
            yield Cell("merge", suite.merge_games, suite.multi, method, seed)
        yield Cell("merge", tuple(suite.tasks), suite.multi_all, "kl", seed)
        for game in suite.loss_games[:2]:
            for tau in TEMPERATURES:
                yield Cell("distill", (game,), suite.nets["25%"], f"kl:{tau}", seed)
        for game in suite.follow_games:
            if seed < 2:
                yield Cell("follow", (game,), suite.nets["25%"], "kl", seed)
        yield Cell("multi-dqn", suite.merge_games, suite.multi, "", seed)
        for game in suite.loss_games[:2]:
            yield Cell("scratch", (game,), suite.nets["25%"], "", seed)
