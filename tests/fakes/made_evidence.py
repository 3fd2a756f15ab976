"""Evidence whose every number is known, for tests of what reads and shows it."""

import numpy as np

from rldistill.core import CategoricalHead, Head
from rldistill.envs.naming import Feature
from rldistill.evaluation.evidence import Episodes, PolicyCost, RunEvidence, States

EPISODES = 40
THREE = CategoricalHead(3)


def made_evidence(
    *,
    states: int = 200,
    head: Head = THREE,
    pictures: bool = False,
    kl: bool = True,
    same: float | None = None,
    paired: bool = True,
    shift: float = -1.0,
) -> RunEvidence:
    """Student = teacher + shift - 0.1 i in episode i; they agree where the first number is below 0.

    Half of the states are the student's, in turn; the first eight are extremes with KL 8, 7, ...
    """
    generator = np.random.default_rng(0)
    teacher = 100.0 + generator.standard_normal(EPISODES)
    returns = np.stack([teacher + shift - 0.1 * np.arange(EPISODES), teacher, 0.0 * teacher])
    features = generator.uniform(-1.0, 1.0, (states, 2)).astype(np.float32)
    alike = (features[:, 0] < 0.0).astype(np.float32)
    difference = np.concatenate([np.arange(8.0, 0.0, -1.0), np.full(states - 8, 0.01)])
    raw = generator.standard_normal((2, states, head.num_outputs)).astype(np.float32)
    seen = generator.integers(0, 255, (8, 12, 12, 4)).astype(np.uint8) if pictures else features
    discrete = isinstance(head, CategoricalHead)
    return RunEvidence(
        task="Made-v0",
        backend="gymnasium",
        episodes=Episodes(
            seeds=1000 + np.arange(EPISODES),
            returns=returns,
            lengths=np.tile(np.arange(EPISODES), (3, 1)) + 10,
            paired=paired,
        ),
        states=States(
            visitor=np.arange(states) % 2,
            extreme=np.arange(states) < 8,
            episode=np.arange(states) // 2 % 16,
            step=np.arange(states),
            observations=seen,
            features=features,
            teacher_raw=raw[0],
            student_raw=raw[1],
            same=alike if same is None else np.full(states, same, np.float32),
            kl=difference.astype(np.float32) if kl else np.full(states, np.nan, np.float32),
        ),
        teacher_head=head,
        student_head=head,
        teacher_cost=PolicyCost(1000, 4000, 5e-5),
        student_cost=PolicyCost(100, 400, 4e-5),
        temperatures=(1.0, 1.0),
        feature_names=() if pictures else (Feature("angle", "rad"), Feature("speed", "m/s")),
        action_names=("left", "middle", "right") if discrete else ("one", "two"),
    )
