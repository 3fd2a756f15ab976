"""What the paper's tables say: Rusu et al. 2016 (arXiv:1511.06295), tables 1, B1, B2 and 2.

Scores under human starts, epsilon 0.05; the reference is the published score of DQN.
"""

DQN = {
    "BeamRider": 8672.4,
    "Breakout": 303.9,
    "Enduro": 475.6,
    "Freeway": 25.8,
    "MsPacman": 763.5,
    "Pong": 16.2,
    "Qbert": 4589.8,
    "Riverraid": 4065.3,
    "Seaquest": 2793.3,
    "SpaceInvaders": 1449.7,
}
TABLE_1 = {
    "Breakout": {"mse": 102.9, "nll": 235.9, "kl": 287.8},
    "Freeway": {"mse": 25.7, "nll": 26.2, "kl": 26.7},
    "Pong": {"mse": 15.3, "nll": 15.4, "kl": 16.3},
    "Qbert": {"mse": 5607.3, "nll": 6773.5, "kl": 7112.8},
}
TABLE_B1 = {
    "BeamRider": {"25%": 7552.8, "7%": 7393.3, "4%": 6521.2},
    "Breakout": {"25%": 321.0, "7%": 298.2, "4%": 238.8},
    "Enduro": {"25%": 677.9, "7%": 672.2, "4%": 556.7},
    "Freeway": {"25%": 26.7, "7%": 26.7, "4%": 26.7},
    "MsPacman": {"25%": 782.5, "7%": 659.9, "4%": 734.3},
    "Pong": {"25%": 16.3, "7%": 16.8, "4%": 15.7},
    "Qbert": {"25%": 5947.3, "7%": 5994.0, "4%": 4952.3},
    "Riverraid": {"25%": 4442.7, "7%": 4175.3, "4%": 3417.9},
    "Seaquest": {"25%": 3986.6, "7%": 4567.1, "4%": 3838.3},
    "SpaceInvaders": {"25%": 1140.0, "7%": 716.1, "4%": 302.3},
}
TABLE_B2 = {
    "Freeway": {"multi-dqn": 23.3, "multi-nll": 26.5, "multi-kl": 26.3},
    "Pong": {"multi-dqn": 12.0, "multi-nll": 14.8, "multi-kl": 16.9},
    "Qbert": {"multi-dqn": 3987.3, "multi-nll": 5678.0, "multi-kl": 6890.3},
}
TABLE_2 = {
    "BeamRider": {"all-kl": 4789.0},
    "Breakout": {"all-kl": 216.0},
    "Enduro": {"all-kl": 613.0},
    "Freeway": {"all-kl": 26.6},
    "MsPacman": {"all-kl": 681.8},
    "Pong": {"all-kl": 16.1},
    "Qbert": {"all-kl": 6098.3},
    "Seaquest": {"all-kl": 4320.7},
    "SpaceInvaders": {"all-kl": 461.1},
    "Riverraid": {"all-kl": 4326.8},
}
