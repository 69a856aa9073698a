//! Lives in which nothing may be lost or doubled: clients with positions, backends with a log.
//!
//! Backends write items down, then publish them: late, in any order, twice, or not at all. Items
//! go through the process's order and the rings of one or two shards. Long-polls and streams, slow
//! or not, come, go, and lose their connections; so do backends. Whatever happens, what a client
//! gets is the log of each of its channels from the start: no gap, nothing twice, nothing out of
//! order. In the end, when everything works again, each client has everything.
//!
//! `SIM_TRACE=1` beside `SIM_SEED` tells what happens.

mod answer;
mod asked;
mod client;
mod control;
mod log;
mod server;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;

use config::Config;
use shard::core::last_ids::LastIds;

use crate::random::Random;
use crate::world::{World, small_config};
use client::Client;
use control::{Control, Message};
use log::{CHANNELS, Log};
use server::Server;

/// Rounds in which a calm world must come to rest.
const CALM_ROUNDS_MAX: usize = 20_000;

/// Beyond the longest pause of a fetch that failed, and the waits of items and filters.
const REPAIR_MS: u64 = 30_000;

/// Beyond the timeouts of all holds and links.
const BEYOND_TIMEOUTS_MS: u64 = 70_000;

/// Beyond the waits of items, and the updates of first subscriptions and gaps; short of all
/// timeouts but those of some links.
const SOON_MS: u64 = 9_000;

/// Storms in a strict life.
const STORMS: usize = 15;

/// Time for those who were told to catch up.
const CATCH_UP_MS: u64 = 8_000;

/// Beyond every time limit of the small configuration.
const BEYOND_ALL_MS: u64 = 1_100_000;

/// A life.
pub(crate) struct Life {
    random: Random,
    worlds: Vec<World>,
    control: Control,
    log: Log,
    clients: Vec<Client>,
    clients_max: usize,
    /// By shard and wire.
    servers: BTreeMap<(usize, usize), Server>,
    /// Items that were written down and are about to be published.
    under_way: Vec<String>,
    /// Nothing goes wrong any more, and nobody is slow.
    is_calm: bool,
    is_debug: bool,
    is_traced: bool,
    prefix: &'static str,
    /// Nothing fails and nothing is lost on its way, so nobody has to wait for a repair.
    is_strict: bool,
    failures_percent: usize,
    lost_percent: usize,
    /// Requests that backends have answered.
    requests: usize,
}

impl Life {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x005e_ed0f_5eed);
        let is_strict = random.chance(40);
        let config = configure(is_strict, &mut random);
        let prefix = random.pick(&["", "", "p-"]);
        let routes = match prefix {
            "" => "* 127.0.0.1:1 127.0.0.1:2\n",
            _ => "*,prefix=p- 127.0.0.1:1 127.0.0.1:2\n",
        };
        let shards = random.between(1, 2);
        let last_ids: Arc<LastIds> = Arc::default();
        let world = |_| World::one_of(shards, config.clone(), routes, Arc::clone(&last_ids));
        let worlds: Vec<World> = (0..shards).map(world).collect();
        let now_ms = worlds[0].now_ms;
        let is_debug = config.proxy.debug;
        Self {
            control: Control::new(&config.handler, shards, last_ids, now_ms),
            worlds,
            log: Log::default(),
            clients: Vec::new(),
            clients_max: random.between(1, 8),
            servers: BTreeMap::new(),
            under_way: Vec::new(),
            is_calm: false,
            is_debug,
            is_traced: std::env::var_os("SIM_TRACE").is_some(),
            prefix,
            is_strict,
            failures_percent: if is_strict { 0 } else { random.pick(&[5, 20]) },
            lost_percent: if is_strict {
                0
            } else {
                random.pick(&[0, 5, 20])
            },
            requests: 0,
            random,
        }
    }

    pub(crate) fn live(&mut self) {
        if self.is_strict {
            self.live_strictly();
        } else {
            self.stir(&[300, 800, 1500]);
        }
        self.is_calm = true;
        self.pass(REPAIR_MS);
        self.catch_up();
        self.numbers_equal_the_model();
        self.everybody_leaves();
    }

    /// Again and again a short storm, after which everybody soon has everything.
    fn live_strictly(&mut self) {
        for _ in 0..STORMS {
            self.is_calm = false;
            self.stir(&[20, 60, 150]);
            self.is_calm = true;
            self.pass(SOON_MS);
            self.everybody_has_everything(false, "a moment");
        }
    }

    fn stir(&mut self, steps: &[usize]) {
        for _ in 0..self.random.pick(steps) {
            self.step();
        }
    }

    fn trace(&self, what: impl FnOnce() -> String) {
        if self.is_traced {
            eprintln!("{}", what());
        }
    }

    fn now_ms(&self) -> u64 {
        self.worlds[0].now_ms
    }

    fn step(&mut self) {
        let shard = self.random.below(self.worlds.len());
        match self.random.below(100) {
            0..3 => self.new_client(),
            3..25 if !self.clients.is_empty() => {
                let index = self.random.below(self.clients.len());
                self.client_acts(index);
            }
            25..45 => self.shard_reads_one(shard),
            45..62 => self.one_server_acts(shard),
            62..68 => self.backend_writes(),
            68..75 => self.publish_one(),
            75..81 => {
                self.take_message(shard);
            }
            81..88 => {
                let max = self.random.pick(&[1, 2, 7, 256]);
                self.worlds[shard].deliver(max);
            }
            88..91 => {
                let max = self.random.pick(&[1, 100]);
                self.control.report(&mut self.worlds[shard], max);
            }
            91..93 => {
                self.control.tick(self.now_ms());
            }
            93..98 => {
                let ms = self.random.pick(&[0, 3, 20, 60, 300]);
                self.advance(ms);
            }
            // Storms of strict lives are too short for an item's wait to end in them.
            98 if !self.is_strict => self.something_rare(shard),
            _ => {
                self.look_up(shard);
            }
        }
    }

    fn something_rare(&mut self, shard: usize) {
        match self.random.below(10) {
            0 => self.control.recover(),
            1..4 => {
                let channel = self.random.below(CHANNELS);
                let hint = self.hint(channel);
                self.under_way.push(hint);
            }
            4 => {
                let due_ms = self.worlds[shard].core.next_due_ms().unwrap_or(0);
                let wait_ms = due_ms.saturating_sub(self.now_ms());
                self.advance(wait_ms.min(20_000));
            }
            _ => {
                let ms = self.random.pick(&[700, 2_500, 6_000]);
                self.advance(ms);
            }
        }
    }

    /// Tells that there is something new, and not what.
    fn hint(&mut self, channel: usize) -> String {
        let no_seq = self.random.pick(&["", ",\"no-seq\":true"]);
        format!(
            "{{\"channel\":\"{}c{channel}\"{no_seq},\"http-stream\":{{\"action\":\"hint\"}},\
             \"http-response\":{{\"action\":\"hint\"}}}}",
            self.prefix
        )
    }

    fn new_client(&mut self) {
        if self.clients.len() >= self.clients_max {
            return;
        }
        let tag = self.clients.len() + 1;
        let mut client = match self.clients.last() {
            Some(last) if self.random.chance(40) => last.twin(),
            _ => Client::random(tag, &mut self.random),
        };
        if self.is_strict {
            // Who asks too late, or too long, does not get the item (grip-http.md section 17.3):
            // only the next one tells of it.
            client.wishes.filters.check = false;
            client.wishes.filters.modify = false;
        }
        self.clients.push(client);
    }

    fn one_server_acts(&mut self, shard: usize) {
        let world = &self.worlds[shard];
        let open = world.backends.iter().copied();
        let open: Vec<usize> = open.filter(|wire| !world.wires[*wire].is_closed).collect();
        if !open.is_empty() {
            let wire = open[self.random.below(open.len())];
            self.server_acts(shard, wire);
        }
    }

    fn shard_reads_one(&mut self, shard: usize) {
        let wires = self.worlds[shard].wires.iter().enumerate();
        let readable = wires.filter(|(_, wire)| wire.is_readable());
        let readable: Vec<usize> = readable.map(|(index, _)| index).collect();
        if !readable.is_empty() {
            let wire = readable[self.random.below(readable.len())];
            let max = self.random.pick(&[1, 20, 300, 4096, 16_384]);
            self.worlds[shard].read(wire, max);
        }
    }

    /// A backend writes items down and sends them off, if it does not forget to.
    fn backend_writes(&mut self) {
        let channel = self.random.below(CHANNELS);
        for _ in 0..self.random.pick(&[1, 1, 1, 2, 6]) {
            self.log.append(channel, self.is_strict, &mut self.random);
            let id = self.log.len(channel);
            let body = self.log.published(self.prefix, channel, id);
            if self.random.chance(10) {
                self.under_way.push(body.clone());
            }
            if !self.random.chance(self.lost_percent) {
                self.under_way.push(body);
            }
        }
    }

    /// Some of what is under way arrives, most often what was sent first.
    fn publish_one(&mut self) {
        let mut items = Vec::new();
        for _ in 0..self.random.pick(&[1, 1, 2, 5]) {
            if self.under_way.is_empty() {
                break;
            }
            let is_late = self.random.chance(30);
            let last = if is_late { self.under_way.len() } else { 1 };
            let place = self.random.below(last);
            items.push(self.under_way.remove(place));
        }
        let body = format!("{{\"items\":[{}]}}", items.join(","));
        self.control.publish(self.now_ms(), &body);
    }

    /// A shard takes a message from its ring. True: there was one.
    fn take_message(&mut self, shard: usize) -> bool {
        let Some(message) = self.control.next(shard) else {
            return false;
        };
        self.trace(|| {
            format!(
                "shard {shard} at {} takes {}",
                self.now_ms(),
                message.summary()
            )
        });
        let world = &mut self.worlds[shard];
        match message {
            Message::Items(items) => world.release(&items),
            Message::Update(channels) => world.core.update_channels(&channels),
            Message::Recover => world.core.recover(),
        }
        true
    }

    fn advance(&mut self, ms: u64) {
        for world in &mut self.worlds {
            world.advance(ms);
        }
    }

    /// Everybody does what there is to do, for so long.
    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms() + ms;
        self.come_to_rest();
        while self.now_ms() < end_ms {
            let dues = self.worlds.iter().filter_map(|w| w.core.next_due_ms());
            let due_ms = dues.min().unwrap_or(u64::MAX);
            // The control thread looks for what is due on its own.
            let next_ms = due_ms.clamp(self.now_ms() + 1, self.now_ms() + 500);
            self.advance(next_ms.min(end_ms) - self.now_ms());
            self.come_to_rest();
        }
    }

    fn come_to_rest(&mut self) {
        for _ in 0..CALM_ROUNDS_MAX {
            let mut is_busy = !self.under_way.is_empty();
            if is_busy {
                self.publish_one();
            }
            for index in 0..self.clients.len() {
                is_busy |= self.client_acts(index);
            }
            for shard in 0..self.worlds.len() {
                is_busy |= self.shard_acts(shard);
                self.control.report(&mut self.worlds[shard], usize::MAX);
            }
            is_busy |= self.control.tick(self.now_ms());
            if !is_busy {
                return;
            }
        }
        panic!("the world comes to rest");
    }

    /// A shard and its backends do all there is to do. True: there was something.
    fn shard_acts(&mut self, shard: usize) -> bool {
        let mut is_busy = false;
        while self.take_message(shard) {
            is_busy = true;
        }
        while self.worlds[shard].deliver(256) {
            is_busy = true;
        }
        for wire in 0..self.worlds[shard].wires.len() {
            let world = &mut self.worlds[shard];
            if world.wires[wire].is_readable() {
                is_busy = true;
                world.read(wire, 16_384);
            }
        }
        for place in 0..self.worlds[shard].backends.len() {
            let wire = self.worlds[shard].backends[place];
            is_busy |= self.server_acts(shard, wire);
        }
        is_busy | self.look_up(shard)
    }

    /// What brings everybody up to date: time alone; a recovery; or one more item.
    fn catch_up(&mut self) {
        match self.random.below(3) {
            0 => {
                self.pass(BEYOND_TIMEOUTS_MS);
                self.everybody_has_everything(true, "all timeouts");
            }
            1 => {
                self.control.recover();
                self.pass(CATCH_UP_MS);
                self.everybody_has_everything(true, "a recovery");
            }
            _ => {
                for channel in 0..CHANNELS {
                    self.log.append_plain(channel);
                    let id = self.log.len(channel);
                    let body = self.log.published(self.prefix, channel, id);
                    self.under_way.push(body);
                }
                self.pass(CATCH_UP_MS);
                self.everybody_has_everything(false, "one more item");
            }
        }
    }

    fn everybody_leaves(&mut self) {
        for index in 0..self.clients.len() {
            self.client_leaves(index);
        }
        self.clients.clear();
        self.come_to_rest();
        for _ in 0..4 {
            self.advance(BEYOND_ALL_MS);
            self.come_to_rest();
        }
        self.nothing_is_left();
    }
}

/// Settings that matter for what is lost and doubled.
fn configure(is_strict: bool, random: &mut Random) -> Config {
    let mut config = small_config();
    config.proxy.debug = random.chance(20);
    config.http.outbox_max = random.pick(&[8 * 1024, 64 * 1024]);
    config.proxy.backend_idle_max = random.pick(&[0, 1, 100]);
    config.handler.share_all = random.chance(25);
    config.handler.id_cache_ttl_s = random.pick(&[0, 1, 60]);
    config.handler.message_wait_ms = random.pick(&[100, 5_000]);
    if is_strict {
        // An item that is released twice, or behind a later one because its time was over, becomes
        // the last id again (grip-http.md section 15.2): then a hold that begins with it does not
        // conflict, and only the next item tells what it has missed.
        config.handler.id_cache_ttl_s = 60;
        config.handler.message_wait_ms = 5_000;
    }
    config.handler.subscription_linger_s = random.pick(&[0, 1, 60]);
    config
}
