"""Published scores of random play and of a professional human tester, on 57 games of Atari.

Columns: random and human from no-op starts; random and human from human starts.

Source: Wang et al. (2016), "Dueling Network Architectures", tables 2 and 3, which has those of Mnih
et al. (2015, no-op starts) and Nair et al. (2015, human starts). Read not from the papers but from
two copies: one with the header of DeepMind's dqn_zoo for no-op starts (its random scores compared
by eye), seungjaeryanlee/rldb for human starts.
"""

from typing import NamedTuple

SOURCE = "Wang et al. 2016, after Mnih et al. 2015 and Nair et al. 2015"

_TABLE = """
Alien                 227.8   7127.7    128.3   6371.3
Amidar                  5.8   1719.5     11.8   1540.4
Assault               222.4    742.0    166.9    628.9
Asterix               210.0   8503.3    164.5   7536.0
Asteroids             719.1  47388.7    871.3  36517.3
Atlantis            12850.0  29028.1  13463.0  26575.0
BankHeist              14.2    753.1     21.7    644.5
BattleZone           2360.0  37187.5   3560.0  33030.0
BeamRider             363.9  16926.5    254.6  14961.0
Berzerk               123.7   2630.4    196.1   2237.5
Bowling                23.1    160.7     35.2    146.5
Boxing                  0.1     12.1     -1.5      9.6
Breakout                1.7     30.5      1.6     27.9
Centipede            2090.9  12017.0   1925.5  10321.9
ChopperCommand        811.0   7387.8    644.0   8930.0
CrazyClimber        10780.5  35829.4   9337.0  32667.0
Defender             2874.5  18688.9   1965.5  14296.0
DemonAttack           152.1   1971.0    208.3   3442.8
DoubleDunk            -18.6    -16.4    -16.0    -14.4
Enduro                  0.0    860.5    -81.8    740.2
FishingDerby          -91.7    -38.7    -77.1      5.1
Freeway                 0.0     29.6      0.1     25.6
Frostbite              65.2   4334.7     66.4   4202.8
Gopher                257.6   2412.5    250.0   2311.0
Gravitar              173.0   3351.4    245.5   3116.0
Hero                 1027.0  30826.4   1580.3  25839.4
IceHockey             -11.2      0.9     -9.7      0.5
Jamesbond              29.0    302.8     33.5    368.5
Kangaroo               52.0   3035.0    100.0   2739.0
Krull                1598.0   2665.5   1151.9   2109.1
KungFuMaster          258.5  22736.3    304.0  20786.8
MontezumaRevenge        0.0   4753.3     25.0   4182.0
MsPacman              307.3   6951.6    197.8  15375.0
NameThisGame         2292.3   8049.0   1747.8   6796.0
Phoenix               761.4   7242.6   1134.4   6686.2
Pitfall              -229.4   6463.7   -348.8   5998.9
Pong                  -20.7     14.6    -18.0     15.5
PrivateEye             24.9  69571.3    662.8  64169.1
Qbert                 163.9  13455.0    183.0  12085.0
Riverraid            1338.5  17118.0    588.3  14382.2
RoadRunner             11.5   7845.0    200.0   6878.0
Robotank                2.2     11.9      2.4      8.9
Seaquest               68.4  42054.7    215.5  40425.8
Skiing             -17098.1  -4336.9 -15287.4  -3686.6
Solaris              1236.3  12326.7   2047.2  11032.6
SpaceInvaders         148.0   1668.7    182.6   1464.9
StarGunner            664.0  10250.0    697.0   9528.0
Surround              -10.0      6.5     -9.7      5.4
Tennis                -23.8     -8.3    -21.4     -6.7
TimePilot            3568.0   5229.2   3273.0   5650.0
Tutankham              11.4    167.6     12.7    138.3
UpNDown               533.4  11693.2    707.2   9896.1
Venture                 0.0   1187.5     18.0   1039.0
VideoPinball        16256.9  17667.9  20452.0  15641.1
WizardOfWor           563.5   4756.5    804.0   4556.0
YarsRevenge          3092.9  54576.9   1476.9  47135.2
Zaxxon                 32.5   9173.3    475.0   8443.0
"""


class Published(NamedTuple):
    """Scores of one game."""

    random: float
    human: float


def _read(first_column: int) -> dict[str, Published]:
    rows = [line.split() for line in _TABLE.strip().splitlines()]
    return {
        name: Published(float(numbers[first_column]), float(numbers[first_column + 1]))
        for name, *numbers in rows
    }


# By the names that task ids have, such as "MsPacman".
NO_OP_STARTS = _read(0)
HUMAN_STARTS = _read(2)
