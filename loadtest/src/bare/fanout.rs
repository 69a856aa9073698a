//! Fan-out yardstick: a vector of sockets and a loop that sends the same bytes to each.
//!
//! The control connection carries commands: a 4-byte big-endian count, then so many items, each a
//! 4-byte length and its bytes. Every item goes to every socket, one send each; then one byte answers.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};

use nix::sys::epoll::EpollFlags;

use super::{STREAM_HEAD, send_all};
use crate::child;
use crate::error::LoadError;
use crate::net::{self, Readiness};

/// The longest item of a command, in bytes.
const ITEM_LEN_MAX: usize = 1024 * 1024;

const STREAMS_KEY: usize = 0;
const CONTROL_KEY: usize = 1;
const COMMAND_KEY: usize = 2;

/// Serves until the parent ends; a hidden subcommand. Announces the ports of streams and control.
///
/// # Errors
/// [`LoadError::Io`] when the kernel refuses something or the control connection breaks.
pub(crate) fn run(port: u16) -> Result<(), LoadError> {
    let (streams, control) = (net::listen_on(port)?, net::listen_on(0)?);
    child::announce(&[net::port_of(&streams)?, net::port_of(&control)?])?;
    serve(&streams, &control)
}

/// Serves on two listeners until the control connection ends.
///
/// # Errors
/// [`LoadError::Io`] when the kernel refuses something.
pub(crate) fn serve(streams: &TcpListener, control: &TcpListener) -> Result<(), LoadError> {
    let mut readiness = Readiness::new()?;
    readiness.add(streams, EpollFlags::EPOLLIN, STREAMS_KEY)?;
    readiness.add(control, EpollFlags::EPOLLIN, CONTROL_KEY)?;
    let (mut sockets, mut commands) = (Vec::new(), None::<TcpStream>);
    let mut ready = Vec::new();
    loop {
        readiness.wait(60_000, &mut ready)?;
        for &(_, key) in &ready {
            match (key, &mut commands) {
                (STREAMS_KEY, _) => accept(streams, &mut sockets),
                (CONTROL_KEY, _) => {
                    if let Ok((socket, _)) = control.accept() {
                        readiness.add(&socket, EpollFlags::EPOLLIN, COMMAND_KEY)?;
                        commands = Some(socket);
                    }
                }
                (_, Some(socket)) => {
                    if !obey(socket, &mut sockets)? {
                        return Ok(());
                    }
                }
                (_, None) => {}
            }
        }
    }
}

fn accept(listener: &TcpListener, sockets: &mut Vec<TcpStream>) {
    while let Ok((socket, _)) = listener.accept() {
        // The requests are never read: they fit the receive buffers.
        if send_all(&socket, STREAM_HEAD).is_ok() {
            sockets.push(socket);
        }
    }
}

/// Reads one command, obeys and answers; false when there are no more.
fn obey(commands: &mut TcpStream, sockets: &mut Vec<TcpStream>) -> Result<bool, LoadError> {
    let what = "reading a command";
    let Ok(count) = read_number(commands) else {
        return Ok(false);
    };
    let mut items = Vec::new();
    for _ in 0..count {
        let len = read_number(commands).map_err(LoadError::io(what))?;
        let mut item = vec![0; len.min(ITEM_LEN_MAX)];
        commands
            .read_exact(&mut item)
            .map_err(LoadError::io(what))?;
        items.push(item);
    }
    for item in &items {
        sockets.retain(|socket| send_all(socket, item).is_ok());
    }
    commands.write_all(b"!").map_err(LoadError::io(what))?;
    Ok(true)
}

fn read_number(commands: &mut TcpStream) -> std::io::Result<usize> {
    let mut bytes = [0; 4];
    commands.read_exact(&mut bytes)?;
    Ok(usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX))
}

/// The load generator's end of the control connection.
#[derive(Debug)]
pub(crate) struct Trigger {
    socket: TcpStream,
    command: Vec<u8>,
}

impl Trigger {
    /// Connects.
    ///
    /// # Errors
    /// [`LoadError::Io`] when the yardstick is gone.
    pub(crate) fn connect(target: SocketAddrV4) -> Result<Self, LoadError> {
        let what = "connecting to the yardstick";
        let socket = TcpStream::connect(target).map_err(LoadError::io(what))?;
        socket.set_nodelay(true).map_err(LoadError::io(what))?;
        Ok(Self {
            socket,
            command: Vec::new(),
        })
    }

    /// Has `items` sent, each alone, and waits until they are.
    ///
    /// # Errors
    /// [`LoadError::Io`] when the yardstick is gone.
    pub(crate) fn pull(&mut self, items: &[Vec<u8>]) -> Result<(), LoadError> {
        let what = "commanding the yardstick";
        self.command.clear();
        push_number(&mut self.command, items.len());
        for item in items {
            push_number(&mut self.command, item.len());
            self.command.extend_from_slice(item);
        }
        self.socket
            .write_all(&self.command)
            .map_err(LoadError::io(what))?;
        self.socket
            .read_exact(&mut [0])
            .map_err(LoadError::io(what))
    }
}

fn push_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}
