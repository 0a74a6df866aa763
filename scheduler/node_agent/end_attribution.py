"""Who is to blame for the end of a node's program. Pure: `ProgramEnd` in, `ProgramEnd` out.

A program that falls because another node fell, or that got the platform's SIGTERM before its agent did, looks as if it
had crashed. So the end of a program is looked at twice, and another node's end explains this one's.
"""

from __future__ import annotations

from spotwise.checkpoints.stop import EXIT_PREEMPTED

from .end_cause import EndCause
from .peers import PeerFault
from .program_end import ProgramEnd
from .runner import StopOrder

OF_SIGTERM = (EXIT_PREEMPTED, 128 + 15, 0)  # exit codes of a program that was told to leave; some leave with 0


def may_have_a_reason(ending: ProgramEnd, nodes: int) -> bool:
    """Whether an end that nobody asked for may turn out to have been asked for, or caused elsewhere."""
    if ending.cause is not EndCause.EXITED:
        return False
    return ending.exit_code in OF_SIGTERM or (nodes > 1 and ending.exit_code != 0)


def reconsidered(ending: ProgramEnd, leave: StopOrder | None, fault: PeerFault | None) -> ProgramEnd:
    """The end of a program that was not told to leave, with what became known a moment later."""
    if leave is None:
        return ending
    if fault is not None and fault.is_a_crash:  # which of them fell first, nobody knows
        return ending._replace(message=f"{ending.message}; {fault.message}")
    message = f"{leave.cause}; the program had ended with exit code {ending.exit_code}"
    return explained(ending._replace(cause=leave.cause, message=message), fault)


def explained(ending: ProgramEnd, fault: PeerFault | None) -> ProgramEnd:
    """The end of a program that was told to leave; where another node was the reason, by what happened there."""
    if fault is None or (ending.exit_code == 0 and not fault.has_failed):
        return ending
    if fault.is_a_crash:
        return ProgramEnd(fault.cause, ending.at, fault.exit_code, fault.message)
    about = fault.message if fault.cause is EndCause.VANISHED else f"node {fault.rank}"
    return ending._replace(message=f"{about}: {ending.message}")
