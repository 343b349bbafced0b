"""What a starting host can see of the pool: the questions of the start criteria.

Each is a function of the view alone.  Source: spec 5, "Starting".
"""

from typing import List

from xha import lifesigns
from xha.echoes import Echoes
from xha.hostset import EMPTY, HostSet
from xha.liveset import Picture
from xha.published import NEVER, HostRecord
from xha.view import Peer, View


def liveset_of(peer: Peer) -> HostSet:
    """The current liveset that a host last published by heartbeat."""
    return peer.heartbeat.current_liveset if peer.heartbeat is not None else EMPTY


def is_member(peer: Peer) -> bool:
    """Whether a host says by heartbeat that it is in its own liveset."""
    return peer.index in liveset_of(peer)


def lacks(view: View, peer: Peer, host: int) -> bool:
    """Whether a host says that it is in a liveset, and another is not, on both paths.

    One of them may be older than the admission of the other host; under survival rule 2 its
    record is.
    """
    written = EMPTY
    # unreached: under rule 2 nobody is dropped whom a joining host could follow
    if peer.record is not None and not view.sr2:
        written = peer.record.current_liveset
    return is_member(peer) and host not in liveset_of(peer) and host not in written


def is_joining(peer: Peer) -> bool:
    """Whether a host says by heartbeat that it looks for a liveset to be in."""
    return peer.heartbeat is not None and peer.heartbeat.joining


def counts_me(view: View, peer: Peer) -> bool:
    """Whether another host counts an instance of this host as alive, on either path."""
    if peer.index == view.me:
        return False
    if peer.index in view.heartbeat_domain and view.me in liveset_of(peer):
        return True
    return (peer.index in view.statefile_domain and peer.record is not None
            and view.me in peer.record.current_liveset)


def holders(view: View) -> HostSet:
    """The hosts that count an instance of this host as alive."""
    return HostSet(peer.index for peer in view.peers if counts_me(view, peer))


def strangers(view: View) -> HostSet:
    """The hosts that are seen, and whose last word names this host on neither path.

    A record that does not advance at the moment counts too: it may be older than a heartbeat,
    and its next reading older still.  (Under survival rule 2 records are left behind.)
    """
    seen = (view.heartbeat_domain | view.statefile_domain).minus(view.me)
    return HostSet(host for host in seen if not _names_me(view, view.peers[host]))


def _names_me(view: View, peer: Peer) -> bool:
    record = peer.record
    return view.me in liveset_of(peer) or (
        record is not None and not view.sr2 and view.me in record.current_liveset)


def proposes_me(view: View, peer: Peer) -> bool:
    """Whether a host has this host in the liveset that it proposes."""
    if peer.index == view.me:
        return view.me in view.proposed
    return peer.heartbeat is not None and view.me in peer.heartbeat.proposed_liveset


def has_word_of(view: View, echoes: Echoes, host: int, since_ms: int) -> bool:
    """Whether another host proposes this one, of which it has heard what was sent since then.

    A datagram that comes late may speak of an earlier life of this host.  Of an xhad peer, which
    echoes nothing, its word is all there is.
    """
    peer = view.peers[host]
    heartbeat = peer.heartbeat
    return heartbeat is not None and proposes_me(view, peer) and (
        heartbeat.seal is None or echoes.heard_by(heartbeat) >= since_ms)


def forms_the_same(view: View, host: int) -> bool:
    """Whether another host proposes the liveset that this one proposes, or has formed it.

    At the deadline a host proposes a smaller one, of those whom it sees.
    """
    heartbeat = view.peers[host].heartbeat
    return heartbeat is not None and view.proposed in (
        heartbeat.proposed_liveset, heartbeat.current_liveset)


def dropped_by_all(view: View) -> HostSet:
    """While joining: the hosts that all other members have dropped are no members for us.

    They have waited them out; this host, which is no member yet, cannot and need not.  A
    host that is heard in its own liveset was not dropped: a member's last heartbeat may be
    older than its admission.  (One that is heard outside of it is a new instance.)
    """
    members = view.liveset
    heard = HostSet(host for host in view.heartbeat_domain if is_member(view.peers[host]))
    for host in members - heard:
        speakers = [view.peers[other] for other in members & heard.minus(host)]
        if speakers and all(lacks(view, peer, host) for peer in speakers):
            members = members.minus(host)
    return view.liveset - members


def running(view: View) -> HostSet:
    """The other hosts that are seen on the State-File and say there that they are in a liveset."""
    return HostSet(host for host in view.statefile_domain.minus(view.me)
                   if not view.peers[host].starting)


def all_wrote_so(view: View) -> bool:
    """Whether the records of all other members say that these are in a liveset."""
    records = [view.peers[host].record for host in view.liveset.minus(view.me)]
    return all(record is not None and record.host_index in record.current_liveset
               for record in records)


def liveset_exists(view: View) -> bool:
    """Whether there is a liveset already.

    A host that is heard and says that it is in one counts too: its record may show it only
    after the next cycle, and a host that formed a second liveset meanwhile would have the
    first one's members fenced.
    """
    heard = any(is_member(view.peers[host]) for host in view.heartbeat_domain.minus(view.me))
    return bool(running(view)) or heard or (
        view.sr2 and view.heartbeat_domain | view.excluded_hosts == view.everyone)


def members_here(view: View) -> HostSet:
    """Whom a new liveset would consist of: who is seen on both paths and joining."""
    return HostSet(host for host in view.heartbeat_domain & view.statefile_domain
                   if host == view.me or is_joining(view.peers[host]))


def members_dead_ms(view: View) -> int:
    """By when the members of a liveset that are seen no more have been reset; NEVER for none.

    They may be frozen, or cut off: silence alone is no proof, for a starting host either.
    """
    here = members_here(view)
    return max([NEVER] + [lifesigns.uncertain_until_ms(view, peer) for peer in view.peers
                          if peer.index not in here and not peer.starting])


def rivals(view: View) -> HostSet:
    """The hosts whose records propose another new liveset than mine would be."""
    mine = members_here(view)
    return HostSet(
        record.host_index for record in _records(view)
        if record.proposed_liveset and record.proposed_liveset != mine)


def _records(view: View) -> List[HostRecord]:
    found = [view.peers[host].record for host in view.statefile_domain.minus(view.me)]
    return [record for record in found if record is not None]


def liveset_to_join(view: View) -> HostSet:
    """The hosts that must admit this host, EMPTY when they cannot be told.

    Not only those whose records run: those that they count as alive as well.  A host that
    this host happens not to see is a member all the same, and must agree.
    """
    here = running(view)
    if not here and view.sr2:
        return HostSet(host for host in view.heartbeat_domain.minus(view.me)
                       if is_member(view.peers[host]))
    members = here
    for record in _records(view):
        if record.host_index in here:
            members = members | record.current_liveset
    return members.minus(view.me)


def picture_of(view: View) -> Picture:
    """Freeze what is known now: the input of the survival test and of the start criteria."""
    records = [peer.record for peer in view.peers]
    return Picture(
        me=view.me, everyone=view.everyone, liveset=view.liveset,
        heartbeat_domain=view.heartbeat_domain, statefile_domain=view.statefile_domain,
        statefile_access=view.statefile_access,
        heartbeat_on_statefile=tuple(
            view.heartbeat_domain if index == view.me
            else record.heartbeat_domain if record else EMPTY
            for index, record in enumerate(records)),
        statefile_on_statefile=tuple(
            view.statefile_domain if index == view.me
            else record.statefile_domain if record else EMPTY
            for index, record in enumerate(records)),
        heartbeat_on_heartbeat=tuple(
            view.heartbeat_domain if peer.index == view.me
            else peer.heartbeat.heartbeat_domain if peer.heartbeat else EMPTY
            for peer in view.peers),
        statefile_on_heartbeat=tuple(
            view.statefile_domain if peer.index == view.me
            else peer.heartbeat.statefile_domain if peer.heartbeat else EMPTY
            for peer in view.peers),
        weights=tuple(
            view.committed_weight if index == view.me else record.weight if record else 0
            for index, record in enumerate(records)),
        excluded=view.excluded_hosts,
        unsealed=HostSet(record.host_index for record in records
                         if record is not None and record.seal is None
                         and record.host_index in view.liveset.minus(view.me)))
