"""The steps of the fault handler, as a table: what each publishes and for whom it waits.

``faulthandling`` tells the story; here is its skeleton, to be printed and checked for holes.
Source: spec 5, "Rendezvous(a, b, c)" and steps 1 to 4.
"""

import enum
from typing import FrozenSet, NamedTuple

from xha.published import Phase
from xha.records import record


@enum.unique
class Step(enum.Enum):
    """Where a walk is; the value says what it waits for."""

    IDLE = ""
    READY_ENTER = "all hosts to notice the loss"
    READY_LEAVE = "all hosts to be ready"
    STABLE = "fresh signs of life of all hosts seen"
    EXCHANGE_ENTER = "all hosts to exchange views"
    EXCHANGE_LEAVE = "all hosts to have exchanged views"
    CONSISTENT = "all views to agree"
    DECIDE_ENTER = "all hosts to freeze their views"
    DECIDE_LEAVE = "all hosts to decide"
    CONDEMN_ENTER = "all hosts to have decided"
    CONDEMN_LEAVE = "all hosts to wait for the dead"
    WAIT = "certainty that the lost hosts have stopped"
    FINISH_ENTER = "all hosts to drop the dead"
    FINISH_LEAVE = "all hosts to go on"


@record
class Meeting(NamedTuple):
    """One of the two waits of a rendezvous."""

    publish: Phase
    # The phases that everybody who is seen must be in.
    accepted: FrozenSet[Phase]
    # Held on the State-File too.
    on_statefile: bool
    following: Step


def _meeting(publish: Phase, other: Phase, on_statefile: bool, following: Step) -> Meeting:
    return Meeting(publish=publish, accepted=frozenset((publish, other)),
                   on_statefile=on_statefile, following=following)


#: The waits, in order.  Source: spec 5, "Rendezvous(a, b, c)" and steps 1 to 4.
MEETINGS = {
    Step.READY_ENTER: _meeting(Phase.FHREADY, Phase.FH1, False, Step.READY_LEAVE),
    Step.READY_LEAVE: _meeting(Phase.FH1, Phase.FH1DONE, False, Step.STABLE),
    Step.EXCHANGE_ENTER: _meeting(Phase.FH1DONE, Phase.FH2, True, Step.EXCHANGE_LEAVE),
    Step.EXCHANGE_LEAVE: _meeting(Phase.FH2, Phase.FH2DONE, True, Step.CONSISTENT),
    Step.DECIDE_ENTER: _meeting(Phase.FH2DONE, Phase.FH3, False, Step.DECIDE_LEAVE),
    Step.DECIDE_LEAVE: _meeting(Phase.FH3, Phase.FH3DONE, False, Step.CONDEMN_ENTER),
    Step.CONDEMN_ENTER: _meeting(Phase.FH3DONE, Phase.FH4, False, Step.CONDEMN_LEAVE),
    Step.CONDEMN_LEAVE: _meeting(Phase.FH4, Phase.FH4DONE, False, Step.WAIT),
    Step.FINISH_ENTER: _meeting(Phase.FH4DONE, Phase.STARTED, False, Step.FINISH_LEAVE),
    Step.FINISH_LEAVE: _meeting(Phase.STARTED, Phase.FHREADY, False, Step.IDLE),
}

#: Steps in which a further loss is taken up by the walk that goes on: before the picture is
#: frozen.  (Spec 5 names FHREADY..FH2DONE, but says too that step 3 reads the snapshot only; a
#: loss after the freeze would then be handled by nobody, so another walk follows.)
TAKES_UP = frozenset((
    Step.READY_ENTER, Step.READY_LEAVE, Step.STABLE, Step.EXCHANGE_ENTER, Step.EXCHANGE_LEAVE,
    Step.CONSISTENT))
