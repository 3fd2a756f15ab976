"""Makes toy.py and env_policies.py of this folder importable, also by name as a user's module."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
