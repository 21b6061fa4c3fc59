"""JSON Merge Patch (RFC 7396): a change of a JSON document, written as the part of it that changes, with null for what goes.

Pure. Must not know what a document is about.
"""

from typing import Any


def merge(target: Any, patch: Any) -> Any:
    """Return `target` with `patch` applied. Neither is changed."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
