"""What processes there are, from /proc: tests end only those that they started."""

import time
from pathlib import Path


def children(pid: int) -> set[int]:
    """All processes that descend from `pid`."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(status.parent.name)] = int(fields[1])
    found, fresh = set(), {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def commands(pids: set[int]) -> dict[int, str]:
    """What each process that is still there calls itself."""
    found = {}
    for pid in pids:
        try:
            found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return {pid: text for pid, text in found.items() if text}


def ended(pids: set[int], seconds: float) -> bool:
    """Whether all of these processes are gone before `seconds` have passed."""
    until = time.monotonic() + seconds
    while commands(pids) and time.monotonic() < until:
        time.sleep(0.2)
    return not commands(pids)
