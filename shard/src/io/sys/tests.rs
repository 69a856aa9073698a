use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::*;

const LOCALHOST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Waits until `events` hold for the socket; tests wait for the kernel, not for time.
fn wait_for(fd: impl AsFd, events: rustix::event::PollFlags) {
    let mut fds = [rustix::event::PollFd::new(&fd, events)];
    let limit = rustix::event::Timespec {
        tv_sec: 10,
        tv_nsec: 0,
    };
    assert_eq!(
        rustix::event::poll(&mut fds, Some(&limit)).unwrap(),
        1,
        "nothing within 10 s"
    );
}

fn accept(listener: &OwnedFd) -> OwnedFd {
    wait_for(listener, rustix::event::PollFlags::IN);
    rustix::net::accept_with(listener, SOCKET_FLAGS).unwrap()
}

/// A connected pair on loopback.
fn pair() -> (OwnedFd, OwnedFd) {
    let listener = listen_tcp(LOCALHOST, 16, true).unwrap();
    let client = connect(local_addr(&listener).unwrap()).unwrap();
    let server = accept(&listener);
    wait_for(&client, rustix::event::PollFlags::OUT);
    connect_result(&client).unwrap();
    (client, server)
}

/// A path of this test's own, without a file.
fn unix_path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("pincushion-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn bytes_go_both_ways_and_an_empty_socket_would_block() {
    let (client, server) = pair();
    let mut buf = [0; 16];
    assert_eq!(
        recv(&server, &mut buf).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    assert_eq!(send(&client, b"ping").unwrap(), 4);
    wait_for(&server, rustix::event::PollFlags::IN);
    assert_eq!(recv(&server, &mut buf).unwrap(), 4);
    let pieces = [IoSlice::new(b"po"), IoSlice::new(b"ng")];
    assert_eq!(send_vectored(&server, &pieces).unwrap(), 4);
    wait_for(&client, rustix::event::PollFlags::IN);
    assert_eq!(recv(&client, &mut buf).unwrap(), 4);
    assert_eq!(&buf[..4], b"pong");
}

#[test]
fn more_pieces_than_the_kernel_takes_are_sent_in_part() {
    let (client, _server) = pair();
    let pieces = vec![IoSlice::new(b"x"); IOV_LEN_MAX + 1];
    assert_eq!(send_vectored(&client, &pieces).unwrap(), IOV_LEN_MAX);
}

#[test]
fn accepted_sockets_do_not_delay_small_packets() {
    let (client, server) = pair();
    assert!(sockopt::tcp_nodelay(&server).unwrap());
    assert!(sockopt::tcp_nodelay(&client).unwrap());
}

#[test]
fn two_listeners_share_a_port_when_asked_to() {
    let first = listen_tcp(LOCALHOST, 16, true).unwrap();
    let addr = local_addr(&first).unwrap();
    listen_tcp(addr, 16, true).unwrap();
    let error = listen_tcp(addr, 16, false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_listener_for_every_address_takes_ipv4_clients_under_their_own_address() {
    let every = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
    let Ok(listener) = listen_tcp(every, 16, true) else {
        return; // A machine without IPv6.
    };
    let port = local_addr(&listener).unwrap().port();
    let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let server = accept(&listener);
    assert_eq!(peer_addr(&server).unwrap().ip(), Ipv4Addr::LOCALHOST);
}

#[test]
fn a_refused_connection_says_so() {
    let free = listen_tcp(LOCALHOST, 16, false).unwrap();
    let addr = local_addr(&free).unwrap();
    drop(free);
    let result = connect(addr).and_then(|fd| {
        wait_for(&fd, rustix::event::PollFlags::OUT);
        connect_result(&fd)
    });
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_finished_peer_is_an_end_and_a_reset_one_an_error() {
    let (client, server) = pair();
    shutdown_write(&client).unwrap();
    wait_for(&server, rustix::event::PollFlags::IN);
    assert_eq!(recv(&server, &mut [0; 8]).unwrap(), 0);
    assert_eq!(send(&server, b"still listening").unwrap(), 15);

    let (client, server) = pair();
    reset_on_close(&client).unwrap();
    drop(client);
    wait_for(&server, rustix::event::PollFlags::ERR);
    assert_eq!(
        connect_result(&server).unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
}

#[test]
fn a_stale_socket_file_is_replaced_and_a_living_one_is_not() {
    let path = unix_path("stale");
    let first = listen_unix(&path, 0o600).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let error = listen_unix(&path, 0o600).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    drop(first);
    let second = listen_unix(&path, 0o666).unwrap();
    let client = UnixStream::connect(&path).unwrap();
    let server = accept(&second);
    assert_eq!(peer_addr(&server), None);
    drop((client, server));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let path = unix_path("plain");
    std::fs::write(&path, "precious").unwrap();
    let error = listen_unix(&path, 0o600).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn an_eventfd_counts_signals_until_drained() {
    let fd = event_fd(false).unwrap();
    assert_eq!(event_drain(&fd).unwrap(), 0);
    event_signal(&fd).unwrap();
    event_signal(&fd).unwrap();
    assert_eq!(event_drain(&fd).unwrap(), 2);
    assert_eq!(event_drain(&fd).unwrap(), 0);
}

#[test]
fn a_thread_with_its_own_table_does_not_see_files_opened_by_others() {
    let (made, wait_made) = one_number();
    let (closed, wait_closed) = one_number();
    let other = std::thread::spawn(move || {
        unshare_files().unwrap();
        made.send(0).unwrap();
        let number = wait_closed.recv().unwrap();
        std::fs::read_link(format!("/proc/thread-self/fd/{number}")).is_ok()
    });
    wait_made.recv().unwrap();
    let file = event_fd(false).unwrap();
    closed.send(std::os::fd::AsRawFd::as_raw_fd(&file)).unwrap();
    assert!(!other.join().unwrap());
}

/// A bounded channel of one number.
fn one_number() -> (
    std::sync::mpsc::SyncSender<i32>,
    std::sync::mpsc::Receiver<i32>,
) {
    std::sync::mpsc::sync_channel(1)
}

#[test]
fn the_open_files_limit_is_raised_to_the_hard_one() {
    let limit = raise_open_files_limit().unwrap();
    let now = rustix::process::getrlimit(Resource::Nofile);
    assert_eq!(now.current.unwrap_or(u64::MAX), limit);
    assert_eq!(now.current, now.maximum);
    trim_heap();
}
