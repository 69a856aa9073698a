//! The control thread: everything that must be seen once for the whole process.
//!
//! A glommio executor with ordinary tasks, since it holds few connections: the HTTP control server,
//! the table of who listens to what, metrics, stats, route changes, drain. What the tasks wait for
//! comes from a ring of its own.
//!
//! | Module | What it does |
//! | --- | --- |
//! | `input`, `exchange`, `plan`, `refusal`, `answer` | requests and answers, no socket |
//! | `server` | the HTTP servers and their connections |
//! | `reactor` | sockets and waits |
//! | `api` | performs what a request wants |
//! | `publish` | the way of items into the broadcast ring |
//! | `order` | doubles dropped, items put in order |
//! | `inbox` | items and commands that come over ZeroMQ |
//! | `upstream` | what publishers are told is listened to |
//! | `firsts` | channels with a first subscriber, whose holds catch up |
//! | `listen` | what the shards report |
//! | `state` | what the tasks share |
//! | `stats` | what goes to stats listeners |
//! | `tick` | what is done every few milliseconds |

mod answer;
mod api;
mod exchange;
mod firsts;
mod inbox;
mod input;
mod listen;
mod order;
mod plan;
mod publish;
mod reactor;
mod refusal;
mod server;
mod state;
mod stats;
mod tick;
mod upstream;

use std::cell::Cell;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use config::Config;
use crossbeam_channel::{Receiver, Sender};

use self::plan::Service;
use self::reactor::Reactor;
use self::server::Server;
use self::state::Control;
use super::broadcast::Broadcast;
use super::bus::Publisher;
use super::clock::Clock;
use super::reports::ReportReceiver;
use super::routes_watch::RoutesWatch;
use super::zeromq::ZeroMq;
use crate::core::last_ids::LastIds;
use crate::counters::ShardCounters;

/// Commands that may wait for the control thread.
pub const COMMANDS_QUEUED_MAX: usize = 16;

/// Connections to the metrics port at once; further ones wait to be accepted.
const METRICS_CONNECTIONS_MAX: usize = 16;

/// What the rest of the process tells the control thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlCommand {
    /// Read the routes again, changed or not.
    ReloadRoutes,
    /// Tell everyone that the process is about to end.
    Drain,
}

/// What the control thread is given. Listeners are bound already, so that a port that is taken
/// stops the start.
#[derive(Debug)]
pub struct ControlContext {
    /// All settings.
    pub config: Arc<Config>,
    /// The broadcast ring.
    pub publisher: Publisher<Broadcast>,
    /// What the shards report. Once all its senders are gone, the control thread ends.
    pub reports: ReportReceiver,
    /// The last id of each channel, the table that the shards look into.
    pub last_ids: Arc<LastIds>,
    /// The counters of all shards.
    pub counters: Vec<Arc<ShardCounters>>,
    /// Commands, see [`commands`].
    pub commands: Receiver<ControlCommand>,
    /// The control port.
    pub listener: Option<TcpListener>,
    /// The port with nothing but metrics.
    pub metrics_listener: Option<TcpListener>,
    /// The ZeroMQ thread, when anything of it is on.
    pub zeromq: Option<ZeroMq>,
    /// The thread that looks at the routes.
    pub routes: RoutesWatch,
    /// The process's clock.
    pub clock: Clock,
    /// Set once all shards serve.
    pub ready: Arc<AtomicBool>,
}

/// The channel for [`ControlCommand`]s.
#[must_use]
pub fn commands() -> (Sender<ControlCommand>, Receiver<ControlCommand>) {
    crossbeam_channel::bounded(COMMANDS_QUEUED_MAX)
}

/// Runs the control thread until all shards have ended. To be called on an executor of its own.
///
/// # Errors
/// When a listener cannot be used; all else is logged and survived.
pub async fn run(context: ControlContext) -> std::io::Result<()> {
    let reactor = Reactor::new(context.clock)?;
    let control_max = context.config.control.connections_max;
    let listeners = [
        (listener(&context.listener)?, Service::Control, control_max),
        (
            listener(&context.metrics_listener)?,
            Service::Metrics,
            METRICS_CONNECTIONS_MAX,
        ),
    ];
    let control = Rc::new(Control::new(context, Rc::clone(&reactor)));
    // Dropping a task ends it: the servers live as long as this list.
    let mut tasks = Vec::new();
    for (listener, service, connections_max) in listeners {
        if let Some(listener) = listener {
            let server = Server::new(&control, listener, service, connections_max)?;
            tasks.push(glommio::spawn_local(server.run(Rc::clone(&control))));
        }
    }
    let (items, commands) = (Rc::clone(&control), Rc::clone(&control));
    tasks.push(glommio::spawn_local(async move {
        complain("items", inbox::take_items(items).await);
    }));
    tasks.push(glommio::spawn_local(async move {
        complain("commands", inbox::take_commands(commands).await);
    }));
    let reports = Rc::clone(&control);
    tasks.push(glommio::spawn_local(async move {
        if let Err(error) = listen::take_at_once(reports).await {
            log::warn!("reports are taken only now and then: {error}");
        }
    }));
    let is_over = Rc::new(Cell::new(false));
    let (ticks, is_told) = (Rc::clone(&control), Rc::clone(&is_over));
    tasks.push(glommio::spawn_local(async move {
        tick::run(ticks).await;
        is_told.set(true);
    }));
    reactor.run(|| is_over.get()).await?;
    for task in tasks {
        task.cancel().await;
    }
    Ok(())
}

/// Says that something is served no longer.
fn complain(what: &str, ended: std::io::Result<()>) {
    if let Err(error) = ended {
        log::error!("{what} are no longer taken from ZeroMQ: {error}");
    }
}

fn listener(from: &Option<TcpListener>) -> std::io::Result<Option<TcpListener>> {
    from.as_ref().map(TcpListener::try_clone).transpose()
}

#[cfg(test)]
mod tests;
