//! A whole core without a shard around it: backends answer at once, out of a constant.

use std::path::Path;
use std::sync::Arc;

use config::{Config, RouteTable};
use proto::grip::Item;
use shard::core::settings::Listener;
use shard::core::{Action, Actions, ConnKey, Core, Now, Settings, Socket};
use shard::counters::ShardCounters;

use crate::error::BenchError;

/// A request of 150 bytes: what a held connection keeps of it counts.
pub(crate) const REQUEST: &[u8] = b"GET /stream HTTP/1.1\r\nHost: localhost:7999\r\n\
    User-Agent: bench/0.1\r\nAccept: text/event-stream\r\nAccept-Language: en\r\n\
    Cookie: session=0123456789abc\r\n\r\n";

/// Deliveries in one slice, as the engine has it.
pub(crate) const SLICE: usize = 256;

/// A core and the list it fills.
#[derive(Debug)]
pub(crate) struct Rig<S> {
    pub(crate) core: Core<S>,
    pub(crate) actions: Actions,
    pub(crate) counters: Arc<ShardCounters>,
}

impl<S: Socket> Rig<S> {
    /// With default settings and one route.
    pub(crate) fn new() -> Self {
        let config = Arc::new(Config::default());
        let counters = Arc::new(ShardCounters::default());
        let settings = Settings::new(config, vec![Listener::default()], 1);
        let now = Now {
            ms: 1_000,
            unix_s: 1_764_000_000,
        };
        let mut core = Core::new(settings, Arc::clone(&counters), now);
        let (table, _) = RouteTable::parse("* 127.0.0.1:9\n", Path::new("."));
        core.replace_routes(Arc::new(table));
        Self {
            core,
            actions: Actions::default(),
            counters,
        }
    }

    /// A client connects.
    pub(crate) fn accept(&mut self) -> ConnKey {
        let key = self.core.accept(0, &mut self.actions);
        self.actions.clear();
        key
    }

    /// The client sends [`REQUEST`] and the backend answers it with `response`.
    ///
    /// # Errors
    /// When the request reached no backend.
    pub(crate) fn exchange(&mut self, client: ConnKey, response: &[u8]) -> Result<(), BenchError> {
        self.core.received(client, REQUEST, &mut self.actions);
        let mut backend = None;
        let mut is_new = false;
        for action in &self.actions.list {
            match action {
                Action::Connect { conn, .. } => (backend, is_new) = (Some(*conn), true),
                Action::Send { conn, .. } if *conn != client => backend = Some(*conn),
                _ => {}
            }
        }
        let backend = backend.ok_or(BenchError::Unexpected("no backend was asked"))?;
        self.actions.clear();
        if is_new {
            self.core.connected(backend, true, &mut self.actions);
            self.actions.clear();
        }
        self.core.received(backend, response, &mut self.actions);
        self.close_all();
        Ok(())
    }

    /// The client goes away.
    pub(crate) fn leave(&mut self, client: ConnKey) {
        self.core.ended(client, &mut self.actions);
        self.close_all();
    }

    /// Performs what closes connections, forgets the rest.
    pub(crate) fn close_all(&mut self) {
        for action in &self.actions.list {
            if let Action::Close(conn) = action {
                self.core.remove(*conn);
            }
        }
        self.actions.clear();
    }

    /// Clients that are held at present.
    pub(crate) fn held(&self) -> u64 {
        let connections = &self.counters.connections;
        connections.held_streams.get() + connections.held_long_polls.get()
    }

    /// What the control thread is told, told to nobody.
    pub(crate) fn note_changes(&mut self) {
        self.core.drain_changes(usize::MAX, &mut |_, _, _| {});
    }
}

/// A response that holds a stream on these channels.
pub(crate) fn stream_response(channels: &str) -> Vec<u8> {
    hold_response("stream", channels)
}

/// A response that holds a request (`mode` of `Grip-Hold`) on these channels.
pub(crate) fn hold_response(mode: &str, channels: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nGrip-Hold: {mode}\r\n\
         Grip-Channel: {channels}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// An item of 100 bytes for streams.
///
/// # Errors
/// When the codec refuses it.
pub(crate) fn stream_item(channel: &str) -> Result<Arc<Item>, BenchError> {
    let content = "x".repeat(99);
    item(
        channel,
        &format!(r#""http-stream":{{"content":"{content}\n"}}"#),
    )
}

/// An item with these formats.
///
/// # Errors
/// When the codec refuses it.
pub(crate) fn item(channel: &str, formats: &str) -> Result<Arc<Item>, BenchError> {
    let body = format!(r#"{{"items":[{{"channel":"{channel}","formats":{{{formats}}}}}]}}"#);
    let items = proto::grip::parse_publish_body(body.as_bytes());
    let item = items.ok().and_then(|items| items.into_iter().next());
    item.map(Arc::new)
        .ok_or(BenchError::Unexpected("an item was refused"))
}
