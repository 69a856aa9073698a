//! System calls of a shard behind safe functions: sockets, eventfds, limits, the ring's plumbing.
//!
//! The only module where `unsafe` may stand. Sockets are non-blocking and close on exec; nothing
//! here waits. Calls go through rustix where it has a safe one.
#![allow(
    unsafe_code,
    reason = "the one place that talks to the kernel without a safe wrapper"
)]

pub(crate) mod ring;

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use glommio::io::BufferedFile;
use rustix::event::EventfdFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketAddrUnix,
    SocketFlags, SocketType, sockopt,
};
use rustix::process::{Resource, Rlimit};
use rustix::thread::UnshareFlags;

/// How many connections may wait to be accepted, before the kernel's own bound (`somaxconn`).
pub const BACKLOG_MAX: u32 = 65_535;

/// Every socket of a shard.
const SOCKET_FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// A listening TCP socket on `addr`, port 0 for any free one. Accepted sockets inherit
/// `TCP_NODELAY` and `SO_KEEPALIVE` from it, which saves calls per connection; the second finds
/// clients that vanished without a word, at the pace of `net.ipv4.tcp_keepalive_time`.
///
/// `reuse_port` lets every shard have a listener of its own on the same address. `[::]` also takes
/// IPv4 clients, whatever the machine's default.
///
/// # Errors
/// The kernel's: the address is taken, not ours, or needs a privilege.
pub fn listen_tcp(addr: SocketAddr, backlog: u32, reuse_port: bool) -> io::Result<OwnedFd> {
    let fd = rustix::net::socket_with(family(addr), SocketType::STREAM, SOCKET_FLAGS, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if reuse_port {
        sockopt::set_socket_reuseport(&fd, true)?;
    }
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        sockopt::set_ipv6_v6only(&fd, false)?;
    }
    sockopt::set_tcp_nodelay(&fd, true)?;
    sockopt::set_socket_keepalive(&fd, true)?;
    rustix::net::bind(&fd, &addr)?;
    rustix::net::listen(&fd, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(fd)
}

/// A listening Unix socket at `path` with the permissions `mode`. A socket file that a previous
/// process left behind is removed; one that somebody listens on is not.
///
/// # Errors
/// `AddrInUse` when another process listens there, or the path holds something that is no socket;
/// else the kernel's.
pub fn listen_unix(path: &Path, mode: u32) -> io::Result<OwnedFd> {
    let addr = SocketAddrUnix::new(path)?;
    remove_stale(path, &addr)?;
    let fd = unix_socket()?;
    rustix::net::bind(&fd, &addr)?;
    // Before listen: nobody can connect with the permissions of the umask in between.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    rustix::net::listen(&fd, i32::try_from(BACKLOG_MAX).unwrap_or(i32::MAX))?;
    Ok(fd)
}

/// Begins to connect to `addr`; the socket becomes writable when that is decided, and
/// [`connect_result`] says how.
///
/// # Errors
/// The kernel's, when it knows at once: no route, no descriptor left.
pub fn connect(addr: SocketAddr) -> io::Result<OwnedFd> {
    let fd = rustix::net::socket_with(family(addr), SocketType::STREAM, SOCKET_FLAGS, None)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    started(rustix::net::connect(&fd, &addr))?;
    Ok(fd)
}

/// Begins to connect to the Unix socket at `path`, like [`connect`].
///
/// # Errors
/// The kernel's; `WouldBlock` when its backlog is full.
pub fn connect_unix(path: &Path) -> io::Result<OwnedFd> {
    let fd = unix_socket()?;
    started(rustix::net::connect(&fd, &SocketAddrUnix::new(path)?))?;
    Ok(fd)
}

/// The next client of a listener, with `TCP_NODELAY` on.
///
/// # Errors
/// `WouldBlock` when none waits, or the kernel's.
pub fn accept(listener: impl AsFd) -> io::Result<OwnedFd> {
    let fd = rustix::net::accept_with(listener, SOCKET_FLAGS)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    Ok(fd)
}

/// How a connection attempt ended, once the socket is writable; also takes the pending error of a
/// connection that was reset.
///
/// # Errors
/// The reason why it failed.
pub fn connect_result(fd: impl AsFd) -> io::Result<()> {
    Ok(sockopt::socket_error(fd)??)
}

/// Reads what has arrived, up to `buf.len()` bytes; 0 when the peer has finished sending.
///
/// # Errors
/// `WouldBlock` when nothing has; else the kernel's.
pub fn recv(fd: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    let (count, _) = rustix::net::recv(fd, buf, RecvFlags::DONTWAIT)?;
    Ok(count)
}

/// Sends what the socket takes; the number of bytes it took.
///
/// # Errors
/// `WouldBlock` when it takes none; else the kernel's (a broken pipe raises no signal).
pub fn send(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, SEND_FLAGS)?)
}

/// [`send`] of several pieces in one call. At most 1,024 pieces are looked at.
///
/// # Errors
/// As [`send`].
pub fn send_vectored(fd: impl AsFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    let pieces = pieces.get(..IOV_LEN_MAX).unwrap_or(pieces);
    let mut control = SendAncillaryBuffer::default();
    Ok(rustix::net::sendmsg(fd, pieces, &mut control, SEND_FLAGS)?)
}

/// What the kernel takes in one vectored send (`UIO_MAXIOV`).
const IOV_LEN_MAX: usize = 1_024;
const SEND_FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Tells the peer that no more bytes will come; reading goes on.
///
/// # Errors
/// The kernel's: not connected any more.
pub fn shutdown_write(fd: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::shutdown(fd, Shutdown::Write)?)
}

/// Makes the next close a reset: unsent bytes are dropped and no state is left in the kernel.
///
/// # Errors
/// The kernel's.
pub fn reset_on_close(fd: impl AsFd) -> io::Result<()> {
    Ok(sockopt::set_socket_linger(fd, Some(Duration::ZERO))?)
}

/// The address of the other end; none for a Unix socket or when it has gone.
#[must_use]
pub fn peer_addr(fd: impl AsFd) -> Option<SocketAddr> {
    let addr = rustix::net::getpeername(fd).ok()??;
    SocketAddr::try_from(addr).ok().map(unmapped)
}

/// The address of our end; none for a Unix socket.
#[must_use]
pub fn local_addr(fd: impl AsFd) -> Option<SocketAddr> {
    let addr = rustix::net::getsockname(fd).ok()?;
    SocketAddr::try_from(addr).ok().map(unmapped)
}

/// An eventfd, closed on exec. `blocking` only matters to those who read it: [`event_drain`] wants
/// it off; a read through a foreign ring wants it on, for it would fail at once otherwise.
///
/// # Errors
/// The kernel's: no descriptor left.
pub fn event_fd(blocking: bool) -> io::Result<OwnedFd> {
    let mut flags = EventfdFlags::CLOEXEC;
    flags.set(EventfdFlags::NONBLOCK, !blocking);
    Ok(rustix::event::eventfd(0, flags)?)
}

/// Wakes whoever waits for the eventfd.
///
/// # Errors
/// The kernel's; a counter that is full counts as signalled.
pub fn event_signal(fd: impl AsFd) -> io::Result<()> {
    match rustix::io::write(fd, &1_u64.to_ne_bytes()) {
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes all signals of a non-blocking eventfd; how many there were.
///
/// # Errors
/// The kernel's; none pending is 0.
pub fn event_drain(fd: impl AsFd) -> io::Result<u64> {
    let mut count = [0_u8; 8];
    match rustix::io::read(fd, &mut count) {
        Ok(_) => Ok(u64::from_ne_bytes(count)),
        Err(Errno::AGAIN) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}

/// Gives the calling thread a descriptor table of its own: the open-files limit then counts for
/// this thread alone, and descriptors can no longer be handed to or from other threads by number.
///
/// Every executor must exist before the first call: glommio wakes peers by descriptor number.
///
/// # Errors
/// The kernel's: no memory.
pub fn unshare_files() -> io::Result<()> {
    // SAFETY: the table is copied, so each number this thread knows keeps its file; nothing in the
    // process hands descriptors between threads by number after start-up (boot order keeps that).
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FILES) }?)
}

/// Raises the soft limit of open files to the hard one; the limit that then holds.
///
/// # Errors
/// The kernel's.
pub fn raise_open_files_limit() -> io::Result<u64> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        rustix::process::setrlimit(Resource::Nofile, raised)?;
    }
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// How many bytes the process may pin; none when there is no bound.
#[must_use]
pub fn locked_memory_max() -> Option<u64> {
    rustix::process::getrlimit(Resource::Memlock).current
}

/// The effective user's number; 0 is root.
#[must_use]
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Gives memory that the allocator keeps for later back to the machine. Costs milliseconds: for
/// quiet moments after a storm.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: has no precondition; it takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// An eventfd in the shape that glommio can read from; it closes the descriptor when dropped.
/// To be called on an executor's thread.
#[must_use]
pub(crate) fn glommio_file(event_fd: OwnedFd) -> BufferedFile {
    // SAFETY: the descriptor is open and ours, and ownership passes to the file.
    unsafe { BufferedFile::from_raw_fd(event_fd.into_raw_fd()) }
}

/// The address family that a socket for `addr` needs.
fn family(addr: SocketAddr) -> AddressFamily {
    if addr.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    }
}

/// An IPv4 client of an IPv6 listener shows its IPv4 address, as it does everywhere else.
fn unmapped(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

fn unix_socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SOCKET_FLAGS,
        None,
    )?)
}

/// A connection attempt that goes on in the background has not failed.
fn started(result: Result<(), Errno>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes the socket file at `path` if nobody listens on it.
fn remove_stale(path: &Path, addr: &SocketAddrUnix) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match rustix::net::connect(unix_socket()?, addr) {
        Err(Errno::CONNREFUSED) => std::fs::remove_file(path),
        // Connected, or its backlog is full: somebody lives there.
        Ok(()) | Err(Errno::AGAIN) => Err(io::ErrorKind::AddrInUse.into()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests;
