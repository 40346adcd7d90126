"""Random requests of many clients at a time, and what came of each."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

import h11

from bench.showcases import World
from simulator.lifecycle import State
from tests.simulator.fleets import ask

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ONCE = ("POST", "PATCH")  # what must not be carried out twice
LARGEST = 5_000_000
BORDERS = tuple(size + by for size in (1_000_000, 1_048_576) for by in (-1, 0, 1))
CLIENTS = 12
PATIENCE = 90.0
_BYTES = random.Random(0).randbytes(2 * LARGEST)


@dataclass(frozen=True)
class Request:
    """One request."""

    number: int
    tenant: str
    edge: str  # or the machine, where clients reach machines themselves
    method: str = "GET"
    size: int = 0
    chunked: bool = False

    @property
    def path(self) -> str:
        """Its path, which nobody else has."""
        return f"/{self.tenant}/{self.number}"

    @property
    def body(self) -> bytes:
        """Other bytes for each number."""
        begin = self.number * 997 % LARGEST
        return _BYTES[begin : begin + self.size]


@dataclass(frozen=True)
class Outcome:
    """What a client saw; status 0 is a connection that ended without an answer, -1 no answer in time."""

    request: Request
    began: float
    ended: float
    status: int
    said: str = ""
    text: str = ""


@dataclass(frozen=True)
class Move:
    """A machine was put to sleep."""

    machine: str
    kind: str
    began: float
    ended: float


def everything(world: World) -> list[Request]:
    """A GET of each tenant at each door, those of a machine together."""
    tenants, made = sorted(world.owners, key=lambda each: (world.owners[each], each)), list(world.doors)
    return [Request(number, *each) for number, each in enumerate((t, e) for t in tenants for e in made)]


def by_lot(world: World, count: int, first: int, rng: random.Random) -> list[Request]:
    """Requests of all kinds, mostly with small bodies."""
    tenants, doors = sorted(world.owners), list(world.doors)
    kinds: list[Callable[[], int]] = [
        lambda: 0,
        lambda: rng.randrange(1, 10_000),
        lambda: rng.randrange(10_000, 200_000),
        lambda: rng.choice(BORDERS),
        lambda: rng.choice((rng.randrange(200_000, LARGEST), LARGEST)),
    ]
    made = []
    for number in range(first, first + count):
        size = rng.choices(kinds, (45, 40, 8, 5, 2))[0]()
        chunked = bool(size) and rng.random() < 0.3
        made.append(Request(number, rng.choice(tenants), rng.choice(doors), rng.choice(METHODS), size, chunked))
    return made


def send(world: World, request: Request) -> Outcome:
    """Ask once, as a client that repeats nothing."""
    body, began = request.body, time.monotonic()
    parts = [body[at : at + 100_000] for at in range(0, len(body), 100_000)] if request.chunked else body
    status, said, text = 0, "", ""
    headers = {"x-number": str(request.number)}
    try:
        answer = ask(
            world.doors[request.edge],
            request.path,
            method=request.method,
            body=parts,
            headers=headers,
            timeout=PATIENCE,
        )
        status, said, text = answer.status, answer.headers.get("x-echo", ""), answer.body.decode(errors="replace")
    except TimeoutError:
        status = -1
    except (OSError, h11.RemoteProtocolError) as problem:
        text = repr(problem)
    return Outcome(request, began, time.monotonic(), status, said, text)


def send_all(
    world: World, requests: Iterable[Request], done: Callable[[], object] = lambda: None, *, sigh: float = 0
) -> list[Outcome]:
    """Some at a time; `sigh` is how many seconds a client waits after a failure."""

    def one(request: Request) -> Outcome:
        outcome = send(world, request)
        done()
        if outcome.status != 200:
            time.sleep(sigh)
        return outcome

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(one, requests))


def expected(world: World, request: Request) -> str:
    """What the right tenant says on the right machine, if the body came whole."""
    body = request.body
    return f"{request.tenant} {world.owners[request.tenant]} {len(body)} {sha256(body).hexdigest()}"


class Unrest:
    """Puts a machine to sleep after some requests, one at a time; whoever wants it wakes it."""

    def __init__(self, world: World, rng: random.Random, every: int = 100) -> None:
        self.moves: list[Move] = []
        self.world, self._rng, self._every = world, rng, every
        self._count = threading.Semaphore(0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="unrest")

    def __enter__(self) -> Unrest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._count.release(2 * self._every)
        self._thread.join()

    def request_done(self) -> None:
        """One more was answered."""
        self._count.release()

    def _go_on(self) -> None:
        while True:
            for _ in range(self._rng.randrange(self._every // 2, self._every * 3 // 2)):
                self._count.acquire()
            if self._over.is_set():
                return
            self.move(self._rng.choice(self.world.machines), self._rng)

    def move(self, machine: str, rng: random.Random) -> None:
        """Something happens to a machine."""
        self._sleep(machine, rng.choice(("suspend", "stop")))

    def _sleep(self, machine: str, kind: str) -> None:
        """Until it sleeps, unless somebody wakes it before."""
        fly, began = self.world.fly, time.monotonic()
        if fly.machine(machine).state != State.STARTED:
            return
        fly.do(lambda fleet: getattr(fleet.machine(machine), kind)("user"))
        while fly.machine(machine).state in (State.SUSPENDING, State.STOPPING):
            time.sleep(0.002)
        if fly.machine(machine).state == State.STARTED:
            kind += " that was called off"
        self.moves.append(Move(machine, kind, began, time.monotonic()))
