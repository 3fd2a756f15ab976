"""rsl_rl's actor-critics of several versions, written from what its classes build."""

import numpy as np
import torch
from cleanrl_files import mlp, randomised
from foreign import Made
from gymnasium import spaces
from torch import nn

BOX = spaces.Box(-100.0, 100.0, (2,), np.float32)
GENERATOR = torch.Generator().manual_seed(5)
MEAN = torch.randn(1, 6, generator=GENERATOR)
VARIANCE = torch.rand(1, 6, generator=GENERATOR) + 0.1


def normaliser(prefix: str = "") -> dict[str, torch.Tensor]:
    values = {"_mean": MEAN, "_var": VARIANCE, "_std": VARIANCE.sqrt(), "count": torch.tensor(7)}
    return {f"{prefix}{name}": value for name, value in values.items()}


def normal(x):
    return (x - MEAN) / (VARIANCE.sqrt() + 1e-2)


def networks(activation: type[nn.Module] = nn.ELU, critic_inputs: int = 6):
    actor = randomised(mlp(6, 8, 5, 2, activation=activation), 1)
    critic = randomised(mlp(critic_inputs, 7, 1, activation=activation), 2)
    return actor, critic, torch.tensor([0.5, 0.25])


def named(prefix: str, module: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in module.state_dict().items()}


def save(content, folder, number: int):
    path = folder / f"model_{number}.pt"
    steps = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1e-3}]}
    torch.save({**content, "optimizer_state_dict": steps, "iter": number, "infos": None}, path)
    return path


def outputs(mean, std):
    return torch.cat([mean, std.log().expand_as(mean)], -1)


def version_1(folder) -> Made:
    """legged_gym: one state dict, std, no normaliser."""
    actor, critic, std = networks()
    state = {"std": std} | named("actor.", actor) | named("critic.", critic)
    path = save({"model_state_dict": state}, folder, 100)
    return Made(
        path,
        "PPO",
        (6,),
        BOX,
        lambda x: outputs(actor(x), std),
        lambda x: critic(x).squeeze(-1),
    )


def version_2(folder) -> Made:
    """The normaliser beside the model, log_std, a critic of more numbers."""
    actor, critic, std = networks(critic_inputs=9)
    state = {"log_std": std.log()} | named("actor.", actor) | named("critic.", critic)
    content = {"model_state_dict": state, "obs_norm_state_dict": normaliser()}
    path = save(content, folder, 200)
    return Made(path, "PPO", (6,), BOX, lambda x: outputs(actor(normal(x)), std))


def version_3(folder) -> Made:
    """Normalisers inside the model; params/agent.yaml names activation, gamma and groups."""
    actor, critic, std = networks(nn.ReLU)
    state = {"std": std} | named("actor.", actor) | named("critic.", critic)
    state |= normaliser("actor_obs_normalizer.") | normaliser("critic_obs_normalizer.")
    (folder / "params").mkdir()
    (folder / "params" / "agent.yaml").write_text(
        "seed: 42\nobs_groups:\n  policy:\n  - policy\n  critic:\n  - policy\n"
        "policy:\n  activation: relu\nalgorithm:\n  gamma: 0.97\n  lam: 0.95\n"
    )
    path = save({"model_state_dict": state}, folder, 300)
    return Made(
        path,
        "PPO",
        (6,),
        BOX,
        lambda x: outputs(actor(normal(x)), std),
        lambda x: critic(normal(x)).squeeze(-1),
        gamma=0.97,
    )


def version_5(folder) -> Made:
    """Models apart, their std in a distribution."""
    actor, critic, std = networks()
    first = {"distribution.std_param": std} | named("mlp.", actor) | normaliser("obs_normalizer.")
    second = named("mlp.", critic) | normaliser("obs_normalizer.")
    path = save({"actor_state_dict": first, "critic_state_dict": second}, folder, 500)
    return Made(
        path,
        "PPO",
        (6,),
        BOX,
        lambda x: outputs(actor(normal(x)), std),
        lambda x: critic(normal(x)).squeeze(-1),
    )


def distillation(folder) -> Made:
    """Its student is the policy; the teacher beside it sees more."""
    student, teacher, std = networks(critic_inputs=12)
    state = {"std": std} | named("student.", student) | named("teacher.", teacher)
    path = save({"model_state_dict": state}, folder, 600)
    return Made(path, "Distillation", (6,), BOX, lambda x: outputs(student(x), std))


MAKERS = (version_1, version_2, version_3, version_5, distillation)
