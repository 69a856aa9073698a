//! Takes what the shards report: who listens to what, which connections came and went.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crossbeam_channel::TryRecvError;

use super::state::Control;
use super::upstream::Upstream;
use crate::admin::interest::{Interest, Notice, NoticeKind};
use crate::io::reports::SubscriptionChange;

/// Reports taken at once.
const REPORTS_AT_ONCE_MAX: usize = 16;

/// After a wake further reports may come for so long before they are taken: shards that are busy
/// must not wake the control thread for each.
const GATHER: Duration = Duration::from_millis(1);

/// What there was to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing.
    Nothing,
    /// All there was.
    All,
    /// As much as may be taken at once; there may be more.
    More,
    /// All shards have ended.
    Over,
}

/// Takes reports as they come: publishers and listeners are told of a subscriber at once. Ends when
/// all shards have.
///
/// # Errors
/// The kernel's; the ticks take reports all the same.
pub(super) async fn take_at_once(control: Rc<Control>) -> io::Result<()> {
    let wake = control.reactor.socket(control.reports.wake_fd()?);
    loop {
        match control.take_reports(control.clock.now_ms()) {
            Taken::Over => return Ok(()),
            Taken::More => control.reactor.pass().await,
            Taken::All | Taken::Nothing => control.stats.borrow_mut().wake(),
        }
        if control.reports.prepare_sleep() {
            wake.readable().await?;
            control.reports.awake();
            control.reactor.pause(GATHER).await;
        }
    }
}

impl Control {
    /// Books what the shards report.
    pub(super) fn take_reports(&self, now_ms: u64) -> Taken {
        let mut notices = Vec::new();
        for taken in 0..REPORTS_AT_ONCE_MAX {
            let report = match self.reports.try_recv() {
                Ok(report) => report,
                Err(TryRecvError::Empty) if taken == 0 => return Taken::Nothing,
                Err(TryRecvError::Empty) => return Taken::All,
                Err(TryRecvError::Disconnected) => return Taken::Over,
            };
            self.has_reported.set(true);
            self.book(now_ms, &report.subscriptions, &mut notices);
            let mut stats = self.stats.borrow_mut();
            for event in &report.connections {
                stats.connection(event);
            }
            drop(stats);
            self.tell(&mut notices);
            self.tell_publishers();
        }
        Taken::More
    }

    /// Books subscribers that came or went, and remembers channels that were not known before.
    fn book(&self, now_ms: u64, changes: &[SubscriptionChange], notices: &mut Vec<Notice>) {
        let mut interest = self.interest.borrow_mut();
        let mut firsts = self.firsts.borrow_mut();
        let mut upstream = self.upstream.borrow_mut();
        for change in changes {
            let told = notices.len();
            if interest.apply(now_ms, change, notices) {
                firsts.add(now_ms, &change.channel);
                upstream.note(&change.channel, true);
            }
            let new = notices.get(told..).unwrap_or_default();
            note_gone(new, &interest, &mut upstream);
        }
    }

    /// Ends channels whose time has come, at most `max`; answers whether there are more.
    pub(super) fn expire_interest(
        &self,
        now_ms: u64,
        max: usize,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let mut interest = self.interest.borrow_mut();
        let more = interest.expire(now_ms, max, notices);
        note_gone(notices, &interest, &mut self.upstream.borrow_mut());
        more
    }

    /// Tells publishers what has changed; what finds no room waits for the next tick.
    pub(super) fn tell_publishers(&self) {
        let Some(link) = &self.link else {
            return;
        };
        let mut upstream = self.upstream.borrow_mut();
        while let Some(changes) = upstream.take() {
            if let Err(changes) = link.tell(changes) {
                upstream.put_back(changes);
                return;
            }
        }
    }

    /// Tells listeners what became of channels, and forgets the order of those that are gone.
    pub(super) fn tell(&self, notices: &mut Vec<Notice>) {
        let mut stats = self.stats.borrow_mut();
        let mut order = self.order.borrow_mut();
        for notice in notices.drain(..) {
            stats.subscription(&notice);
            // The channel may still be listened to in another mode.
            if notice.kind == NoticeKind::Gone
                && !order.is_empty()
                && !self.interest.borrow().is_known(&notice.channel)
            {
                order.forget(&notice.channel);
            }
        }
    }
}

/// Notes channels that have just ended in their last mode. Only in response mode do they linger, so
/// none ends in two modes at once.
fn note_gone(notices: &[Notice], interest: &Interest, upstream: &mut Upstream) {
    let gone = notices
        .iter()
        .filter(|notice| notice.kind == NoticeKind::Gone);
    for notice in gone.filter(|notice| !interest.is_known(&notice.channel)) {
        upstream.note(&notice.channel, false);
    }
}
