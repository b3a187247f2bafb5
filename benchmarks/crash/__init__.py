"""Kill agents at every point of the effect protocol, and count what the outside world saw.

Real processes run real agents on one shared journal and die by SIGKILL: at each named point of
`mainspring.points.POINTS`, right before and right after a tool acts, inside a tool's child process, and at
random times. What recovers them is killed too, and so is the person's process that approves and settles
doubts. A witness that lies outside the journal (`witness.py`) records each act; `audit.py` compares both.

Processes are forked from a warm parent that has imported Mainspring and opened neither a store nor a thread.
A fork is a process of its own with its own descriptors, locks and memory, and SIGKILL gives it no more time
than any other; it only skips the seconds of imports that would not be part of what is measured.

What the figures mean, all over what the witness saw:

- ``duplicates``: acts beyond the first for one call (a read may be repeated and is not counted).
- ``lost``: a call whose outcome is in the journal though the witness never saw it; an act without an intent
  in the journal; an event that was announced to a watcher, or an answer that a model saw, and that is gone;
  a run that ended "done" without all of its effects.
- ``unsettled``: runs that reach no end although every approval and doubt was answered, and runs that fail.
- ``approvals_used_twice``: approvals that let more than one act or more than one call through.
- ``parked``: calls handed to a person as *in doubt*; ``parked_without_intent``: those whose intent is not in
  the journal; ``parked_needlessly``: those that the tool's class or a journaled outcome could have settled.
- ``acted_without_approval``: acts of calls that had to be asked for and were not approved, or were denied.
"""
