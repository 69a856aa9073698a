//! Sockets on the loopback interface.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, connect, listen, setsockopt,
    socket, sockopt,
};

use crate::error::LoadError;

/// Connections that wait to be accepted by our own servers: as many as the kernel allows.
const BACKLOG: i32 = -1;

/// Everything a socket can report, edge-triggered: one registration for its whole life.
pub(crate) fn all_events() -> EpollFlags {
    EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET
}

/// Starts a non-blocking connect, from `source` if given.
///
/// The source port is chosen when connecting, per target, so one source address serves about
/// 28,000 connections to each target.
///
/// # Errors
/// [`LoadError::Io`] when it fails at once.
pub(crate) fn connect_from(
    source: Option<Ipv4Addr>,
    target: SocketAddrV4,
) -> Result<TcpStream, LoadError> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Inet, SockType::Stream, flags, None)
        .map_err(LoadError::sys("making a socket"))?;
    if let Some(source) = source {
        setsockopt(&fd, sockopt::IpBindAddressNoPort, &true)
            .map_err(LoadError::sys("setting IP_BIND_ADDRESS_NO_PORT"))?;
        let address = SockaddrIn::from(SocketAddrV4::new(source, 0));
        bind(fd.as_raw_fd(), &address).map_err(LoadError::sys("binding a source address"))?;
    }
    match connect(fd.as_raw_fd(), &SockaddrIn::from(target)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(fd)),
        Err(errno) => Err(LoadError::sys("connecting")(errno)),
    }
}

/// A non-blocking listener on 127.0.0.1; port 0 picks a free one. Its connections have no delay.
///
/// # Errors
/// [`LoadError::Io`] when the port is taken.
pub(crate) fn listen_on(port: u16) -> Result<TcpListener, LoadError> {
    let what = "listening";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(LoadError::io(what))?;
    listener
        .set_nonblocking(true)
        .map_err(LoadError::io(what))?;
    let backlog = Backlog::new(BACKLOG).map_err(LoadError::sys(what))?;
    listen(&listener, backlog).map_err(LoadError::sys(what))?;
    setsockopt(&listener, sockopt::TcpNoDelay, &true).map_err(LoadError::sys(what))?;
    Ok(listener)
}

/// The port that a listener got.
///
/// # Errors
/// [`LoadError::Io`] when the kernel does not tell.
pub(crate) fn port_of(listener: &TcpListener) -> Result<u16, LoadError> {
    let address = listener
        .local_addr()
        .map_err(LoadError::io("asking for the port"))?;
    Ok(address.port())
}

/// Ports that were free a moment ago, all different.
///
/// # Errors
/// [`LoadError::Io`] when there are none.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N], LoadError> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = listen_on(0)?;
        *port = port_of(&listener)?;
        held.push(listener);
    }
    Ok(ports)
}

/// Two source addresses of 127.0.0.0/8 that belong to this client thread and turn alone.
///
/// Every turn of opening gets new ones: the ports of the last turn may still be in TIME-WAIT.
pub(crate) fn sources(thread: usize, turn: usize) -> [Ipv4Addr; 2] {
    let octet = |value: usize, modulus: usize| u8::try_from(value % modulus).unwrap_or(0);
    let last = octet(turn, 120) * 2 + 2;
    [0, 1].map(|step| {
        Ipv4Addr::new(
            127,
            10 + octet(turn / 120, 200),
            octet(thread, 250),
            last + step,
        )
    })
}

/// A readiness set and room for what it reports.
#[derive(Debug)]
pub(crate) struct Readiness {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Readiness {
    /// An empty set.
    ///
    /// # Errors
    /// [`LoadError::Io`] when the kernel refuses one.
    pub(crate) fn new() -> Result<Self, LoadError> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .map_err(LoadError::sys("making an epoll set"))?;
        Ok(Self {
            epoll,
            events: vec![EpollEvent::empty(); 512],
        })
    }

    /// Adds a socket; `key` comes back with its events.
    ///
    /// # Errors
    /// [`LoadError::Io`] when the kernel refuses.
    pub(crate) fn add(
        &self,
        fd: impl std::os::fd::AsFd,
        flags: EpollFlags,
        key: usize,
    ) -> Result<(), LoadError> {
        self.epoll
            .add(fd, EpollEvent::new(flags, key as u64))
            .map_err(LoadError::sys("watching a socket"))
    }

    /// Waits at most `ms` milliseconds and fills `ready` with the events: flags and key.
    ///
    /// # Errors
    /// [`LoadError::Io`] when the kernel refuses.
    pub(crate) fn wait(
        &mut self,
        ms: u16,
        ready: &mut Vec<(EpollFlags, usize)>,
    ) -> Result<(), LoadError> {
        ready.clear();
        let count = match self.epoll.wait(&mut self.events, EpollTimeout::from(ms)) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => return Err(LoadError::sys("waiting for sockets")(errno)),
        };
        let key = |event: &EpollEvent| usize::try_from(event.data()).unwrap_or(usize::MAX);
        ready.extend(
            self.events
                .iter()
                .take(count)
                .map(|event| (event.events(), key(event))),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn threads_and_turns_never_share_a_source_address() {
        let mut seen = HashSet::new();
        for thread in 0..20 {
            for turn in 0..500 {
                for source in sources(thread, turn) {
                    assert!(source.is_loopback());
                    assert!(seen.insert(source), "thread {thread}, turn {turn}");
                }
            }
        }
    }

    #[test]
    fn free_ports_are_different() {
        let [a, b, c] = free_ports().unwrap();
        assert!(a != b && b != c && a != c);
    }
}
