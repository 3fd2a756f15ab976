"""What a torch archive is, told by the names inside: tensors, TorchScript or torch.export."""

from collections.abc import Iterable


def is_script(names: Iterable[str]) -> bool:
    """Whether it is TorchScript, which has code.

    >>> is_script(["policy/data.pkl", "policy/code/__torch__.py", "policy/constants.pkl"])
    True
    """
    parts = [name.split("/") for name in names]
    return any(len(p) > 2 and p[1] == "code" for p in parts) and any(
        p[1:] == ["constants.pkl"] for p in parts
    )


def is_export(names: Iterable[str]) -> bool:
    """Whether it is of torch.export, in the format of a pt2 archive or the one before it."""
    last = [name.rsplit("/", 1)[-1] for name in names]
    return "archive_format" in last or "serialized_exported_program.json" in last
