"""The networks of CleanRL's scripts, written from what the scripts build, and their files."""

import itertools

import numpy as np
import torch
from foreign import Made
from gymnasium import spaces
from torch import nn

PICTURE = (4, 84, 84)


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            width = max(1, parameter[0].numel()) if parameter.ndim > 1 else 10
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * width**-0.5)
    return module.eval()


def mlp(*sizes: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def nature(outputs: int | None) -> nn.Sequential:
    """Of dqn_atari.py (outputs), or the trunk of ppo_atari.py (None), narrow."""
    layers = [
        *(nn.Conv2d(4, 5, 8, stride=4), nn.ReLU(), nn.Conv2d(5, 6, 4, stride=2), nn.ReLU()),
        *(nn.Conv2d(6, 7, 3, stride=1), nn.ReLU(), nn.Flatten(), nn.Linear(7 * 49, 8), nn.ReLU()),
    ]
    return nn.Sequential(*layers, *([] if outputs is None else [nn.Linear(8, outputs)]))


class ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.conv1(torch.relu(self.conv0(torch.relu(x))))


class ConvSequence(nn.Module):
    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 3, padding=1)
        self.res_block0, self.res_block1 = ResidualBlock(channels), ResidualBlock(channels)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.conv(x), kernel_size=3, stride=2, padding=1)
        return self.res_block1(self.res_block0(x))


def impala(outputs: int) -> nn.Sequential:
    """Of qdagger_dqn_atari_impalacnn.py, narrow."""
    return nn.Sequential(
        *(ConvSequence(4, 3), ConvSequence(3, 4), ConvSequence(4, 4), nn.Flatten(), nn.ReLU()),
        *(nn.Linear(4 * 11 * 11, 9), nn.ReLU(), nn.Linear(9, outputs)),
    )


class QNetwork(nn.Module):
    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.network = network


def save(content, folder, name: str):
    path = folder / f"{name}.cleanrl_model"
    torch.save(content, path)
    return path


def dqn(folder) -> Made:
    q = randomised(QNetwork(mlp(4, 12, 8, 3)))
    return Made(save(q.state_dict(), folder, "dqn"), "DQN", (4,), spaces.Discrete(3), q.network)


def dqn_atari(folder) -> Made:
    q = randomised(QNetwork(nature(6)))
    path = save(q.state_dict(), folder, "dqn_atari")
    return Made(path, "DQN", PICTURE, spaces.Discrete(6), lambda x: q.network(x / 255.0))


def qdagger(folder) -> Made:
    q = randomised(QNetwork(impala(6)))
    path = save(q.state_dict(), folder, "qdagger_dqn_atari_impalacnn")
    return Made(path, "Q-Dagger", PICTURE, spaces.Discrete(6), lambda x: q.network(x / 255.0))


def c51(folder, network=None, shape=(4,), scale: float = 1.0) -> Made:
    q = QNetwork(mlp(4, 12, 8, 2 * 7) if network is None else network)
    q.register_buffer("atoms", torch.linspace(-3.0, 5.0, 7))
    randomised(q)
    arguments = {"n_atoms": 7, "gamma": 0.98, "env_id": "CartPole-v1", "capture_video": False}
    path = save({"model_weights": q.state_dict(), "args": arguments}, folder, "c51")

    def reference(x):
        pmfs = torch.softmax(q.network(x / scale).view(len(x), 2, 7), dim=2)
        return (pmfs * q.atoms).sum(2)

    return Made(path, "C51", shape, spaces.Discrete(2), reference, gamma=0.98)


def c51_atari(folder) -> Made:
    return c51(folder, nature(14), PICTURE, 255.0)


class Agent(nn.Module):
    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


def ppo(folder) -> Made:
    agent = randomised(
        Agent(critic=mlp(4, 6, 5, 1, activation=nn.Tanh), actor=mlp(4, 6, 5, 2, activation=nn.Tanh))
    )
    path = save(agent.state_dict(), folder, "ppo")
    return Made(
        path, "PPO", (4,), spaces.Discrete(2), agent.actor, lambda x: agent.critic(x).squeeze(-1)
    )


def ppo_atari(folder) -> Made:
    agent = randomised(Agent(network=nature(None), actor=nn.Linear(8, 4), critic=nn.Linear(8, 1)))
    path = save(agent.state_dict(), folder, "ppo_atari")
    return Made(
        path,
        "PPO",
        PICTURE,
        spaces.Discrete(4),
        lambda x: agent.actor(agent.network(x / 255.0)),
        lambda x: agent.critic(agent.network(x / 255.0)).squeeze(-1),
    )


def ppo_continuous(folder) -> Made:
    agent = Agent(
        critic=mlp(3, 6, 5, 1, activation=nn.Tanh), actor_mean=mlp(3, 6, 5, 2, activation=nn.Tanh)
    )
    agent.actor_logstd = nn.Parameter(torch.zeros(1, 2))
    randomised(agent)
    path = save(agent.state_dict(), folder, "ppo_continuous_action")
    return Made(
        path,
        "PPO",
        (3,),
        spaces.Box(-1.0, 1.0, (2,), np.float32),
        lambda x: torch.cat([agent.actor_mean(x), agent.actor_logstd.expand(len(x), 2)], -1),
        lambda x: agent.critic(x).squeeze(-1),
    )


BOX = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32))
SCALE, BIAS = torch.tensor([2.0, 0.5]), torch.tensor([0.0, 0.5])


def actor(*last: str) -> nn.Module:
    parts = {"fc1": nn.Linear(3, 8), "fc2": nn.Linear(8, 6)} | {n: nn.Linear(6, 2) for n in last}
    made = Agent(**parts)
    made.register_buffer("action_scale", SCALE)
    made.register_buffer("action_bias", BIAS)
    return randomised(made)


def hidden(made, x):
    return torch.relu(made.fc2(torch.relu(made.fc1(x))))


def critic(seed: int) -> nn.Module:
    return randomised(Agent(fc1=nn.Linear(5, 7), fc2=nn.Linear(7, 6), fc3=nn.Linear(6, 1)), seed)


def sac(folder) -> Made:
    made = actor("fc_mean", "fc_logstd")
    path = save(made.state_dict(), folder, "sac_continuous_action")

    def reference(x):
        log_std = torch.tanh(made.fc_logstd(hidden(made, x)))
        return torch.cat([made.fc_mean(hidden(made, x)), -5 + 0.5 * 7 * (log_std + 1)], -1)

    return Made(path, "SAC", (3,), BOX, reference)


def td3(folder) -> Made:
    made, critics = actor("fc_mu"), [critic(1), critic(2)]
    content = (made.state_dict(), *(q.state_dict() for q in critics))
    path = save(content, folder, "td3_continuous_action")

    def act(x):
        return torch.tanh(made.fc_mu(hidden(made, x))) * SCALE + BIAS

    def value(x):
        both = torch.cat([x, act(x)], 1)
        return torch.cat([q.fc3(hidden(q, both)) for q in critics], -1).amin(-1)

    return Made(path, "TD3", (3,), BOX, act, value)


def sac_atari(folder) -> Made:
    layers = list(nature(None))[:5]
    made = randomised(
        Agent(
            conv=nn.Sequential(*layers, nn.Flatten()),
            fc1=nn.Linear(7 * 49, 8),
            fc_logits=nn.Linear(8, 5),
        )
    )
    path = save(made.state_dict(), folder, "sac_atari")

    def reference(x):
        latent = torch.relu(made.fc1(torch.relu(made.conv(x / 255.0))))
        return made.fc_logits(latent)

    return Made(path, "SAC", PICTURE, spaces.Discrete(5), reference)


MAKERS = (dqn, dqn_atari, qdagger, c51, c51_atari, ppo, ppo_atari, ppo_continuous, sac, td3)
MAKERS += (sac_atari,)
