"""A share of this process for each sender: an address until its token is checked, then its client.
Whoever asks more at the same time is refused, and the others are not.
"""

from collections import Counter
from dataclasses import dataclass, field

from app.errors import RateLimited

MOST_OF_ADDRESS = 32  # requests of one address whose token is not checked yet, or that need none
# of one client: the requests that run and wait (client_slots.py), and some on their way in and out
MOST_OF_CLIENT = 40


@dataclass(slots=True)
class Share:
    """The place of one request in the share of its sender.
    A request whose body is awaited takes no place.
    """

    held: Counter[str]
    who: str
    most: int
    taken: bool = False

    def take(self) -> None:
        """429 for one request more than the share."""
        if self.held[self.who] >= self.most:
            raise RateLimited(headers={"Retry-After": "1"})
        self.held[self.who] += 1
        self.taken = True

    def free(self) -> None:
        if not self.taken:
            return
        self.taken = False
        self.held[self.who] -= 1
        if self.held[self.who] <= 0:
            del self.held[self.who]

    def belongs_to(self, client: str) -> None:
        """Move the request to the share of its client, once its token is checked."""
        if self.who == client:
            return
        self.free()
        self.who, self.most = client, MOST_OF_CLIENT
        self.take()


@dataclass(slots=True)
class Shares:
    """The senders of the requests that this process works on."""

    held: Counter[str] = field(default_factory=Counter)

    def of_address(self, address: str) -> Share:
        share = Share(self.held, address, MOST_OF_ADDRESS)
        share.take()
        return share
