//! The command socket: takes requests, sends answers.

use std::sync::Arc;

use log::debug;

use super::command::{self, Answer, Asked, Caller, Command, Failure};
use super::complaints::Complaints;
use super::counters::ZeroMqCounters;
use super::link::COMMANDS_RUNNING_MAX;
use crate::io::clock::Clock;
use crate::io::wake::Wake;
use crossbeam_channel::{Receiver, Sender};

/// Requests taken before the other sockets have their turn.
const REQUESTS_PER_TURN_MAX: usize = 16;

/// Frames that an answer must carry back: proxies add one each.
const ENVELOPE_FRAMES_MAX: usize = 8;

/// The frames of a message, or some of them.
type Frames = Vec<Vec<u8>>;

/// The socket and those who wait for an answer.
pub(super) struct Commander {
    socket: zmq::Socket,
    queue: Sender<Asked>,
    wake: Arc<Wake>,
    answers: Receiver<(Caller, Answer)>,
    counters: Arc<ZeroMqCounters>,
    complaints: Complaints,
    /// Names and addresses of the ways in.
    addresses: Vec<(&'static str, String)>,
    running: usize,
}

/// What it works with.
pub(super) struct CommanderParts {
    pub(super) socket: zmq::Socket,
    pub(super) queue: Sender<Asked>,
    /// The control thread's.
    pub(super) wake: Arc<Wake>,
    pub(super) answers: Receiver<(Caller, Answer)>,
    pub(super) counters: Arc<ZeroMqCounters>,
    pub(super) clock: Clock,
    pub(super) addresses: Vec<(&'static str, String)>,
}

impl Commander {
    pub(super) fn new(parts: CommanderParts) -> Self {
        Self {
            socket: parts.socket,
            queue: parts.queue,
            wake: parts.wake,
            answers: parts.answers,
            counters: parts.counters,
            complaints: Complaints::new("command", parts.clock),
            addresses: parts.addresses,
            running: 0,
        }
    }

    /// To be polled.
    pub(super) const fn socket(&self) -> &zmq::Socket {
        &self.socket
    }

    /// Whether another command may be under way.
    pub(super) const fn has_room(&self) -> bool {
        self.running < COMMANDS_RUNNING_MAX
    }

    /// Whether an answer waits to be sent.
    pub(super) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Sends answers, then takes requests; true if there may be more.
    pub(super) fn turn(&mut self) -> bool {
        while let Ok((caller, answer)) = self.answers.try_recv() {
            self.running = self.running.saturating_sub(1);
            self.answer(&caller, &answer);
        }
        for _ in 0..REQUESTS_PER_TURN_MAX {
            if !self.has_room() {
                return false;
            }
            let Ok(frames) = self.socket.recv_multipart(zmq::DONTWAIT) else {
                return false;
            };
            self.take(frames);
        }
        true
    }

    fn take(&mut self, frames: Frames) {
        self.counters.commands.add(1);
        let Some((envelope, content)) = split(frames) else {
            self.counters.commands_refused.add(1);
            self.complaints.note(&"no empty frame before the request");
            return;
        };
        let (id, command) = match content.as_slice() {
            [request] => command::parse(request),
            _ => (None, Err(Failure::BadRequest(None))),
        };
        let caller = Caller { envelope, id };
        match command {
            // Nobody else has to be asked.
            Ok(Command::Uris) => self.answer(&caller, &Answer::Addresses(self.addresses.clone())),
            Ok(command) => self.ask(caller, command),
            Err(failure) => self.answer(&caller, &Answer::Failed(failure)),
        }
    }

    /// Hands a command to the control thread. There is room for as many as may be running.
    fn ask(&mut self, caller: Caller, command: Command) {
        if self.queue.try_send(Asked { caller, command }).is_ok() {
            self.running += 1;
            self.wake.wake();
        }
    }

    fn answer(&self, caller: &Caller, answer: &Answer) {
        if matches!(answer, Answer::Failed(_)) {
            self.counters.commands_refused.add(1);
        }
        let content = command::write(caller.id.as_deref(), answer);
        let envelope = caller.envelope.iter().map(Vec::as_slice);
        let frames = envelope.chain([&b""[..], content.as_slice()]);
        // Whoever does not take it, or has gone, has no answer.
        if let Err(error) = self.socket.send_multipart(frames, zmq::DONTWAIT) {
            debug!("[zmq] command: an answer was not sent: {error}");
        }
    }
}

/// The frames before the first empty one, and those behind it.
fn split(mut frames: Frames) -> Option<(Frames, Frames)> {
    let at = frames.iter().position(Vec::is_empty)?;
    if at > ENVELOPE_FRAMES_MAX {
        return None;
    }
    let content = frames.split_off(at + 1);
    frames.pop();
    Some((frames, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(names: &[&str]) -> Vec<Vec<u8>> {
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    }

    #[test]
    fn the_first_empty_frame_parts_the_envelope_from_the_request() {
        assert_eq!(
            split(frames(&["a", "b", "", "x", "", "y"])),
            Some((frames(&["a", "b"]), frames(&["x", "", "y"])))
        );
        assert_eq!(split(frames(&["a", "x"])), None);
        assert_eq!(split(frames(&["a", ""])), Some((frames(&["a"]), vec![])));
    }

    #[test]
    fn an_envelope_of_too_many_frames_is_refused() {
        let mut many = frames(&["a"; ENVELOPE_FRAMES_MAX + 1]);
        many.push(Vec::new());
        assert_eq!(split(many), None);
    }
}
