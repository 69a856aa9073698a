//! The sockets of the control and the metrics port.

use std::io;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::FutureExt;
use glommio::sync::Semaphore;
use log::{debug, error, warn};
use proto::http1::{FIELDS_MAX, HeadLimits};

use super::answer::write_continue;
use super::exchange::{Exchange, RequestLimits, Step};
use super::plan::Service;
use super::reactor::Socket;
use super::state::Control;
/// Limits of the metrics port, where requests have nothing to say, in bytes.
const METRICS_LEN_MAX: usize = 8_192;

/// Requests of one connection before the others get their turn.
const REQUESTS_PER_TURN_MAX: u32 = 32;

/// Answers gathered before they are sent, in bytes.
const GATHERED_MAX: usize = 65_536;

/// A request may take so many idle timeouts in all, however busily its bytes trickle in.
const IDLE_TIMEOUTS_PER_REQUEST: u64 = 2;

/// Pause after a failed accept: out of descriptors does not get better by asking at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is read and thrown away after a refusal, so that the answer is not lost to a reset.
const DISCARDED_LEN_MAX: usize = 2_000_000;

/// How long the peer may take between two pieces of that.
const DISCARD_TIMEOUT: Duration = Duration::from_millis(500);

/// One listening port.
pub(super) struct Server {
    listener: Socket,
    service: Service,
    places: Rc<Semaphore>,
}

impl Server {
    /// Takes over a listener. To be called on the executor's thread.
    pub(super) fn new(
        control: &Control,
        listener: std::net::TcpListener,
        service: Service,
        connections_max: usize,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let places = u64::try_from(connections_max).unwrap_or(u64::MAX);
        Ok(Self {
            listener: control.reactor.socket(listener.into()),
            service,
            places: Rc::new(Semaphore::new(places)),
        })
    }

    /// Accepts for ever; who finds no place waits in the backlog.
    pub(super) async fn run(self, control: Rc<Control>) {
        while let Ok(place) = self.places.acquire_static_permit(1).await {
            let stream = match self.listener.accept().await {
                Ok(stream) => stream,
                Err(error) => {
                    warn!("the control server cannot accept: {error}");
                    control.reactor.pause(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let control = Rc::clone(&control);
            let service = self.service;
            let task = async move {
                let connection = Connection::new(&control, stream, service);
                // Boxed once per connection, since it is too big to be moved about.
                let run = Box::pin(connection.run());
                // A panic in a task would end the executor; here it costs one connection.
                match AssertUnwindSafe(run).catch_unwind().await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => debug!("control connection: {error}"),
                    Err(_) => error!("a control connection panicked and was closed"),
                }
                drop(place);
            };
            glommio::spawn_local(task).detach();
        }
    }
}

/// One connection.
struct Connection<'c> {
    control: &'c Control,
    stream: Socket,
    exchange: Exchange,
    out: Vec<u8>,
    idle_timeout_ms: u64,
    /// When the request at hand must be complete.
    deadline_ms: Option<u64>,
    requests_in_turn: u32,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.control
            .count(|counts| counts.connections = counts.connections.saturating_sub(1));
    }
}

impl<'c> Connection<'c> {
    fn new(control: &'c Control, stream: Socket, service: Service) -> Self {
        control.count(|counts| counts.connections += 1);
        let settings = &control.config.control;
        let limits = match service {
            Service::Control => limits(settings.max_headers_size, settings.max_body_size),
            Service::Metrics => limits(METRICS_LEN_MAX, METRICS_LEN_MAX),
        };
        Self {
            control,
            stream,
            exchange: Exchange::new(service, limits),
            out: Vec::new(),
            idle_timeout_ms: u64::from(settings.idle_timeout_s.max(1)) * 1_000,
            deadline_ms: None,
            requests_in_turn: 0,
        }
    }

    async fn run(mut self) -> io::Result<()> {
        loop {
            match self.exchange.next() {
                Step::Request(plan) => {
                    let content = self.exchange.content();
                    self.control.answer(&plan, content, &mut self.out).await;
                    self.deadline_ms = None;
                    if !plan.manner.persistent {
                        self.send().await?;
                        return self.end().await;
                    }
                    self.requests_in_turn += 1;
                    if self.out.len() >= GATHERED_MAX {
                        self.send().await?;
                    }
                }
                Step::Continue => {
                    write_continue(&mut self.out);
                    self.send().await?;
                }
                Step::Refused(refusal, manner) => {
                    debug!("control request refused: {refusal}");
                    refusal.answer_into(manner, &mut self.out);
                    self.send().await?;
                    return self.end().await;
                }
                Step::NeedMore => {
                    self.send().await?;
                    if !self.read().await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads once; whether there is more to come.
    async fn read(&mut self) -> io::Result<bool> {
        if self.requests_in_turn >= REQUESTS_PER_TURN_MAX {
            self.requests_in_turn = 0;
            self.control.reactor.pass().await;
        }
        let now_ms = self.control.clock.now_ms();
        let mut wait_ms = self.idle_timeout_ms;
        if !self.exchange.is_idle() {
            let deadline_ms = *self
                .deadline_ms
                .get_or_insert(now_ms + self.idle_timeout_ms * IDLE_TIMEOUTS_PER_REQUEST);
            wait_ms = wait_ms.min(deadline_ms.saturating_sub(now_ms)).max(1);
        }
        let timeout = Duration::from_millis(wait_ms);
        let len = self.stream.read(self.exchange.room(), timeout).await?;
        self.exchange.filled(len);
        Ok(len > 0)
    }

    async fn send(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let timeout = Duration::from_millis(self.idle_timeout_ms);
        self.stream.write_all(&self.out, timeout).await?;
        self.out.clear();
        if self.out.capacity() > GATHERED_MAX {
            self.out = Vec::new();
        }
        Ok(())
    }

    /// Closes so that the peer gets what was sent: closing with bytes unread would be a reset,
    /// which may overtake the answer.
    async fn end(self) -> io::Result<()> {
        self.stream.shutdown_write()?;
        let mut discarded_len = 0;
        let mut scratch = vec![0; METRICS_LEN_MAX];
        while discarded_len < DISCARDED_LEN_MAX {
            match self.stream.read(&mut scratch, DISCARD_TIMEOUT).await? {
                0 => break,
                len => discarded_len += len,
            }
        }
        Ok(())
    }
}

const fn limits(head_len_max: usize, body_len_max: usize) -> RequestLimits {
    RequestLimits {
        head: HeadLimits {
            head_len_max,
            fields_max: FIELDS_MAX,
        },
        body_len_max,
    }
}
