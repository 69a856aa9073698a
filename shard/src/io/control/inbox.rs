//! What comes over ZeroMQ: items go into the ring in the order in which they came, commands are
//! performed.
//!
//! Items wait here for as long as there is no room in the ring. Meanwhile their queue fills, and
//! the ZeroMQ thread stops reading: publishers are held back, nothing is dropped on this side.
//! Commands have a queue and a wake of their own, so that they are answered all the same.

use std::collections::HashSet;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::refusal::Refusal;
use super::state::Control;
use super::stats;
use crate::io::broadcast::Broadcast;
use crate::io::conn_check::{ConnectionCheck, ConnectionId};
use crate::io::zeromq::{Answer, Command, Failure};

/// How long the shards may take to say which connections are alive, in milliseconds.
const CHECK_MAX_MS: u64 = 10_000;

/// How often their answers are looked for.
const CHECK_LOOK: Duration = Duration::from_millis(1);

/// Publishes what comes over PULL and SUB. Never ends by itself.
///
/// # Errors
/// The kernel's, when nothing can be waited for.
pub(super) async fn take_items(control: Rc<Control>) -> io::Result<()> {
    let Some(link) = &control.link else {
        return Ok(());
    };
    let wake = control.reactor.socket(link.items_fd()?);
    loop {
        while let Some(items) = link.next_items() {
            control.publish_in_time(items).await;
            // There may be more at once, for as long as a flood lasts.
            control.reactor.pass().await;
        }
        if link.items_prepare_sleep() {
            wake.readable().await?;
            link.items_awake();
        }
    }
}

/// Performs commands. Never ends by itself.
///
/// # Errors
/// The kernel's, when nothing can be waited for.
pub(super) async fn take_commands(control: Rc<Control>) -> io::Result<()> {
    let Some(link) = &control.link else {
        return Ok(());
    };
    let wake = control.reactor.socket(link.commands_fd()?);
    loop {
        while let Some(asked) = link.next_command() {
            let control = Rc::clone(&control);
            // Each on its own, since some have to wait; the link bounds how many there are.
            glommio::spawn_local(async move {
                let answer = control.perform_command(asked.command).await;
                if let Some(link) = &control.link {
                    link.answer(asked.caller, answer);
                }
            })
            .detach();
        }
        control.reactor.pass().await;
        if link.commands_prepare_sleep() {
            wake.readable().await?;
            link.commands_awake();
        }
    }
}

impl Control {
    async fn perform_command(&self, command: Command) -> Answer {
        let done = match command {
            Command::ConnCheck(ids) => self.alive(ids).await.map(Answer::Ids),
            // The ZeroMQ thread answers this one itself.
            Command::Uris => Err(Failure::MethodNotFound),
            Command::Recover => told(self.recover().await),
            Command::RefreshConnection(id) => self.refresh_connection(id).await,
            // Only WebSocket-over-HTTP connections have something to refresh.
            Command::RefreshChannel(_) => Ok(Answer::Done),
            Command::Publish(items) => told(self.publish(items).await),
        };
        done.unwrap_or_else(Answer::Failed)
    }

    /// Without effect on all connections but WebSocket-over-HTTP ones.
    async fn refresh_connection(&self, id: String) -> Result<Answer, Failure> {
        match self.alive(vec![id]).await?.is_empty() {
            true => Err(Failure::ItemNotFound),
            false => Ok(Answer::Done),
        }
    }

    /// Those of the ids that stand for connections which are there.
    async fn alive(&self, mut ids: Vec<String>) -> Result<Vec<String>, Failure> {
        let instance = stats::instance();
        let parse = |id: &str| {
            let (from, rest) = id.split_once(':')?;
            (from == instance).then(|| ConnectionId::parse(rest))?
        };
        let asked: Vec<_> = ids.iter().filter_map(|id| parse(id)).collect();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let alive = self.ask_shards(asked).await?;
        ids.retain(|id| parse(id).is_some_and(|id| alive.contains(&id)));
        Ok(ids)
    }

    async fn ask_shards(&self, ids: Vec<ConnectionId>) -> Result<HashSet<ConnectionId>, Failure> {
        let shards = self.shards();
        let (check, answers) = ConnectionCheck::new(ids, shards);
        if !self.room(Some(CHECK_MAX_MS)).await {
            return Err(Failure::ProxyRequestFailed);
        }
        self.put(Broadcast::Check(check));
        let started_ms = self.clock.now_ms();
        let (mut alive, mut answered) = (HashSet::new(), 0);
        while answered < shards {
            match answers.try_recv() {
                Ok(some) => {
                    answered += 1;
                    alive.extend(some);
                }
                Err(_) if self.clock.now_ms() - started_ms > CHECK_MAX_MS => {
                    return Err(Failure::ProxyRequestFailed);
                }
                Err(_) => self.reactor.pause(CHECK_LOOK).await,
            }
        }
        Ok(alive)
    }
}

/// What the caller is told of something that the shards may have had no room for.
fn told(done: Result<(), Refusal>) -> Result<Answer, Failure> {
    done.map(|()| Answer::Done).map_err(|_| Failure::Overloaded)
}
