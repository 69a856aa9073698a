//! Reads whole messages, of which only the first few frames matter.

/// A message of at most `N` frames; its buffers are used again.
pub(super) struct Frames<const N: usize> {
    frames: [zmq::Message; N],
}

impl<const N: usize> Frames<N> {
    pub(super) fn new() -> Self {
        Self {
            frames: std::array::from_fn(|_| zmq::Message::new()),
        }
    }

    /// Takes the next message without waiting; answers of how many frames it is. Frames beyond
    /// `N` are dropped. `None`: there is none, or the socket is broken, which `poll` will say.
    pub(super) fn receive(&mut self, socket: &zmq::Socket) -> Option<usize> {
        let mut surplus = zmq::Message::new();
        let mut count = 0;
        loop {
            let frame = self.frames.get_mut(count).unwrap_or(&mut surplus);
            // A message comes whole or not at all: only its first frame can be missing.
            socket.recv(frame, zmq::DONTWAIT).ok()?;
            let has_more = frame.get_more();
            count += 1;
            if !has_more {
                return Some(count);
            }
        }
    }

    /// The frames of the message, if it has exactly `N`.
    pub(super) const fn all(&self) -> &[zmq::Message; N] {
        &self.frames
    }
}
