//! The routes in use on this shard, with what each shard keeps beside a route.
//!
//! A hold or an exchange names its route by number and counts as its user: after a reload the old
//! route stays for as long as it has users.

use std::sync::Arc;

use config::{Config, Route, RouteQuery, RouteTable, Target, TargetKind};
use hashbrown::HashMap;
use slab::Slab;

use super::pools::{BackendTls, PoolId, PoolKey, Pools};
use super::signature::Signer;

/// A route of this shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RouteId(u32);

impl RouteId {
    /// No route.
    pub(super) const NONE: Self = Self(u32::MAX);

    /// Its number, for keys that are bytes.
    pub(super) const fn bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }
}

/// A route and what this shard keeps for it.
#[derive(Debug)]
pub(super) struct LocalRoute {
    pub(super) route: Arc<Route>,
    /// Per target, the pools of its addresses; empty for targets of other kinds.
    pub(super) pools: Vec<Vec<PoolId>>,
    pub(super) signer: Option<Signer>,
    users: usize,
    is_current: bool,
}

/// All routes of the shard.
#[derive(Debug, Default)]
pub(super) struct Routes {
    table: Arc<RouteTable>,
    list: Slab<LocalRoute>,
    /// The numbers of the current table's routes, by the place of the route in memory.
    ids: HashMap<*const Route, RouteId, ahash::RandomState>,
}

impl Routes {
    /// Takes over a new table. Routes that are no longer in it stay while they have users.
    pub(super) fn replace(&mut self, table: Arc<RouteTable>, config: &Config, pools: &mut Pools) {
        for (_, local) in &mut self.list {
            local.is_current = false;
        }
        self.ids.clear();
        for route in table.routes() {
            let local = LocalRoute {
                route: Arc::clone(route),
                pools: route
                    .targets
                    .iter()
                    .map(|target| target_pools(route, target, pools))
                    .collect(),
                signer: signer(route, config),
                users: 0,
                is_current: true,
            };
            let id = RouteId(u32::try_from(self.list.insert(local)).unwrap_or(u32::MAX));
            self.ids.insert(Arc::as_ptr(route), id);
        }
        self.table = table;
        self.list
            .retain(|_, local| local.is_current || local.users > 0);
    }

    /// The route for a request.
    pub(super) fn find(&self, query: &RouteQuery<'_>) -> Option<RouteId> {
        self.id_of(self.table.find(query)?)
    }

    /// The route with this id, written or generated.
    pub(super) fn by_id(&self, id: &str, path: &str) -> Option<RouteId> {
        self.id_of(self.table.by_id(id, path)?)
    }

    /// How many there are, old ones in use included.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, id: RouteId) -> Option<&LocalRoute> {
        self.list.get(id.0 as usize)
    }

    pub(super) fn get_mut(&mut self, id: RouteId) -> Option<&mut LocalRoute> {
        self.list.get_mut(id.0 as usize)
    }

    /// One more user.
    pub(super) fn enter(&mut self, id: RouteId) {
        if let Some(local) = self.get_mut(id) {
            local.users += 1;
        }
    }

    /// One user less.
    pub(super) fn leave(&mut self, id: RouteId) {
        let Some(local) = self.get_mut(id) else {
            return;
        };
        local.users = local.users.saturating_sub(1);
        if local.users == 0 && !local.is_current {
            self.list.remove(id.0 as usize);
        }
    }

    fn id_of(&self, route: &Arc<Route>) -> Option<RouteId> {
        self.ids.get(&Arc::as_ptr(route)).copied()
    }
}

/// The pools of a target's addresses, in the order they are tried.
fn target_pools(route: &Route, target: &Target, pools: &mut Pools) -> Vec<PoolId> {
    if !matches!(target.kind, TargetKind::Http { .. }) {
        return Vec::new();
    }
    let tls = target.is_tls.then(|| BackendTls {
        server_name: server_name(route, target),
        is_insecure: target.insecure,
    });
    let key = |address| PoolKey {
        address,
        tls: tls.clone(),
    };
    target
        .resolved
        .iter()
        .map(|address| pools.id(&key(*address)))
        .collect()
}

/// The name that a target's certificate is checked for. Without `host=` or `as_host=` it would be
/// the request's host, which differs from request to request; the target's own name serves then.
fn server_name(route: &Route, target: &Target) -> String {
    let own = match &target.kind {
        TargetKind::Http { host, .. } => host.clone(),
        TargetKind::Test | TargetKind::Zhttp { .. } => String::new(),
    };
    if target.trust_connect_host {
        return own;
    }
    let set = target.host.as_ref().or(route.as_host.as_ref());
    set.map_or(own, |host| host.host.clone())
}

fn signer(route: &Route, config: &Config) -> Option<Signer> {
    if route.no_grip {
        return None;
    }
    let set = route.sig.as_ref();
    let iss = set
        .and_then(|set| set.iss.as_deref())
        .or(config.proxy.sig_iss.as_deref())?;
    let key = set
        .and_then(|set| set.key.as_ref())
        .or(config.proxy.sig_key.as_ref())?;
    Signer::new(iss, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(line: &str) -> Arc<RouteTable> {
        Arc::new(RouteTable::from_lines(&[line.to_owned()], std::path::Path::new("")).0)
    }

    #[test]
    fn a_replaced_route_stays_until_its_last_user_leaves() {
        let (mut routes, mut pools, config) =
            (Routes::default(), Pools::new(1, 1), Config::default());
        routes.replace(table("* 127.0.0.1:1"), &config, &mut pools);
        let query = RouteQuery {
            host: "a",
            path: "/",
            is_ssl: false,
            is_ws: false,
        };
        let old = routes.find(&query).unwrap();
        routes.enter(old);
        routes.replace(table("* test"), &config, &mut pools);
        assert!(routes.get(old).is_some());
        assert_ne!(routes.find(&query).unwrap(), old);
        routes.leave(old);
        assert!(routes.get(old).is_none());
    }
}
