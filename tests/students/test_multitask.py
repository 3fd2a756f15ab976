"""One network, several tasks: shapes, sharing, and the way to disk and back."""

import json

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rldistill import load_policy
from rldistill.core import CategoricalHead, GaussianHead, QValueHead
from rldistill.errors import SettingError, TaskError, TeacherFileError
from rldistill.students.families import parse_spec
from rldistill.students.multitask import TaskPart, make_multitask_student
from rldistill.students.store import load_student, save_student

ATARI = spaces.Box(0, 255, (4, 84, 84), np.uint8)
# Rusu et al. 2016: the actions that reproduce the paper's parameter counts.
THREE = {"Freeway": 3, "Pong": 3, "Qbert": 6}
TEN = THREE | {
    "BeamRider": 9, "Breakout": 4, "Enduro": 9, "MsPacman": 9, "Seaquest": 18,
    "SpaceInvaders": 6, "Riverraid": 18,
}  # fmt: skip
# MinAtar: five channel counts in one size of picture.
CHANNELS = {"asterix": 4, "breakout": 4, "freeway": 7, "seaquest": 10, "space_invaders": 6}


def games(actions: dict[str, int], space: spaces.Box = ATARI) -> list[TaskPart]:
    return [
        TaskPart(name=name, observation_space=space, action_space=spaces.Discrete(count))
        for name, count in actions.items()
    ]


def minatar(spec: str = "multi:minatar,fc16"):
    torch.manual_seed(0)
    parts = [
        TaskPart(
            name=name,
            observation_space=spaces.Box(0, 1, (10, 10, channels), np.uint8),
            action_space=spaces.Discrete(2 + index),
        )
        for index, (name, channels) in enumerate(CHANNELS.items())
    ]
    network = make_multitask_student(spec, parts)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def boards(name: str, count: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 2, (count, 10, 10, CHANNELS[name]), generator=generator).byte()


@pytest.mark.parametrize(
    ("spec", "actions", "parameters"),
    [
        ("multi:nature:100%,fc128", THREE, 1_882_668),
        ("multi:cnn:64x8s4,64x4s2,64x3,fc1500,fc128", TEN, 6_756_721),
    ],
)
def test_the_nets_of_the_paper_have_its_parameters(spec, actions, parameters):
    assert sum(actions.values()) in (12, 85)
    with torch.device("meta"):
        network = make_multitask_student(spec, games(actions))
    assert network.num_parameters == parameters
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_what_acts_in_one_task_is_trunk_and_head():
    """89.5 % of the net for three games is shared; a policy has that and its own head."""
    with torch.device("meta"):
        network = make_multitask_student("multi:nature:100%,fc128", games(THREE))
    shared = 1_882_668 - sum(512 * 128 + 128 + 129 * n for n in THREE.values())
    assert round(shared / 1_882_668, 3) == 0.895
    info = network.policy("Qbert").info
    assert info.acting_parameters == shared + 512 * 128 + 128 + 129 * 6
    assert info.parameters == 1_882_668
    assert info.head == CategoricalHead(6)


def test_games_of_one_shape_share_all_but_their_heads():
    network = make_multitask_student("multi:cnn:4x3,fc8,fc5", games(THREE, ATARI))
    assert len(network.entrances) == 1
    loss = network(torch.zeros(2, 4, 84, 84, dtype=torch.uint8), network.index("Pong")).sum()
    loss.backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without
    assert all(name.startswith(("controllers.0.", "controllers.2.")) for name in without)


def test_games_with_channels_of_their_own_have_a_first_layer_of_their_own():
    network = minatar()
    index = network.index("seaquest")
    network(boards("seaquest"), index).sum().backward()
    without = {".".join(n.split(".")[:2]) for n, p in network.named_parameters() if p.grad is None}
    others = set(range(5)) - {index}
    assert without == {f"{part}.{i}" for part in ("entrances", "controllers") for i in others}
    counted = network.policy("seaquest").info.acting_parameters
    used = sum(p.numel() for p in network.parameters() if p.grad is not None)
    assert counted == used


@torch.no_grad()
def test_a_policy_is_the_network_with_its_task_chosen():
    network = minatar()
    for index, name in enumerate(CHANNELS):
        policy = network.policy(name)
        assert policy.raw(boards(name)).shape == (6, 2 + index)
        assert torch.equal(policy.raw(boards(name)), network(boards(name), index))
        actions, _ = policy.predict(boards(name).numpy())
        assert actions.shape == (6,)
    before = network.policy("freeway").raw(boards("freeway"))
    network.trunk[-2].bias.add_(1.0)
    assert not torch.equal(network.policy("freeway").raw(boards("freeway")), before)


@pytest.mark.parametrize("spec", ["multi:minatar,fc16", "multi:minatar,masked", "multi:mlp:8,fc4"])
@torch.no_grad()
def test_every_task_comes_back_from_disk(tmp_path, spec):
    """From one folder, whichever task's policy was saved."""
    network = minatar(spec)
    save_student(network.policy("freeway"), tmp_path, {})
    for name in CHANNELS:
        expected = network.policy(name)
        for loaded in (load_policy(tmp_path, task=name), load_student(tmp_path, task=name)):
            torch.testing.assert_close(loaded.raw(boards(name)), expected.raw(boards(name)))
            assert loaded.info.head == expected.info.head
            assert loaded.info.name == spec
    again = tmp_path / "again"
    again.mkdir()
    save_student(load_student(tmp_path, task="asterix"), again, {})
    names = [path / "student.safetensors" for path in (tmp_path, again)]
    assert names[0].read_bytes() == names[1].read_bytes()


def test_which_task_must_be_said(tmp_path):
    save_student(minatar().policy("freeway"), tmp_path, {})
    with pytest.raises(SettingError, match=r"5 tasks: give task=NAME, one of asterix, breakout"):
        load_policy(tmp_path)
    with pytest.raises(SettingError, match=r"no task 'freway'.* Did you mean freeway"):
        load_policy(tmp_path, task="freway")
    with pytest.raises(SettingError, match=r"no task 'pong'; it has asterix"):
        minatar().policy("pong")
    with pytest.raises(SettingError, match="task belongs to the run folder"):
        load_policy("teacher.zip", task="pong")


def test_a_student_of_one_task_has_no_task_to_choose(tmp_path):
    from rldistill.students.build import make_student

    save_student(make_student("mlp:4", spaces.Box(-1, 1, (2,)), spaces.Discrete(2)), tmp_path, {})
    with pytest.raises(SettingError, match="task has no effect"):
        load_policy(tmp_path, task="pong")


@torch.no_grad()
def test_a_masked_head_gives_each_task_its_own_of_the_shared_outputs():
    """Pong's NOOP, RIGHT and LEFT are 0, 3 and 4 of the 18."""
    parts = [
        TaskPart(name="all", observation_space=ATARI, action_space=spaces.Discrete(18)),
        TaskPart(
            name="Pong", observation_space=ATARI, action_space=spaces.Discrete(3),
            like=QValueHead(3), actions=(0, 3, 4),
        ),
    ]  # fmt: skip
    network = make_multitask_student("multi:nature:4%,masked", parts)
    assert network.num_parameters == 61_954  # as one net with 18 outputs
    frames = torch.randint(0, 256, (5, *ATARI.shape), dtype=torch.uint8)
    assert torch.equal(network(frames, 1), network(frames, 0)[:, [0, 3, 4]])


@torch.no_grad()
def test_tasks_of_numbers_are_normalised_each_by_itself():
    """Sizes of observations and kinds of actions may differ."""
    box = spaces.Box(-1, 1, (2,))
    parts = [
        TaskPart(name="a", observation_space=spaces.Box(-9, 9, (3,)), action_space=box),
        TaskPart(name="b", observation_space=spaces.Box(-9, 9, (5,)),
                 action_space=spaces.Discrete(4)),
    ]  # fmt: skip
    network = make_multitask_student("multi:mlp:8,6,layernorm,fc4", parts)
    assert network.policy("a").info.head == GaussianHead((-1.0, -1.0), (1.0, 1.0))
    from rldistill.students.families import require_family

    policy = network.policy("b")
    seen = 100.0 + 7.0 * torch.randn(500, 5, generator=torch.Generator().manual_seed(0))
    require_family(policy.module).fit_inputs(policy.module, seen)
    normal = network.entrances[1].normaliser(seen)
    torch.testing.assert_close(normal.mean(0), torch.zeros(5), atol=1e-4, rtol=0)
    torch.testing.assert_close(normal.std(0, correction=0), torch.ones(5), atol=1e-4, rtol=0)
    assert torch.equal(network.entrances[0].normaliser(torch.ones(1, 3)), torch.ones(1, 3))


@torch.no_grad()
def test_scaling_one_task_leaves_the_others():
    from rldistill.students.families import require_family

    network = minatar()
    before = [network.policy(name).raw(boards(name)) for name in CHANNELS]
    policy = network.policy("breakout")
    require_family(policy.module).scale_outputs(policy.module, 3.0)
    for index, name in enumerate(CHANNELS):
        factor = 3.0 if name == "breakout" else 1.0
        torch.testing.assert_close(network.policy(name).raw(boards(name)), factor * before[index])
    masked = minatar("multi:minatar,masked").policy("breakout")
    with pytest.raises(SettingError, match="shared by all tasks"):
        require_family(masked.module).scale_outputs(masked.module, 3.0)


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("multi:nature:25%", None),
        ("multi:nature:25%,fc128,tanh,masked", "multi:nature:25%,tanh,fc128,masked"),
        ("multi:minatar", None),
        ("multi: minatar, fc64", "multi:minatar,fc64"),
        ("multi:mlp:64,32,fc16", None),
        ("multi:cnn:8x3,fc9,fc0", None),
        ("multi:cnn:8x3,fc9", None),
        ("multi:cnn:16x8s4,32x4s2,32x3,fc256,fc0", "multi:nature:25%"),
    ],
)
def test_specs_are_read_and_written(text, again):
    spec = parse_spec(text)
    assert str(spec) == (again or text)
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("multi", "followed by a trunk, one of nature, cnn, minatar, mlp"),
        ("multi:impala:small", "followed by a trunk"),
        ("multi:natur:25%", r"got 'natur'.* Did you mean nature"),
        ("multi:nature:26%", "followed by one of 100%"),
        ("multi:nature:25%,fc999999", "a full layer must be 1 to 65,536"),
        ("multi:nature:25%,masked,masked", "masked is given twice"),
        ("multi:nature:25%,maskd", "unknown word 'maskd'"),
        ("multi:cnn:fc8", "give 1 to 64 convolutions"),
    ],
)
def test_a_bad_spec_says_what_is_wrong_with_it(text, message):
    with pytest.raises(SettingError, match=message):
        parse_spec(text)


def test_tasks_that_do_not_go_together_are_refused():
    small = TaskPart(name="small", observation_space=spaces.Box(0, 255, (4, 40, 40), np.uint8),
                     action_space=spaces.Discrete(2))  # fmt: skip
    box = TaskPart(name="box", observation_space=ATARI, action_space=spaces.Box(-1, 1, (2,)))
    with pytest.raises(TaskError, match=r"one size; these have: Pong 84 x 84, small 40 x 40"):
        make_multitask_student("multi:nature:4%", [*games({"Pong": 3}), small])
    with pytest.raises(TaskError, match="a masked head is for discrete actions"):
        make_multitask_student("multi:nature:4%,masked", [*games({"Pong": 3}), box])
    with pytest.raises(TaskError, match="needs a hidden layer"):
        make_multitask_student("multi:mlp:linear", games({"Pong": 3}))
    with pytest.raises(SettingError, match="two tasks are called 'Pong'"):
        make_multitask_student("multi:nature:4%", [*games({"Pong": 3}), *games({"Pong": 3})])
    with pytest.raises(SettingError, match="give 1 to 256 tasks, got 0"):
        make_multitask_student("multi:nature:4%", [])
    with pytest.raises(SettingError, match=r"several tasks need .* such as multi:nature:4%,fc128"):
        make_multitask_student("nature:4%", games({"Pong": 3}))
    for actions in ((0, 0, 1), (0, 1), (0, 1, -1), (0, 1, 1 << 20)):
        part = TaskPart(name="Pong", observation_space=ATARI, action_space=spaces.Discrete(3),
                        actions=actions)  # fmt: skip
        with pytest.raises(SettingError, match="actions must name one shared output for each"):
            make_multitask_student("multi:nature:4%,masked", [part])


@pytest.mark.parametrize(
    "change",
    [
        {"tasks": []},
        {"tasks": [3]},
        {"tasks": None},
        {"tasks": [{}] * 3},
        {"architecture": "multi:minatar,fc17"},
        {"architecture": "minatar"},
        {"name": 3},
        {"scale": 0.0},
        {"scale": "1"},
        {"observation_shape": [10, 10, 5]},
        {"observation_shape": [10**9, 10**9, 4]},
        {"observation_shape": [True]},
        {"actions": [0] * 10},
        {"actions": "0"},
        {"head": {"kind": "categorical", "num_actions": 1 << 20}},
        {"head": None},
    ],
    ids=str,
)
def test_a_hostile_card_is_refused(tmp_path, change):
    save_student(minatar().policy("freeway"), tmp_path, {})
    path = tmp_path / "student.json"
    record = json.loads(path.read_text())
    if change.keys() <= {"tasks", "architecture"}:
        record |= change
    else:
        record["tasks"][2] |= change
    path.write_text(json.dumps(record))
    with pytest.raises((TeacherFileError, SettingError)):
        load_student(tmp_path, task="freeway")
