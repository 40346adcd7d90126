"""A machine: a tree of processes with a state, that is started, suspended and stopped as on the platform."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from simulator.config import MachineConfig, command, read_config
from simulator.environment import environment, filled
from simulator.faults import Injected, StartFailed
from simulator.history import History
from simulator.identity import Identity
from simulator.lifecycle import Action, Event, Refused, State, step
from simulator.processes import Tree
from simulator.restarts import Restarts
from simulator.setting import Setting
from simulator.sockets import break_outgoing

_RECENT = 20  # events


class Link(Protocol):
    """A connection through the proxy to a machine."""

    def cut(self) -> None:
        """Drop it."""

    def go_away(self) -> None:
        """Tell a WebSocket client that the machine is leaving."""


class Machine:
    """One machine; every method returns as soon as the API would."""

    def __init__(self, identity: Identity, doc: dict[str, Any], volume: Path | None, setting: Setting) -> None:
        self.identity = identity
        self.volume = volume
        self.state = State.CREATED
        self.history = History(setting.clock)
        self.events: deque[dict[str, Any]] = deque(maxlen=_RECENT)
        self.version = 0
        self.healthy = True
        self.cordoned = False
        self.load = 0
        self.links: set[Link] = set()
        self.injected = Injected()
        self.starts = 0  # how often it booted or resumed
        self._setting = setting
        self._tree: Tree | None = None
        self._work: asyncio.Task[StartFailed | None] | None = None
        self._restarts = Restarts()
        self._changed = asyncio.Event()
        self.configure(doc)

    def __repr__(self) -> str:
        return f"<{self.identity.app} {self.id} {self.state}>"

    @property
    def id(self) -> str:
        """Its name in the API and in `fly-replay`."""
        return self.identity.id

    @property
    def home(self) -> Path:
        """Where its files and its log are."""
        return self._setting.home / self.id

    @property
    def log(self) -> Path:
        """What its processes print."""
        return self.home / "log"

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        return self._tree.pids if self._tree else []

    def configure(self, doc: dict[str, Any]) -> None:
        """Replace the configuration; `BadConfig` leaves the old one."""
        config = read_config(doc)
        command(config, self._setting.images)
        self.config: MachineConfig = config
        self.doc = doc
        self.metadata = dict(config.metadata)
        self.version += 1
        self.instance_id = f"01{self._setting.rng.getrandbits(120):030X}"[:26]
        self.updated_at = time.time()

    async def wait(self, *states: State) -> None:
        """Until it is in one of these states; there is no deadline."""
        while self.state not in states:
            await self._changed.wait()

    # start

    def begin_start(self, source: str) -> State:
        """Start or resume it in the background; what it was before."""
        previous = self.state
        action = self._step(Event.START)
        if action is Action.THAW:
            self._cancel_work()
            self._thaw()
            self._note("start", "started", source)
        elif action in (Action.BOOT, Action.RESUME):
            self._note("start", "starting", source)
            self._work = self._setting.tasks.start(self._bring_up(action, source))
        return previous

    async def start(self, source: str) -> State:
        """Start or resume it, or join a start that goes on; `StartFailed` when it does not."""
        previous = self.begin_start(source)
        if self.state is State.STARTING and self._work:
            work = self._work
            try:
                problem = await asyncio.shield(work)
            except asyncio.CancelledError:
                if not work.cancelled():
                    raise
                problem = StartFailed("PM10", "the start was cancelled")
            if problem:
                raise problem
        return previous

    async def _bring_up(self, action: Action, source: str) -> StartFailed | None:
        tempo, unknowns = self._setting.tempo, self._setting.unknowns
        late = tempo.tail if self._setting.happens(tempo.tail_chance) else 0.0
        warm = action is Action.RESUME and self._tree is not None and not self._turns_cold(unknowns.cold_resume)
        await asyncio.sleep((tempo.resume if warm else tempo.boot) + late + self.injected.extra_boot)
        if self.injected.failing_starts:
            self.injected.failing_starts -= 1
            await self._drop_tree()
            self._step(Event.FAILS)
            self._note("start", "failed", source)
            return StartFailed(self.injected.failing_code, "an injected failure")
        if warm:
            if unknowns.resume_breaks_sockets:
                break_outgoing(self.pids)
            self._thaw()
        else:
            await self._boot()
        self.starts += 1
        self._step(Event.RUNS)
        self._note("start", "started", source)
        return None

    def _turns_cold(self, chance: float) -> bool:
        if self.injected.cold_resumes:
            self.injected.cold_resumes -= 1
            return True
        return self._setting.happens(chance)

    async def _boot(self) -> None:
        await self._drop_tree()
        rootfs = self.home / "rootfs"
        if rootfs.exists():
            shutil.rmtree(rootfs)
        rootfs.mkdir(parents=True)
        words = [
            filled(each, self.identity, rootfs, self.volume) for each in command(self.config, self._setting.images)
        ]
        env = environment(self, rootfs)
        self.healthy = self._setting.unknowns.unchecked_is_healthy or not self._has_checks
        tree = await Tree.spawn(words, env, rootfs, self.log)
        self._tree = tree
        self._setting.tasks.start(self._watch(tree))

    @property
    def _has_checks(self) -> bool:
        return any(each.checks for each in self.config.services)

    async def _watch(self, tree: Tree) -> None:
        status = await tree.wait()
        if self._tree is not tree:
            return
        self._tree = None
        asked = self.state is State.STOPPING
        with suppress(Refused):
            self._step(Event.EXITS)
        self._note("exit", "stopped", "flyd", exit_code=status)
        self._cut()
        again = self._restarts.wanted(self.config.restart, status, self._setting.clock())
        if again and not asked and self.state is State.STOPPED:
            self.begin_start("flyd")

    # suspend

    def suspend(self, source: str) -> None:
        """Save its memory in the background; no process hears of it."""
        if not self.config.can_suspend:
            raise Refused(self.state, Event.SUSPEND)
        if self._step(Event.SUSPEND) is Action.FREEZE and self._tree:
            self._tree.freeze()
            self._note("suspend", "suspending", source)
            self._work = self._setting.tasks.start(self._save_memory(source))

    async def _save_memory(self, source: str) -> None:
        await asyncio.sleep(self._setting.tempo.suspend)
        self._step(Event.FROZEN)
        self._note("suspend", "suspended", source)
        if self._setting.unknowns.suspend_cuts_connections:
            self._cut()

    def _thaw(self) -> None:
        if self._tree:
            self._tree.thaw()

    # stop

    def stop(self, source: str, signal_name: str = "", timeout: float | None = None) -> None:
        """Stop it in the background: its signal, a while, then the end of every process."""
        started = self.state is State.STARTED
        action = self._step(Event.STOP)
        if action is Action.NOTHING:
            return
        self._cancel_work()
        self._note("stop", "stopping", source)
        grace = self.config.stop_config.timeout if timeout is None else timeout
        number = self.config.stop_signal(self._setting.unknowns, signal_name)
        if action is Action.SIGNAL and started and self._tree:
            self._tree.signal(number)
            self._setting.tasks.start(self._end(self._tree, grace))
        else:
            self._setting.tasks.start(self._discard())

    async def _end(self, tree: Tree, grace: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(tree.wait()), grace)
            return
        if self._setting.unknowns.after_grace == "SIGTERM":
            tree.signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(tree.wait()), grace)
                return
        await tree.kill()

    async def _discard(self) -> None:
        await self._drop_tree()
        with suppress(Refused):
            self._step(Event.EXITS)
        self._cut()

    async def _drop_tree(self) -> None:
        tree, self._tree = self._tree, None
        if tree:
            await tree.kill()

    # end and change

    async def crash(self) -> None:
        """Lose it, with its memory, as when its host fails: no signal, no restart."""
        self._cancel_work()
        await self._drop_tree()
        with suppress(Refused):
            self._step(Event.EXITS)
        self._note("exit", "stopped", "flyd", exit_code=-1)
        self._cut()

    async def destroy(self, source: str) -> None:
        """End it for good."""
        self._cancel_work()
        self._step(Event.DESTROY)
        self._note("destroy", "destroyed", source)
        await self._drop_tree()
        self._cut()

    async def rest(self, source: str) -> bool:
        """Have it stopped, with its signal, and without memory; true if it ran before."""
        ran = self.state in (State.STARTED, State.STARTING, State.SUSPENDING)
        self.stop(source)
        await self.wait(State.STOPPED)
        return ran

    def _cancel_work(self) -> None:
        if self._work and not self._work.done():
            self._work.cancel()
        self._work = None

    def _cut(self) -> None:
        for each in list(self.links):
            each.cut()

    def _step(self, event: Event) -> Action:
        state, action = step(self.state, event)
        if state is not self.state:
            self.state = state
            self.history.note(state)
            self._changed.set()
            self._changed = asyncio.Event()
        return action

    def _note(self, kind: str, status: str, source: str, **request: Any) -> None:
        happened = {"type": kind, "status": status, "source": source, "timestamp": int(time.time() * 1000)}
        self.events.appendleft(happened | ({"request": request} if request else {}))
