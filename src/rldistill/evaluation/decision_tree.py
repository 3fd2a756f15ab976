"""The decision tree of Czarnecki et al. 2019 as data: questions, edges with reasons, leaves.

QUESTIONS holds the words, reasons and evidence of every edge, TREE who follows whom, CAVEATS what
each row asks of its user. rldistill.evaluation.advise walks it.

Source: arXiv:1902.02186, Fig. 1 (the tree), Table 1, sections 3 to 5 and Figs. 2 to 6 (the
evidence; numbers are read off the plots, +-0.1).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, final


@final
@dataclass(frozen=True, slots=True)
class Edge:
    """What an answer means.

    Attributes:
        reason: why it leads where it leads, one sentence.
        evidence: what supports that, theorems and figures of the paper with their numbers.
    """

    reason: str
    evidence: str


@final
@dataclass(frozen=True, slots=True)
class Question:
    """A question with its two edges; the name is the field of Answers and, hyphened, the flag."""

    name: str
    words: str
    yes: Edge
    no: Edge

    @property
    def flag(self) -> str:
        """Of the command line."""
        return "--" + self.name.replace("_", "-")

    def edge(self, answer: bool) -> Edge:
        """The edge of an answer."""
        return self.yes if answer else self.no


class Leaf(NamedTuple):
    """Rows that fit, the preferred one first.

    Attributes:
        rows: names in the method table.
        marked: whether the paper's figure itself marks the first as preferred.
    """

    rows: tuple[str, ...]
    marked: bool = True


class Branch(NamedTuple):
    """A question by name, and what follows each answer."""

    question: str
    no: "Branch | Leaf"
    yes: "Branch | Leaf"


_QUESTIONS = (
    Question(
        "off_teacher_states",
        "Will the student be evaluated outside the teacher's states?",
        yes=Edge(
            "the student has to be right where it goes itself, so it should act while it learns",
            "Fig. 3: KL to the teacher on the student's own states falls 2 to 3 times faster when "
            "the student acts, and on states of a uniform policy it ends at 33 / 13 / 10 nats "
            "instead of 49 / 25 / 19 (teacher temperature 0 / 0.01 / 0.1)",
        ),
        no=Edge(
            "where only the teacher's states count, learning on them is enough, and its objective "
            "is a fixed one",
            "Table 1: the update is the gradient of the teacher's expected sum of cross-entropies; "
            "Fig. 3: on the teacher's states it is the fastest at first, and as good as any after "
            "5,000 iterations",
        ),
    ),
    Question(
        "guarantees",
        "Do you need a guarantee that training converges?",
        yes=Edge(
            "on-policy distillation is out: its update is not the gradient of anything, and with "
            "rewards or shared parameters it can run in circles",
            "Theorem 1 (no objective exists), Fig. 2 (on-policy distill + R oscillates for ever); "
            "Theorem 2: crediting each action with the later losses restores an objective",
        ),
        no=Edge(
            "on-policy distillation stays feasible: without rewards, and with separate parameters "
            "in each state, it reaches the teacher all the same",
            "Proposition 1; Figs. 3 and 5: it was among the best in every experiment with a good "
            "teacher",
        ),
    ),
    Question(
        "improve",
        "Do you want a student better than its teacher, rather than one that is there fast?",
        yes=Edge(
            "the environment's reward has to be in the update: without it the student ends at "
            "its teacher",
            "Fig. 5, 25 % teacher noise: on-policy distill peaks near 5 and falls to 3.2, with + R "
            "it ends at 6.9 and Teacher V reward at 7.4",
        ),
        no=Edge(
            "pure cloning is the fastest way to the teacher's level",
            "Fig. 6, optimal teacher: all cloning rows are at about 0.95 almost at once, the "
            "baseline without a teacher after 10,000 iterations",
        ),
    ),
    Question(
        "strong_teacher",
        "Is the teacher strong at the task?",
        yes=Edge(
            "its actions are worth cloning, and the reward corrects the rest",
            "Fig. 5, teacher without noise: on-policy distill + R reaches 7.3, as high as any; "
            "Teacher V reward gets there more slowly",
        ),
        no=Edge(
            "cloning a weak teacher holds the student back, while a potential made of its values "
            "cannot change which policy is optimal",
            "Fig. 5, 25 % noise: + R ends at 6.9, Teacher V reward at 7.4; Fig. 6, adversarial "
            "teacher: + R is stuck at -0.95, Teacher V reward reaches 0.95",
        ),
    ),
    Question(
        "teacher_has_value",
        "Does the teacher have a value function, in units of raw reward?",
        yes=Edge(
            "its values can be used in place of its actions: r + V_pi(s') - V_pi(s) telescopes, "
            "so the optimal policies stay the same, and steps off the path are judged at once",
            "Table 1 and Proposition 4; Ng, Harada and Russell 1999 on potentials",
        ),
        no=Edge(
            "without values only cloning with the reward is left; a teacher that is wrong on "
            "purpose would still win over the reward",
            "Fig. 5, 25 % noise: + R ends at 6.9 where cloning alone ends at 3.2; Fig. 6, "
            "adversarial teacher: + R is stuck at -0.95",
        ),
    ),
)
QUESTIONS: Final = {question.name: question for question in _QUESTIONS}

_ON, _N, _EXP = "on-policy-distill", "n-distill", "exp-entropy-regularised"
_VALUE = Leaf(("teacher-v-reward",))

TREE: Final = Branch(
    "off_teacher_states",
    no=Leaf(("teacher-distill",)),
    yes=Branch(
        "guarantees",
        no=Branch(
            "improve",
            no=Leaf((_EXP, _ON, _N)),
            yes=Branch(
                "strong_teacher",
                yes=Leaf((f"{_EXP}+R", f"{_ON}+R", f"{_N}+R")),
                no=Branch(
                    "teacher_has_value",
                    yes=_VALUE,
                    no=Leaf((f"{_EXP}+R", f"{_ON}+R", f"{_N}+R"), marked=False),
                ),
            ),
        ),
        yes=Branch(
            "improve",
            no=Leaf((_EXP, _N)),
            yes=Branch(
                "strong_teacher",
                yes=Leaf((f"{_EXP}+R", f"{_N}+R")),
                no=Branch(
                    "teacher_has_value",
                    yes=_VALUE,
                    no=Leaf((f"{_EXP}+R", f"{_N}+R"), marked=False),
                ),
            ),
        ),
    ),
)

TABULAR = (
    "the evidence is tabular: the paper's experiments are small grid worlds with one parameter per "
    "state and action, its theory is undiscounted; deep networks share parameters between states"
)
UNMARKED = (
    "the paper's figure marks no row as preferred here; the first is the only one that is of a "
    "family it prefers elsewhere"
)
OBJECTIVE = (
    "the guarantee is that the expected update is the gradient of an objective: small enough steps "
    "lead to a stationary point, not necessarily to the best one"
)
CAVEATS: Final = {
    "teacher-distill": (
        "nothing tells the student what to do where its teacher does not go: its errors there "
        "compound, with the square of the episode's length at worst (Ross and Bagnell 2010)",
        "a cross-entropy to the teacher copies all of its distribution, also what it does rarely",
    ),
    _ON: (
        "it is not the gradient of any objective (Theorem 1); with + R it can cycle for ever "
        "(Fig. 2)",
        "a cross-entropy to the teacher copies all of its distribution, also what it does rarely",
    ),
    _N: (
        "its credit for later losses needs a return estimator, with a baseline of values to keep "
        "the noise down; the paper has the tabular Monte-Carlo form only",
        "its best student is not always the teacher: the loss counts the teacher's own entropy, so "
        "it pays to visit states where the teacher is sure",
    ),
    _EXP: (
        "its objective has no entropy of the student: the cross-entropy from the student is least "
        "when all probability is on the teacher's favourite, and students collapse to that unless "
        "an entropy bonus is added",
        "each step costs -log pi(a): where the teacher is unsure and an action can end the episode "
        "the best student ends it early, and with + R the reward has to outweigh that",
        "a teacher that never takes some action has log 0 there: its probabilities are clamped",
        "with 4 actions plain entropy regularisation is faster (6.6 against 6.2), the gain comes "
        "with 40 actions and more: 6.3 against 5.6, at 400 actions 6.0 against -4.2 (Fig. 4)",
    ),
    "teacher-v-reward": (
        "it uses V of the teacher twice, r + V_pi(s') - V_pi(s) with V(end) = 0; Table 1 prints V "
        "of the student for the second, which does not telescope",
        "it is slower than cloning a good teacher (Fig. 5), and with an adversarial one slower "
        "than no teacher: 0.95 after 20,000 iterations instead of 10,000 (Fig. 6)",
    ),
}
