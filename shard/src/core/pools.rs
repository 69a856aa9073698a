//! Connections to backends, one pool per address of this shard.
//!
//! The most recently used connection is taken first, so that surplus ones grow old and are closed.
//! At the limit of a pool, requests wait in order of arrival instead of flooding the backend.

use std::collections::VecDeque;
use std::net::SocketAddr;

use hashbrown::HashMap;

use super::ConnKey;

/// Which pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolId(pub(super) u32);

/// What connections must have in common to stand in for each other. Verification and client
/// certificate belong to it: a connection that was not verified must not serve a route that asks
/// for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The backend's address.
    pub address: SocketAddr,
    /// How TLS is spoken, if at all.
    pub tls: Option<BackendTls>,
}

/// TLS towards a backend.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BackendTls {
    /// Name for SNI and verification.
    pub server_name: String,
    /// The certificate is not verified.
    pub is_insecure: bool,
}

/// One pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) key: PoolKey,
    /// Connections that wait for a request, the most recently used one last.
    pub(super) idle: Vec<ConnKey>,
    /// All connections: being opened, busy and idle.
    pub(super) open: usize,
    /// Clients whose request waits for a connection; those that left are skipped by their serial.
    pub(super) waiting: VecDeque<(ConnKey, u32)>,
}

/// How a request gets its connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Acquired {
    /// This idle one.
    Idle(ConnKey),
    /// A new one has to be opened; it is counted already.
    Open,
    /// The pool is at its limit.
    Wait,
    /// So is its queue.
    Full,
}

/// All pools of a shard.
#[derive(Debug)]
pub(super) struct Pools {
    connections_max: usize,
    waiting_max: usize,
    list: Vec<Pool>,
    index: HashMap<PoolKey, PoolId, ahash::RandomState>,
}

impl Pools {
    /// No pools yet. Each may have so many connections, and so many requests that wait for one.
    pub(super) fn new(connections_max: usize, waiting_max: usize) -> Self {
        Self {
            connections_max,
            waiting_max,
            list: Vec::new(),
            index: HashMap::default(),
        }
    }

    /// The pool for `key`, made when there is none.
    pub(super) fn id(&mut self, key: &PoolKey) -> PoolId {
        if let Some(id) = self.index.get(key) {
            return *id;
        }
        let id = PoolId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        self.list.push(Pool {
            key: key.clone(),
            idle: Vec::new(),
            open: 0,
            waiting: VecDeque::new(),
        });
        self.index.insert(key.clone(), id);
        id
    }

    pub(super) fn get(&self, id: PoolId) -> Option<&Pool> {
        self.list.get(id.0 as usize)
    }

    pub(super) fn get_mut(&mut self, id: PoolId) -> Option<&mut Pool> {
        self.list.get_mut(id.0 as usize)
    }

    /// A connection for a request; `needs_fresh`: one that has not served before.
    pub(super) fn acquire(&mut self, id: PoolId, needs_fresh: bool) -> Acquired {
        let (connections_max, waiting_max) = (self.connections_max, self.waiting_max);
        let Some(pool) = self.get_mut(id) else {
            return Acquired::Full;
        };
        let has_room = pool.open < connections_max;
        // At the limit a used connection is better than none.
        if (!needs_fresh || !has_room)
            && let Some(key) = pool.idle.pop()
        {
            return Acquired::Idle(key);
        }
        if has_room {
            pool.open += 1;
            return Acquired::Open;
        }
        if pool.waiting.len() < waiting_max {
            Acquired::Wait
        } else {
            Acquired::Full
        }
    }

    /// Forgets which connections there are, to have them counted anew.
    pub(super) fn forget_counts(&mut self) {
        for pool in &mut self.list {
            pool.open = 0;
            pool.idle.clear();
        }
    }

    /// Counts a connection.
    pub(super) fn count(&mut self, id: PoolId, key: ConnKey, is_idle: bool) {
        if let Some(pool) = self.get_mut(id) {
            pool.open += 1;
            if is_idle {
                pool.idle.push(key);
            }
        }
    }

    /// Takes an idle connection out because it is closed.
    pub(super) fn remove_idle(&mut self, id: PoolId, key: ConnKey) {
        if let Some(pool) = self.get_mut(id)
            && let Some(at) = pool.idle.iter().position(|idle| *idle == key)
        {
            pool.idle.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTIONS_MAX: usize = 3;

    fn pools() -> (Pools, PoolId) {
        let mut pools = Pools::new(CONNECTIONS_MAX, 1);
        let key = PoolKey {
            address: "127.0.0.1:1".parse().unwrap(),
            tls: None,
        };
        let id = pools.id(&key);
        assert_eq!(pools.id(&key), id);
        (pools, id)
    }

    #[test]
    fn the_most_recently_used_connection_is_taken_first() {
        let (mut pools, id) = pools();
        pools.get_mut(id).unwrap().idle.extend([4, 5]);
        assert_eq!(pools.acquire(id, false), Acquired::Idle(5));
        assert_eq!(pools.acquire(id, true), Acquired::Open);
    }

    #[test]
    fn requests_beyond_the_limit_wait() {
        let (mut pools, id) = pools();
        for _ in 0..CONNECTIONS_MAX {
            assert_eq!(pools.acquire(id, false), Acquired::Open);
        }
        assert_eq!(pools.acquire(id, false), Acquired::Wait);
    }
}
