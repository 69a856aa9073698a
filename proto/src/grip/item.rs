//! A published item: checked, its wire forms encoded once, ready to be shared between threads.

use std::ops::Range;
use std::sync::Arc;

use crate::grip::patch::PatchOp;
use crate::http1::encode;

/// One published item.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Full name of the channel, route prefix included; may be empty.
    pub channel: Arc<str>,
    /// Id of this item.
    pub id: Option<Box<str>>,
    /// Id of the item before it on this channel.
    pub prev_id: Option<Box<str>>,
    /// Variables for filters, names unique and sorted.
    pub meta: Vec<(Box<str>, Box<str>)>,
    /// Takes the place of the content's length when blocks are counted.
    pub size: Option<u32>,
    /// The item skips the sequencer.
    pub no_seq: bool,
    /// The `http-stream` format.
    pub stream: Option<StreamForm>,
    /// The `http-response` format.
    pub response: Option<ResponseForm>,
    /// The `ws-message` format.
    pub ws: Option<WsForm>,
}

/// The formats, in the order in which an item is fanned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `http-response`: answers response holds.
    Response,
    /// `http-stream`: is appended to stream holds.
    Stream,
    /// `ws-message`: goes to WebSocket clients.
    Ws,
}

impl Item {
    /// Whether the item has `format`.
    #[must_use]
    pub const fn has(&self, format: Format) -> bool {
        match format {
            Format::Response => self.response.is_some(),
            Format::Stream => self.stream.is_some(),
            Format::Ws => self.ws.is_some(),
        }
    }

    /// Bytes that one delivery in `format` counts for when blocks are counted: [`Item::size`] if
    /// given, else the content's length (0 for other actions than `send` and for patches).
    #[must_use]
    pub fn counted_len(&self, format: Format) -> usize {
        if let Some(size) = self.size {
            return usize::try_from(size).unwrap_or(usize::MAX);
        }
        match format {
            Format::Response => match &self.response {
                Some(ResponseForm::Send(content)) => content.body.len(),
                _ => 0,
            },
            Format::Stream => match &self.stream {
                Some(StreamForm::Send(content)) => content.content().len(),
                _ => 0,
            },
            Format::Ws => match &self.ws {
                Some(WsForm::Send(message)) => message.content.len(),
                _ => 0,
            },
        }
    }
}

/// What an item does to a stream hold.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamForm {
    /// Appends content.
    Send(StreamContent),
    /// Makes the hold ask its backend for what it missed.
    Hint,
    /// Ends the response cleanly.
    Close,
    /// Nothing.
    Refresh,
}

/// Content for stream holds, framed once as one HTTP/1.1 chunk (RFC 9112 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamContent {
    chunk: Arc<[u8]>,
    /// Where the bare content lies within `chunk`.
    content: Range<usize>,
    /// The content filters that the author counts on; absent: any.
    pub content_filters: Option<Vec<String>>,
}

impl StreamContent {
    /// Frames `content` as one chunk. Empty content makes an empty chunk: a zero-sized one would
    /// end the response.
    #[must_use]
    pub fn new(content: &[u8], content_filters: Option<Vec<String>>) -> Self {
        let mut chunk = Vec::new();
        encode::chunk(&mut chunk, content);
        let end = chunk.len().saturating_sub(encode::CRLF.len());
        Self {
            chunk: Arc::from(chunk),
            content: end.saturating_sub(content.len())..end,
            content_filters,
        }
    }

    /// The whole chunk: size, CRLF, content, CRLF; empty for empty content.
    #[must_use]
    pub const fn chunk(&self) -> &Arc<[u8]> {
        &self.chunk
    }

    /// The bare content.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        self.chunk.get(self.content.clone()).unwrap_or_default()
    }

    /// Where the bare content lies within [`StreamContent::chunk`].
    #[must_use]
    pub fn content_range(&self) -> Range<usize> {
        self.content.clone()
    }
}

/// What an item does to a response hold.
#[derive(Debug, Clone, PartialEq)]
pub enum ResponseForm {
    /// Answers the request.
    Send(Box<ResponseContent>),
    /// Makes the hold ask its backend again.
    Hint,
    /// Nothing.
    Close,
    /// Nothing.
    Refresh,
}

/// A response for response holds.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseContent {
    /// Status code, 0 to 999.
    pub code: u16,
    /// Reason phrase; the standard one if none was given.
    pub reason: Box<[u8]>,
    /// Fields in order, duplicates kept, without `Grip-` ones and those of framing.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Names in the item's `Grip-Expose-Headers`, if it had any.
    pub expose: Option<Vec<String>>,
    /// The content, or how to make it.
    pub body: ResponseBody,
    /// The content filters that the author counts on; absent: any.
    pub content_filters: Option<Vec<String>>,
}

/// The content of an item's response.
#[derive(Debug, Clone, PartialEq)]
pub enum ResponseBody {
    /// These bytes.
    Bytes(Arc<[u8]>),
    /// Operations upon the content of each hold's own timeout answer.
    Patch(Vec<PatchOp>),
}

impl ResponseBody {
    /// Length of the bytes; 0 for a patch.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Patch(_) => 0,
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an item does to a WebSocket client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WsForm {
    /// Sends a message.
    Send(WsContent),
    /// Nothing.
    Hint,
    /// Closes the connection.
    Close {
        /// Close status code as published, not bounded above; absent: 1000.
        code: Option<u32>,
        /// Close reason; without a code it is not sent.
        reason: Option<String>,
    },
    /// Makes the session ask its backend at once.
    Refresh,
}

/// A message for WebSocket clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WsContent {
    /// Its type.
    pub message_type: WsType,
    /// Its payload data, not framed.
    pub content: Arc<[u8]>,
    /// The content filters that the author counts on; absent: any.
    pub content_filters: Option<Vec<String>>,
}

/// Types of WebSocket messages that can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WsType {
    /// A text message; not checked to be UTF-8.
    Text,
    /// A binary message.
    Binary,
    /// A ping.
    Ping,
    /// A pong.
    Pong,
}
