//! Names in links that lead elsewhere, looked up away from the shard: it may take seconds.
//!
//! A shard starts its thread with the first name. Links to other hosts are rare; those to the
//! route's own host, or to an address, need no look-up.

use std::net::SocketAddr;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::resolve::{self, Name};
use crate::core::ConnKey;

/// Names of one shard that wait to be looked up; one more counts as not found.
const WAITING_MAX: usize = 1_024;

/// Milliseconds between two looks at what was found, while something is being looked up.
const LOOK_EVERY_MS: u64 = 5;

/// Who wants to know.
type Asker = (ConnKey, u32);

/// The addresses of somebody's name; none if it was not found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) conn: ConnKey,
    pub(super) serial: u32,
    pub(super) addresses: Vec<SocketAddr>,
}

/// One shard's look-ups.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    thread: Option<Thread>,
    waiting: usize,
    /// Those that were refused.
    refused: Vec<Asker>,
}

#[derive(Debug)]
struct Thread {
    names: Sender<(Asker, Name)>,
    found: Receiver<Found>,
}

impl Lookups {
    /// Asks for the addresses of a name; [`Lookups::next`] answers.
    pub(super) fn ask(&mut self, conn: ConnKey, serial: u32, name: Name) {
        let asker = (conn, serial);
        if self.thread.is_none() {
            self.thread = start();
        }
        let sent = match &self.thread {
            Some(thread) => thread.names.try_send((asker, name)),
            None => Err(TrySendError::Full((asker, name))),
        };
        if sent.is_err() {
            self.refused.push(asker);
        }
        self.waiting += 1;
    }

    /// The next answer, if there is one.
    pub(super) fn next(&mut self) -> Option<Found> {
        if self.waiting == 0 {
            return None;
        }
        let refused = self.refused.pop().map(|(conn, serial)| Found {
            conn,
            serial,
            addresses: Vec::new(),
        });
        let found = refused.or_else(|| self.thread.as_ref()?.found.try_recv().ok())?;
        self.waiting -= 1;
        Some(found)
    }

    /// In how many milliseconds to look for answers again.
    pub(super) fn due_in_ms(&self) -> u64 {
        if self.waiting > 0 {
            LOOK_EVERY_MS
        } else {
            u64::MAX
        }
    }
}

fn start() -> Option<Thread> {
    let (names, asked) = bounded::<(Asker, Name)>(WAITING_MAX);
    let (answers, found) = bounded(WAITING_MAX * 2);
    let work = move || {
        for ((conn, serial), name) in asked {
            let addresses = resolve::look_up(&name);
            let found = Found {
                conn,
                serial,
                addresses,
            };
            if answers.send(found).is_err() {
                return;
            }
        }
    };
    match std::thread::Builder::new()
        .name("lookup".to_owned())
        .spawn(work)
    {
        Ok(_) => Some(Thread { names, found }),
        Err(error) => {
            log::warn!("cannot start a thread to look up names: {error}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wait(lookups: &mut Lookups) -> Found {
        let deadline = crossbeam_channel::after(Duration::from_secs(20));
        loop {
            if let Some(found) = lookups.next() {
                return found;
            }
            assert!(deadline.try_recv().is_err(), "no answer");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_asker_gets_the_addresses_with_its_port() {
        let mut lookups = Lookups::default();
        lookups.ask(7, 1, ("localhost".to_owned(), 81));
        let found = wait(&mut lookups);
        assert_eq!((found.conn, found.serial), (7, 1));
        assert!(found.addresses.iter().all(|address| address.port() == 81));
        assert!(!found.addresses.is_empty());
        assert_eq!(lookups.due_in_ms(), u64::MAX);
    }

    #[test]
    fn a_name_that_is_not_found_is_answered_too() {
        let mut lookups = Lookups::default();
        lookups.ask(7, 1, ("no such name".to_owned(), 81));
        assert!(wait(&mut lookups).addresses.is_empty());
    }
}
