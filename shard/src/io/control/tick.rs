//! What the control thread does every few milliseconds: it takes what other threads say that nobody
//! waits for, and does what is due. Reports of shards are taken as they come, see `listen`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use log::info;

use super::ControlCommand;
use super::listen::Taken;
use super::state::Control;
use crate::admin::interest::Notice;
use crate::admin::totals::Totals;
use crate::io::broadcast::Broadcast;
use crate::io::sys;

/// Pause between two ticks while shards have something to report.
const TICK: Duration = Duration::from_millis(10);

/// Pause when there was nothing for a while: an idle process sleeps.
const IDLE_TICK: Duration = Duration::from_millis(50);

/// Ticks without a report after which a process counts as idle.
const IDLE_AFTER_TICKS: u32 = 20;

/// Channels told about in one tick because their time has come.
const EXPIRED_PER_TICK_MAX: usize = 2_048;

/// How often `activity` and `counts` packets are sent when there is something to say.
const COUNTS_EVERY_MS: u64 = 100;

/// Runs until all shards have ended.
pub(super) async fn run(control: Rc<Control>) {
    let mut ticker = Ticker::new(&control);
    loop {
        match ticker.tick(&control) {
            Pace::Idle => {
                ticker.tidy(&control);
                control.reactor.pause(ticker.pause()).await;
            }
            Pace::Busy => control.reactor.pass().await,
            Pace::Over => return,
        }
    }
}

/// Channels gone after which unused memory is given back at the next quiet moment.
const CHANNELS_PER_TRIM: usize = 1_000;

/// How to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Everything is done.
    Idle,
    /// More is waiting.
    Busy,
    /// All shards have ended.
    Over,
}

struct Ticker {
    /// Ticks since the last report.
    quiet_ticks: u32,
    /// The most channels since memory was given back.
    channels_peak: usize,
    notices: Vec<Notice>,
    counted: Totals,
    counts_due_ms: u64,
    report_every_ms: u64,
    report_due_ms: u64,
}

impl Ticker {
    fn new(control: &Control) -> Self {
        let now_ms = control.clock.now_ms();
        let report_every_ms = u64::from(control.config.handler.stats_report_interval_s) * 1_000;
        Self {
            quiet_ticks: 0,
            channels_peak: 0,
            notices: Vec::new(),
            counted: Totals::default(),
            counts_due_ms: now_ms + COUNTS_EVERY_MS,
            report_every_ms,
            report_due_ms: now_ms + report_every_ms,
        }
    }

    fn pause(&self) -> Duration {
        if self.quiet_ticks < IDLE_AFTER_TICKS {
            TICK
        } else {
            IDLE_TICK
        }
    }

    /// Gives memory back after many channels have gone.
    fn tidy(&mut self, control: &Control) {
        let channels = control.interest.borrow().len();
        self.channels_peak = self.channels_peak.max(channels);
        if self.channels_peak - channels >= CHANNELS_PER_TRIM && self.quiet_ticks > 1 {
            self.channels_peak = channels;
            sys::trim_heap();
        }
    }

    fn tick(&mut self, control: &Rc<Control>) -> Pace {
        self.quiet_ticks = self.quiet_ticks.saturating_add(1);
        let now_ms = control.clock.now_ms();
        take_commands(control);
        take_routes(control);
        let pace = self.take_reports(control, now_ms);
        let more = control.expire_interest(now_ms, EXPIRED_PER_TICK_MAX, &mut self.notices);
        control.tell(&mut self.notices);
        control.tell_publishers();
        order(control, now_ms);
        self.update_firsts(control, now_ms);
        self.count(control, now_ms);
        control.stats.borrow_mut().wake();
        match pace {
            Pace::Idle if more => Pace::Busy,
            Pace::Idle | Pace::Busy | Pace::Over => pace,
        }
    }

    /// Books what the shards report.
    fn take_reports(&mut self, control: &Control, now_ms: u64) -> Pace {
        let taken = control.take_reports(now_ms);
        if control.has_reported.take() {
            self.quiet_ticks = 0;
        }
        match taken {
            Taken::Nothing | Taken::All => Pace::Idle,
            Taken::More => Pace::Busy,
            Taken::Over => Pace::Over,
        }
    }

    /// Lets the holds of channels with a first subscriber catch up, a message at a time; soon again
    /// while there are more.
    fn update_firsts(&mut self, control: &Rc<Control>, now_ms: u64) {
        if !control.firsts.borrow().is_due(now_ms) {
            return;
        }
        self.quiet_ticks = 0;
        if !control.is_updating.replace(true) {
            let control = Rc::clone(control);
            glommio::spawn_local(async move { control.update_firsts().await }).detach();
        }
    }

    /// Samples and reports the counters.
    fn count(&mut self, control: &Control, now_ms: u64) {
        let totals = control.totals();
        let mut minutes = control.minutes.get();
        minutes.sample(now_ms, totals.connections);
        control.minutes.set(minutes);
        control.reporter.borrow_mut().sample(totals.connections);
        if now_ms >= self.counts_due_ms {
            self.counts_due_ms = now_ms + COUNTS_EVERY_MS;
            self.tell_counts(control, totals);
        }
        if self.report_every_ms > 0 && now_ms >= self.report_due_ms {
            self.report_due_ms = now_ms + self.report_every_ms;
            let snapshot = control.snapshot();
            if let Some(report) = control.reporter.borrow_mut().report(now_ms, &snapshot) {
                control.stats.borrow_mut().report(&report);
            }
        }
    }

    fn tell_counts(&mut self, control: &Control, totals: Totals) {
        let before = std::mem::replace(&mut self.counted, totals);
        let requests = totals.requests.saturating_sub(before.requests);
        let activity = requests + totals.retries.saturating_sub(before.retries);
        if activity > 0 {
            control.stats.borrow_mut().counts(activity, requests);
        }
    }
}

fn take_commands(control: &Rc<Control>) {
    while let Ok(command) = control.commands.try_recv() {
        match command {
            ControlCommand::ReloadRoutes => control.routes.borrow_mut().reload(),
            ControlCommand::Drain => {
                info!("draining: no longer ready, clients are asked to leave");
                control.set_draining();
                let timeout_ms = u64::from(control.config.http.drain_timeout_s) * 1_000;
                broadcast(control, Broadcast::Drain { timeout_ms });
            }
        }
    }
}

fn take_routes(control: &Rc<Control>) {
    let table = control.routes.borrow_mut().next_table();
    if let Some(table) = table {
        broadcast(control, Broadcast::Routes(Arc::clone(&table)));
    }
}

/// Forgets outdated ids, and releases items that have waited long enough. The latter may have to
/// wait for room in the ring, which must not hold up the tick.
fn order(control: &Rc<Control>, now_ms: u64) {
    let is_due = control.order.borrow_mut().tick(now_ms);
    if is_due && !control.is_expiring.replace(true) {
        let control = Rc::clone(control);
        glommio::spawn_local(async move { control.publish_expired().await }).detach();
    }
}

/// Sends without holding up the tick; those who wait for room keep their order.
fn broadcast(control: &Rc<Control>, message: Broadcast) {
    let control = Rc::clone(control);
    glommio::spawn_local(async move { control.broadcast(message).await }).detach();
}
