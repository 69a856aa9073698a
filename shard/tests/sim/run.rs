//! One simulated life of a shard: chance picks what happens next, then the world comes to rest,
//! then everybody leaves.

use std::collections::BTreeMap;

use shard::core::hub::Mode;

use crate::backend::SimBackend;
use crate::channels::Log;
use crate::client::SimClient;
use crate::plan::{HoldPlan, Plan};
use crate::random::Random;
use crate::wire::PeerSide;
use crate::world::{World, small_config, table};

const ROUTES: &str =
    "* 127.0.0.1:1 127.0.0.1:2\n*,path_beg=/dead 127.0.0.1:3\n*,path_beg=/test test\n";
const OTHER_ROUTES: &str =
    "* 127.0.0.1:1 127.0.0.1:4\n*,path_beg=/dead 127.0.0.1:3\n*,path_beg=/test test\n";

/// Things that happen before the world comes to rest.
const STEPS: usize = 1200;

/// Rounds in which the world must come to rest.
const CALM_ROUNDS_MAX: usize = 20_000;

/// Milliseconds beyond every time limit of the small configuration.
const BEYOND_ALL_MS: u64 = 1_100_000;

/// A shard's life.
pub(crate) struct Run {
    pub(crate) random: Random,
    pub(crate) world: World,
    pub(crate) plans: Vec<Plan>,
    pub(crate) clients: Vec<SimClient>,
    /// By wire.
    pub(crate) backends: BTreeMap<usize, SimBackend>,
    pub(crate) log: Log,
    /// Nothing is under way.
    pub(crate) is_quiet: bool,
    clients_max: usize,
    jumps: bool,
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut config = small_config();
        config.proxy.backend_idle_max = random.pick(&[1, 3, 100]);
        config.proxy.replay_max = random.pick(&[2000, 4096, 100_000]);
        Self {
            world: World::new(config, ROUTES),
            plans: Vec::new(),
            clients: Vec::new(),
            backends: BTreeMap::new(),
            log: Log::default(),
            is_quiet: false,
            clients_max: random.between(1, 25),
            jumps: random.chance(20),
            random,
        }
    }

    pub(crate) fn live(&mut self) {
        for _ in 0..STEPS {
            self.step();
            self.backends_parse();
        }
        self.come_to_rest();
        self.judge_all(true);
        self.gauges_equal_the_model();
        self.everybody_leaves();
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..4 => {
                if self.clients.len() < self.clients_max {
                    self.new_client();
                }
            }
            4..34 => {
                if !self.clients.is_empty() {
                    let index = self.random.below(self.clients.len());
                    self.client_acts(index, false);
                }
            }
            34..62 => self.shard_reads_one(),
            62..80 => {
                if let Some(wire) = self.open_backend() {
                    self.backend_acts(wire, false);
                }
            }
            80..86 => {
                let count = self.random.pick(&[1, 1, 2, 8, 40]);
                let batch = self.log.batch(count, &mut self.random);
                self.world.publish(&batch);
            }
            86..94 => {
                let max = self.random.pick(&[1, 2, 7, 256]);
                self.world.deliver(max);
            }
            94..98 => {
                let ms = self.random.between(0, 60) as u64;
                self.world.advance(ms);
            }
            98 => self.jump(),
            _ => {
                let routes = self.random.pick(&[ROUTES, OTHER_ROUTES]);
                self.world.core.replace_routes(table(routes));
            }
        }
    }

    /// To the next timer, or rarely beyond all of them.
    fn jump(&mut self) {
        if self.jumps && self.random.chance(4) {
            for client in &mut self.clients {
                client.is_excused = true;
            }
            self.world.advance(BEYOND_ALL_MS);
            return;
        }
        let due_ms = self.world.core.next_due_ms().unwrap_or(0);
        let wait_ms = due_ms.saturating_sub(self.world.now_ms);
        if wait_ms < 60_000 {
            self.world.advance(wait_ms);
        }
    }

    fn open_backend(&mut self) -> Option<usize> {
        let open: Vec<usize> = self
            .world
            .backends
            .iter()
            .copied()
            .filter(|wire| !self.world.wires[*wire].is_closed)
            .collect();
        (!open.is_empty()).then(|| open[self.random.below(open.len())])
    }

    fn shard_reads_one(&mut self) {
        let all = self.world.wires.iter().enumerate();
        let readable: Vec<usize> = all
            .filter(|(_, wire)| wire.is_readable())
            .map(|(index, _)| index)
            .collect();
        if readable.is_empty() {
            return;
        }
        let wire = readable[self.random.below(readable.len())];
        let max = self.random.pick(&[1, 20, 300, 4096, 16_384]);
        self.shard_reads(wire, max);
    }

    fn shard_reads(&mut self, wire: usize, max: usize) {
        let was_open = !self.world.wires[wire].is_closed;
        // A request that the shard wrote in this very call counts before what it reads.
        self.world.read(wire, max);
        if !self.world.wires[wire].is_client() {
            self.after_backend_read(wire, was_open);
        }
    }

    /// Everybody does what is left to do, until nothing is.
    fn come_to_rest(&mut self) {
        for _ in 0..CALM_ROUNDS_MAX {
            let mut is_busy = false;
            for index in 0..self.clients.len() {
                is_busy |= self.client_acts(index, true);
                self.backends_parse();
            }
            for place in 0..self.world.backends.len() {
                let wire = self.world.backends[place];
                is_busy |= self.backend_acts(wire, true);
                self.backends_parse();
            }
            for wire in 0..self.world.wires.len() {
                if self.world.wires[wire].is_readable() {
                    is_busy = true;
                    self.shard_reads(wire, 16_384);
                    self.backends_parse();
                }
            }
            is_busy |= self.world.deliver(256);
            self.backends_parse();
            if !is_busy {
                self.is_quiet = true;
                return;
            }
        }
        panic!("the world comes to rest");
    }

    /// Backends see what they were sent in the order in which it was sent, so that it is clear which
    /// attempt was the first.
    fn backends_parse(&mut self) {
        for wire in std::mem::take(&mut self.world.written) {
            self.backend_parses(wire);
        }
    }

    fn gauges_equal_the_model(&mut self) {
        let (mut streams, mut polls) = (0, 0);
        let mut subscribers: BTreeMap<(Mode, String), i64> = BTreeMap::new();
        for index in 0..self.clients.len() {
            let Some((id, hold)) = self.held(index) else {
                continue;
            };
            let mode = match hold {
                HoldPlan::Stream { .. } => Mode::Stream,
                HoldPlan::Response { .. } => Mode::Response,
            };
            *(if mode == Mode::Stream {
                &mut streams
            } else {
                &mut polls
            }) += 1;
            for channel in &self.plans[id].channels {
                *subscribers
                    .entry((mode, format!("c{channel}")))
                    .or_default() += 1;
            }
        }
        let clients = self
            .world
            .open_wires()
            .filter(|wire| wire.is_client())
            .count();
        let backends = self.world.open_wires().count() - clients;
        let gauges = &self.world.counters.connections;
        let what = "gauges equal the model";
        assert_eq!(gauges.held_streams.get(), streams, "{what}: held streams");
        assert_eq!(
            gauges.held_long_polls.get(),
            polls,
            "{what}: held long-polls"
        );
        assert_eq!(gauges.clients_active.get(), 0, "{what}: active clients");
        assert_eq!(
            gauges.clients_idle.get() + streams + polls,
            clients as u64,
            "{what}: clients"
        );
        assert_eq!(self.world.core.clients(), clients, "{what}: clients");
        assert_eq!(gauges.backends.get(), backends as u64, "{what}: backends");
        assert_eq!(
            gauges.backends_idle.get(),
            backends as u64,
            "{what}: idle backends"
        );
        self.world.count_subscribers();
        assert_eq!(
            self.world.subscribers, subscribers,
            "subscribers equal the model"
        );
    }

    fn everybody_leaves(&mut self) {
        if self.random.chance(50) {
            for index in 0..self.clients.len() {
                self.clients[index].is_reset = true;
                let wire = &mut self.world.wires[self.clients[index].wire];
                wire.side = self.random.pick(&[PeerSide::Reset, PeerSide::Ended]);
            }
            self.come_to_rest();
        } else {
            self.drain();
        }
        self.judge_all(false);
        // What is left now waits for its time.
        for _ in 0..4 {
            self.world.advance(BEYOND_ALL_MS);
        }
        self.nothing_is_left();
    }

    fn drain(&mut self) {
        for client in &mut self.clients {
            client.is_excused = true;
        }
        self.world.drain(10_000);
        self.come_to_rest();
        self.world.advance(10_000);
        assert_eq!(
            self.world.core.clients(),
            0,
            "after draining no client is left"
        );
        assert!(self.world.core.is_drained());
    }

    fn nothing_is_left(&mut self) {
        self.world.count_subscribers();
        let core = &self.world.core;
        let what = "nothing is left when all have left";
        assert_eq!(core.connections(), 0, "{what}: rows");
        assert_eq!(core.clients(), 0, "{what}: clients");
        assert_eq!(core.timers(), 0, "{what}: timers");
        assert_eq!(core.channels(), 0, "{what}: channels");
        assert_eq!(core.pending(), 0, "{what}: items under way");
        assert_eq!(core.routes_kept(), 3, "{what}: routes");
        assert!(self.world.subscribers.is_empty(), "{what}: subscribers");
        let gauges = &self.world.counters.connections;
        let all = [
            &gauges.clients_idle,
            &gauges.clients_active,
            &gauges.held_streams,
            &gauges.held_long_polls,
            &gauges.backends,
            &gauges.backends_idle,
        ];
        assert!(
            all.iter().all(|gauge| gauge.get() == 0),
            "{what}: {gauges:?}"
        );
    }
}
