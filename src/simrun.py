"""One run of a story: how it ended."""

import enum
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

from xha.config import Config
from xha.simcheckers import Breach, LivenessMissed
from xha.simpool import Pool
from xha.simscript import Director


@enum.unique
class Ending(enum.Enum):
    """How a run ended."""

    WELL = "well"
    BREACH = "breach"            # an invariant was broken
    LIVENESS = "liveness"        # a healed pool did not form in time
    CRASH = "crash"              # the core itself failed: an assertion, an exception


class Result(NamedTuple):
    """What became of a run."""

    ending: Ending
    # What was broken, in one line; "" when all went well.
    text: str
    # World's time at the end, ms, and simulated host-ms.
    at_ms: int
    host_ms: int
    # When the story began: the pool had formed, where it says "started".
    began_ms: int
    digest: str
    pool: Optional[Pool]


def run(lines: Sequence[str], settings: Optional[Sequence[Config]] = None, seed: int = 0,
        made: Callable[[Pool], None] = lambda pool: None,
        told: Callable[[str], None] = lambda line: None) -> Result:
    """Tell a story to its end, or to its first failure.

    Args:
        settings: the configuration of each host; None: the story begins with its pool.
        made: called with the pool before anything happens to it.
        told: called with each command at the moment when it happens.

    Raises:
        ScriptError: a line cannot be understood; that is the story's fault.
    """
    director = Director(settings, seed)
    pools = []  # type: List[Pool]

    def take(pool: Pool) -> None:
        pools.append(pool)
        made(pool)

    director.made = take
    director.told = told
    ending, text = Ending.WELL, ""
    try:
        for line in lines:
            director.obey(line)
    except Breach as breach:
        ending, text = Ending.BREACH, str(breach)
    except LivenessMissed as missed:
        ending, text = Ending.LIVENESS, str(missed)
    except (AssertionError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        # Whatever the core may fail by; a story's own mistakes are ScriptErrors.
        ending, text = Ending.CRASH, "{}: {} ({})".format(
            type(error).__name__, error, _place(error))
    pool = pools[0] if pools else None
    at_ms = pool.now_ms if pool is not None else 0
    return Result(ending=ending, text=text, at_ms=at_ms,
                  host_ms=at_ms * (len(pool.hosts) if pool is not None else 0),
                  began_ms=director.began_ms,
                  digest=pool.digest() if pool is not None else "", pool=pool)


def _place(error: BaseException) -> str:
    """Where an exception was raised: file and line."""
    trace = error.__traceback__  # type: Any
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "nowhere"
    name = trace.tb_frame.f_code.co_filename.rpartition("/")[2]
    return "{}:{}".format(name, trace.tb_lineno)
