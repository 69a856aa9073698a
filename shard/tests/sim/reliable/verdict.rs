//! What each client may get: the items of its channels, each once, in the order of the backends'
//! log, without a gap. Only what its own filters drop may be missing. And in the end, all of them.

use std::collections::BTreeMap;

use shard::core::hub::Mode;

use super::Life;
use super::client::{Client, Kind};

impl Life {
    /// A client has got an item.
    pub(super) fn got(&mut self, index: usize, channel: usize, id: usize, whole: &str) {
        self.trace(|| format!("client {index} gets {channel}#{id}"));
        let client = &mut self.clients[index];
        let (log, have) = (&self.log, client.have[channel]);
        let is_wanted = client.channels.contains(&channel);
        assert!(
            is_wanted,
            "items are of the client's channels: client {index} got {whole}"
        );
        assert!(
            id <= log.len(channel) && log.text(channel, id) == whole,
            "items come as they were published: client {index} got {whole}"
        );
        assert!(
            id > have,
            "nothing comes twice or out of order: client {index} has {have} of channel {channel}, \
             got {id}\n{client:?}"
        );
        let (user, filters) = (client.wishes.user, client.wishes.filters);
        assert!(
            log.may_skip(channel, have..id - 1, user, filters),
            "nothing is lost: client {index} has {have} of channel {channel}, got {id}\n{client:?}\n{:?}",
            &log.channels[channel][have..id]
        );
        client.have[channel] = id;
    }

    /// Every client has everything. `follows_all`: also of channels that a stream did not follow.
    pub(super) fn everybody_has_everything(&self, follows_all: bool, after: &str) {
        for (index, client) in self.clients.iter().enumerate() {
            let line = client.line.as_ref().expect("all are connected");
            for channel in &client.channels {
                let is_parked = client.kind == Kind::Stream && !line.following.contains(channel);
                if is_parked && !follows_all {
                    continue;
                }
                let (have, len) = (client.have[*channel], self.log.len(*channel));
                let (user, filters) = (client.wishes.user, client.wishes.filters);
                assert!(
                    self.log.may_skip(*channel, have..len, user, filters),
                    "after {after} every client has everything: client {index} has {have} of \
                     {len} items of channel {channel}\n{client:?}\n{:?}",
                    self.worlds[line.shard].wires[line.wire]
                );
            }
        }
    }

    /// Gauges and subscribers are what the clients make them.
    pub(super) fn numbers_equal_the_model(&self) {
        let kinds = |kind| move |client: &&Client| client.kind == kind;
        let polls = self.clients.iter().filter(kinds(Kind::Poll)).count() as u64;
        let streams = self.clients.iter().filter(kinds(Kind::Stream)).count() as u64;
        let sum = |gauge: &dyn Fn(&crate::world::World) -> u64| -> u64 {
            self.worlds.iter().map(gauge).sum()
        };
        let what = "gauges equal the model";
        let held = sum(&|world| world.counters.connections.held_long_polls.get());
        assert_eq!(held, polls, "{what}: held long-polls");
        let held = sum(&|world| world.counters.connections.held_streams.get());
        assert_eq!(held, streams, "{what}: held streams");
        for world in &self.worlds {
            let gauges = &world.counters.connections;
            let wires = world.open_wires();
            let backends = wires.filter(|wire| !wire.is_client()).count() as u64;
            assert_eq!(gauges.backends.get(), backends, "{what}: backends");
            assert_eq!(
                gauges.clients_idle.get(),
                0,
                "{what}: clients without a request"
            );
            assert_eq!(
                gauges.clients_active.get(),
                0,
                "{what}: clients that wait for backends"
            );
        }
        self.subscribers_equal_the_model();
    }

    fn subscribers_equal_the_model(&self) {
        let mut wanted: BTreeMap<(Mode, String), i64> = BTreeMap::new();
        for client in &self.clients {
            let line = client.line.as_ref().unwrap();
            let (mode, channels) = match client.kind {
                Kind::Poll => (Mode::Response, &client.channels),
                Kind::Stream => (Mode::Stream, &line.following),
            };
            for channel in channels {
                let name = format!("{}c{channel}", self.prefix);
                *wanted.entry((mode, name)).or_default() += 1;
            }
        }
        let known = self.control.subscribers(wanted.keys());
        assert_eq!(known, wanted, "subscribers equal the model");
    }

    /// Nothing is left when all have left.
    pub(super) fn nothing_is_left(&self) {
        let what = "nothing is left when all have left";
        for world in &self.worlds {
            let core = &world.core;
            assert_eq!(core.errands(), 0, "{what}: errands");
            assert_eq!(core.connections(), 0, "{what}: rows");
            assert_eq!(core.clients(), 0, "{what}: clients");
            assert_eq!(core.timers(), 0, "{what}: timers");
            assert_eq!(core.channels(), 0, "{what}: channels");
            assert_eq!(core.pending(), 0, "{what}: items under way");
            assert_eq!(core.routes_kept(), 1, "{what}: routes");
            let gauges = &world.counters.connections;
            let all = [
                &gauges.clients_idle,
                &gauges.clients_active,
                &gauges.held_streams,
                &gauges.held_long_polls,
                &gauges.backends,
                &gauges.backends_idle,
            ];
            let is_zero = all.iter().all(|gauge| gauge.get() == 0);
            assert!(is_zero, "{what}: {gauges:?}");
        }
        assert_eq!(self.control.known(), 0, "{what}: known channels");
        assert_eq!(
            self.control.waiting(),
            0,
            "{what}: items that wait for others"
        );
    }
}
