//! What happens when a connection's time has come.

use super::actions::Actions;
use super::answer::Refusal;
use super::backend::Loss;
use super::conn::State;
use super::exchange::Link;
use super::filter::RequestFailure;
use super::hold::HoldKind;
use super::{ConnKey, Core, Socket};

/// Timers handled in one call; the rest follows in the next turn.
const EXPIRED_PER_CALL_MAX: usize = 1024;

/// What a due timer means.
enum Due {
    CloseClient,
    CutUpload,
    LoseBackend,
    /// The backend of this client's upload does not read.
    LoseBackendOf(ConnKey),
    WaitedTooLong,
    SlowClient,
    KeepAlive,
    /// Keep-alive, next link, or both.
    Session,
    TimeOutHold,
    FailErrand,
    Nothing,
}

/// A number below `max` of a connection's own, so that timers of many do not fall into one moment.
/// Neighbours are spread by the factor, a prime.
pub(super) fn jitter(serial: u32, max: u64) -> u64 {
    u64::from(serial) * 7919 % max
}

impl<S: Socket> Core<S> {
    /// Handles timers that are due.
    pub fn expire(&mut self, actions: &mut Actions) {
        // What an earlier call has not come to, because it panicked, is not forgotten.
        if self.expired.is_empty() {
            let now_ms = self.now.ms;
            let (rows, out) = (&mut self.rows, &mut self.expired);
            self.wheel.expire(rows, now_ms, EXPIRED_PER_CALL_MAX, out);
            self.expired.reverse();
        }
        while let Some(key) = self.expired.pop() {
            // Set again by what an earlier one has led to: its new time has not come.
            let is_set = self
                .rows
                .get(key)
                .is_some_and(|row| row.timer.is_scheduled());
            if !is_set {
                self.expire_one(key, actions);
            }
        }
        self.run_patient(actions);
        self.check_drain(actions);
        self.settle(actions);
    }

    fn expire_one(&mut self, key: ConnKey, actions: &mut Actions) {
        match self.due(key) {
            Due::CloseClient => self.close_client(key, actions),
            Due::CutUpload => {
                if let State::Exchange(mut exchange) = self.take_state(key) {
                    exchange.terms.is_persistent = false;
                    self.fail(
                        key,
                        exchange,
                        &Refusal::new(408, "Request took too long."),
                        actions,
                    );
                }
            }
            Due::LoseBackend => self.lose_backend(key, Loss::TimedOut, actions),
            Due::LoseBackendOf(backend) => self.lose_backend(backend, Loss::TimedOut, actions),
            Due::WaitedTooLong => {
                if let State::Exchange(exchange) = self.take_state(key) {
                    self.counters.errors.backend_busy.add(1);
                    self.fail(
                        key,
                        exchange,
                        &Refusal::new(503, "Backend is busy."),
                        actions,
                    );
                }
            }
            Due::SlowClient => {
                self.counters.deliveries.slow_clients_closed.add(1);
                self.close_client(key, actions);
            }
            Due::KeepAlive => self.send_keep_alive(key, actions),
            Due::Session => self.session_due(key, actions),
            Due::FailErrand => {
                if let State::Exchange(exchange) = self.take_state(key) {
                    self.errand_failed(key, exchange, RequestFailure::RequestTimedOut, actions);
                }
            }
            Due::TimeOutHold => self.time_out_hold(key, actions),
            Due::Nothing => {}
        }
    }

    fn due(&self, key: ConnKey) -> Due {
        let Some(row) = self.rows.get(key) else {
            return Due::Nothing;
        };
        match &row.state {
            State::Idle | State::Head(_) | State::Finishing => Due::CloseClient,
            State::Exchange(exchange) if exchange.errand.is_some() => Due::FailErrand,
            State::Exchange(exchange) => match exchange.backend {
                Link::Resolving | Link::Following => Due::Nothing,
                Link::Waiting => Due::WaitedTooLong,
                // The backend's own timer counts.
                Link::Connecting(_) => Due::Nothing,
                Link::None | Link::Open(_) if exchange.upload.is_complete() => Due::Nothing,
                Link::Open(backend) if self.is_blocked(backend) => Due::LoseBackendOf(backend),
                Link::None | Link::Open(_) => Due::CutUpload,
            },
            State::Held(hold) if hold.is_stream() && row.flags.is_blocked => Due::SlowClient,
            State::Held(hold) if hold.kind == HoldKind::Response => Due::TimeOutHold,
            State::Held(hold) if hold.session().is_some() => Due::Session,
            State::Held(_) => Due::KeepAlive,
            State::Backend(_) => Due::LoseBackend,
            State::Gone => Due::Nothing,
        }
    }
}
