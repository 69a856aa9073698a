//! Names of backends into addresses, away from the shards: looking up may block for seconds.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use log::warn;

/// Names that are looked up at the same time.
const THREADS_MAX: usize = 4;

/// A host name and the port that its addresses are to have.
pub type Name = (String, u16);

/// The addresses of each name that was found in time.
pub type Addresses = HashMap<Name, Vec<SocketAddr>>;

/// Looks up `names`, all within `timeout`. A name that is not found, or not in time, is missing in
/// the answer; its look-up ends by itself.
#[must_use]
pub fn resolve(names: Vec<Name>, timeout: Duration) -> Addresses {
    if names.is_empty() {
        return Addresses::new();
    }
    let threads = names.len().min(THREADS_MAX);
    let (jobs, waiting) = bounded(names.len());
    let (found, results) = bounded(names.len());
    let wanted = names.len();
    for name in names {
        // There is room for all of them.
        drop(jobs.try_send(name));
    }
    drop(jobs);
    for _ in 0..threads {
        let (waiting, found) = (waiting.clone(), found.clone());
        let thread = std::thread::Builder::new().name("resolve".to_owned());
        if let Err(error) = thread.spawn(move || look_up_all(&waiting, &found)) {
            warn!("cannot start a thread to look up names: {error}");
        }
    }
    drop(found);
    gather(&results, wanted, timeout)
}

fn look_up_all(waiting: &Receiver<Name>, found: &Sender<(Name, Vec<SocketAddr>)>) {
    while let Ok(name) = waiting.try_recv() {
        let addresses = look_up(&name);
        if found.try_send((name, addresses)).is_err() {
            return;
        }
    }
}

/// The addresses of a name; none if it is not found. May block.
pub(super) fn look_up((host, port): &Name) -> Vec<SocketAddr> {
    match (host.as_str(), *port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            warn!("cannot look up {host}: {error}");
            Vec::new()
        }
    }
}

fn gather(
    results: &Receiver<(Name, Vec<SocketAddr>)>,
    wanted: usize,
    timeout: Duration,
) -> Addresses {
    let deadline = crossbeam_channel::after(timeout);
    let mut addresses = Addresses::new();
    for _ in 0..wanted {
        let result = crossbeam_channel::select! {
            recv(results) -> result => result.ok(),
            recv(deadline) -> _ => None,
        };
        let Some((name, found)) = result else {
            break;
        };
        if !found.is_empty() {
            addresses.insert(name, found);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    #[test]
    fn the_name_of_this_machine_is_found_with_its_port() {
        let name = ("localhost".to_owned(), 81);
        let addresses = resolve(vec![name.clone()], TIMEOUT);
        let found = &addresses[&name];
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 81)
        );
    }

    #[test]
    fn what_is_not_found_is_missing_and_the_rest_is_there() {
        // No look-up of these leaves the machine: one is an address, the other no valid name.
        let good = ("127.0.0.1".to_owned(), 1);
        let bad = ("no such name".to_owned(), 2);
        let addresses = resolve(vec![bad.clone(), good.clone()], TIMEOUT);
        assert!(addresses.contains_key(&good) && !addresses.contains_key(&bad));
    }

    #[test]
    fn nothing_asked_is_nothing_found() {
        assert!(resolve(Vec::new(), TIMEOUT).is_empty());
    }

    #[test]
    fn a_look_up_that_takes_too_long_is_not_waited_for() {
        let (_sender, results) = bounded(1);
        assert!(gather(&results, 1, Duration::from_millis(1)).is_empty());
    }
}
