"""The engine: all use cases on one state root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from volfuse.core.ports import Clock, Ids
from volfuse.engine.archive import Archive
from volfuse.engine.changefeed import ChangeFeed
from volfuse.engine.containers import Containers
from volfuse.engine.create import Creator
from volfuse.engine.events import EventLog
from volfuse.engine.execs import Execs
from volfuse.engine.images import Images
from volfuse.engine.lifecycle import Lifecycle
from volfuse.engine.networks import Networks
from volfuse.engine.norunner import NoRunner
from volfuse.engine.observation import Observation
from volfuse.engine.ports import Cgroups, ImageBuilder, PrivateTrees, Runner, Store, ViewBinder
from volfuse.engine.runrecords import RunRecords
from volfuse.engine.runs import Runs
from volfuse.engine.starts import Starts
from volfuse.engine.state import StateRoot
from volfuse.engine.trees import Trees
from volfuse.engine.updates import Updates
from volfuse.engine.views import Views
from volfuse.engine.volumes import Volumes
from volfuse.fs.viewtable import ViewTable

__all__ = ["Engine"]


@dataclass(frozen=True, slots=True)
class Engine:
    """The use cases, by what they are about. Safe to call from any thread."""

    root: Path
    images: Images
    containers: Containers
    volumes: Volumes
    events: EventLog
    feed: ChangeFeed
    views: Views
    archive: Archive
    starts: Starts
    lifecycle: Lifecycle
    observation: Observation
    execs: Execs
    trees: Trees
    updates: Updates
    networks: Networks
    cgroups: Cgroups

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        store: Store,
        builder: ImageBuilder,
        trees: PrivateTrees,
        table: ViewTable,
        feed: ChangeFeed,
        binder: ViewBinder,
        views_directory: Path,
        clock: Clock,
        ids: Ids,
        runner: Runner | None = None,
    ) -> Engine:
        """Bring the state root in order after the last run, and put the use cases together.

        The views are not attached yet (`views.attach_all`): that is for when a transport can serve them.
        """
        runner = runner or NoRunner()
        state = StateRoot(root, store, ids)
        state.prepare()
        state.recover()
        events = EventLog()
        volumes = Volumes(state, store, events, clock, ids)
        images = Images(state, store, builder, events, clock)
        views = Views(state, store, trees, table, binder, views_directory)
        runs = Runs()
        containers = Containers(
            state=state,
            store=store,
            images=images,
            volumes=volumes,
            views=views,
            creator=Creator(state, store, volumes, trees, runner.cgroups.controllers, clock, ids),
            events=events,
            runs=runs,
            clock=clock,
            ids=ids,
        )
        records = RunRecords(state, store, volumes, clock)
        starts = Starts(
            state=state,
            store=store,
            containers=containers,
            records=records,
            runs=runs,
            runner=runner,
            views=views,
            views_directory=views_directory,
            clock=clock,
        )
        observation = Observation(store, containers, records, runs)
        lifecycle = Lifecycle(
            store=store,
            containers=containers,
            records=records,
            runs=runs,
            starts=starts,
            observation=observation,
            clock=clock,
        )
        execs = Execs(containers, observation, runner, ids)
        own_trees = Trees(state, containers, images, views, lifecycle)
        return cls(
            root=root,
            images=images,
            containers=containers,
            volumes=volumes,
            events=events,
            feed=feed,
            views=views,
            archive=Archive(table, containers),
            starts=starts,
            lifecycle=lifecycle,
            observation=observation,
            execs=execs,
            trees=own_trees,
            updates=Updates(state, containers, records, runs, runner.cgroups.controllers),
            networks=Networks(state, store, containers, clock, ids),
            cgroups=runner.cgroups,
        )
