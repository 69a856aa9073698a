//! What the control thread tells every shard, through the broadcast ring ([`crate::io::bus`]).

use std::sync::Arc;

use config::RouteTable;
use proto::grip::Item;

use super::conn_check::ConnectionCheck;

/// One entry of the broadcast ring; cheap to clone, since each shard reads its own copy.
#[derive(Debug, Clone)]
pub enum Broadcast {
    /// Published items in publish order, their wire forms encoded once for all shards.
    Items(Arc<[Arc<Item>]>),
    /// A new route table; takes the place of the one before for requests from now on.
    Routes(Arc<RouteTable>),
    /// Accept nothing more, let what is running end, close what is left when the time is over.
    Drain {
        /// How long connections may still take, in milliseconds from now.
        timeout_ms: u64,
    },
    /// Forget last ids and let every held HTTP connection catch up (control.md section 5.3 of
    /// the behaviour reference: `POST /recover`).
    Recover,
    /// Let every held HTTP connection of these channels catch up: they got their first subscriber
    /// a moment ago (grip-http.md section 16 of the behaviour reference).
    Update(Arc<[Arc<str>]>),
    /// Say which of these connections are alive.
    Check(Arc<ConnectionCheck>),
}
