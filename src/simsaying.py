"""What a host says to its client, or to its end, must be so on the State-File.

    cancel-master: done   its record neither asks for the lock nor holds it (spec 12)
    ended with exit 11    the pool state is invalid: who set it sees to it that no older state that
                          somebody puts back stays there (spec 3)
"""

from typing import Sequence

from xha import sfformat
from xha.errors import ExitCode
from xha.published import GlobalRecord, HostRecord, PoolState
from xha.simcheckers import Breach
from xha.simhost import Host

_CANCELLED = "cancel-master: done"
_DISABLED = "exit {} ".format(int(ExitCode.INVALID_POOL_STATE))


def check(host: Host, kind: str, said: object, sections: Sequence[bytes]) -> None:
    """Raise Breach where a host of ours says what the good content of ``sections`` denies."""
    if host.runs_xhad or not isinstance(said, str):
        return
    if kind == "answered" and said == _CANCELLED:
        record = sfformat.section_of_host(sections[1 + host.index], host.index).content
        if isinstance(record, HostRecord) and (
                record.lock_request or (record.seal is not None and record.seal.holding)):
            raise Breach("host {} says that it has given the master lock back, and its record says "
                         "otherwise".format(host.index))
    if kind == "ended" and said.startswith(_DISABLED):
        shared = sfformat.section_of_global(sections[0]).content
        if isinstance(shared, GlobalRecord) and shared.pool_state is not PoolState.INVALID:
            raise Breach("host {} ends because the pool state is invalid, and it is {}".format(
                host.index, shared.pool_state.name.lower()))
