//! What one request asks for, what its backend does with it, and what has become of it.

use crate::random::Random;

/// How the request's content is framed; its length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upload {
    None,
    Length(usize),
    Chunked(usize),
}

/// How the response's content is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Length,
    Chunked,
    UntilClose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldPlan {
    Stream { keep_alive_s: Option<usize> },
    Response { timeout_s: usize },
}

/// What goes wrong with the first attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Well,
    DieBefore,
    DieInHead,
    DieInContent,
    Garbage,
    Surplus,
    Silent,
}

/// Where the request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// Two targets, of which the first may refuse connections.
    Main,
    /// A target that refuses all connections.
    Dead,
    /// The built-in target.
    Test,
}

/// A request, its answer and its fate.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) id: usize,
    pub(crate) is_old: bool,
    pub(crate) method: &'static str,
    pub(crate) site: Site,
    pub(crate) upload: Upload,
    pub(crate) expects_continue: bool,
    pub(crate) wants_close: bool,
    pub(crate) status: u16,
    pub(crate) form: Form,
    pub(crate) content_len: usize,
    pub(crate) is_early: bool,
    pub(crate) has_interim: bool,
    pub(crate) ends_backend: bool,
    pub(crate) hold: Option<HoldPlan>,
    pub(crate) is_json: bool,
    pub(crate) channels: Vec<usize>,
    pub(crate) fate: Fate,
    /// Times that its head has reached a backend, and the last: which wire, and what the shard had
    /// read of that wire by then.
    pub(crate) attempts: usize,
    pub(crate) last_attempt: Option<(usize, usize)>,
    /// Items published to each channel before its hold began.
    pub(crate) held_from: Option<Vec<usize>>,
    pub(crate) held_since_ms: u64,
    /// A hint has sent it to its backend again.
    pub(crate) is_hinted: bool,
    /// Something happened that a 502 answers.
    pub(crate) may_fail: bool,
    /// Something happened that cuts its answer.
    pub(crate) may_be_cut: bool,
}

/// Channels of the world.
pub(crate) const CHANNELS: usize = 5;

impl Plan {
    pub(crate) fn new(id: usize, is_old: bool, random: &mut Random) -> Self {
        let mut plan = Self {
            id,
            is_old,
            method: random.pick(&["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE"]),
            site: random.pick(&[
                Site::Main,
                Site::Main,
                Site::Main,
                Site::Main,
                Site::Main,
                Site::Dead,
                Site::Test,
            ]),
            upload: Upload::None,
            expects_continue: false,
            wants_close: random.chance(10),
            status: random.pick(&[200, 200, 200, 404, 204, 304]),
            form: random.pick(&[Form::Length, Form::Length, Form::Chunked, Form::UntilClose]),
            content_len: random.pick(&[0, 1, 7, 300, 300, 5000, 30_000]),
            is_early: false,
            has_interim: random.chance(10),
            ends_backend: random.chance(15),
            hold: None,
            is_json: false,
            channels: Vec::new(),
            fate: Fate::Well,
            attempts: 0,
            last_attempt: None,
            held_from: None,
            held_since_ms: 0,
            is_hinted: false,
            may_fail: false,
            may_be_cut: false,
        };
        plan.choose_upload(random);
        if random.chance(12) {
            let fates = [
                Fate::DieBefore,
                Fate::DieInHead,
                Fate::DieInContent,
                Fate::Garbage,
                Fate::Surplus,
                Fate::Silent,
            ];
            plan.fate = random.pick(&fates);
        }
        if plan.site == Site::Main && random.chance(50) {
            plan.choose_hold(random);
        }
        plan
    }

    fn choose_upload(&mut self, random: &mut Random) {
        if !matches!(self.method, "POST" | "PUT") {
            return;
        }
        let len = random.pick(&[0, 1, 50, 50, 1500, 9000, 40_000]);
        self.upload = if self.is_old || random.chance(50) {
            Upload::Length(len)
        } else {
            Upload::Chunked(len)
        };
        self.is_early = random.chance(10);
        self.expects_continue = !self.is_old && len > 0 && random.chance(15);
    }

    fn choose_hold(&mut self, random: &mut Random) {
        self.is_early = false;
        self.status = 200;
        self.content_len = self.content_len.min(300);
        if let Upload::Length(len) | Upload::Chunked(len) = &mut self.upload {
            *len = (*len).min(1500);
        }
        self.hold = Some(if random.chance(50) {
            let keep_alive_s = random.chance(30).then(|| random.between(1, 8));
            HoldPlan::Stream { keep_alive_s }
        } else {
            HoldPlan::Response {
                timeout_s: random.between(1, 30),
            }
        });
        // An answer to HEAD has no content, so it cannot be an instruct.
        self.is_json = self.method != "HEAD" && random.chance(25);
        let first = random.below(CHANNELS);
        self.channels = vec![first];
        for more in 1..random.pick(&[1, 1, 2, 3]) {
            self.channels.push((first + more) % CHANNELS);
        }
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        self.method != "POST"
    }

    pub(crate) fn upload_len(&self) -> usize {
        match self.upload {
            Upload::None => 0,
            Upload::Length(len) | Upload::Chunked(len) => len,
        }
    }

    /// The request's head and its framed content.
    pub(crate) fn request(&self, random: &mut Random) -> (Vec<u8>, Vec<u8>) {
        let site = match self.site {
            Site::Main => "r",
            Site::Dead => "dead",
            Site::Test => "test",
        };
        let version = if self.is_old { "1.0" } else { "1.1" };
        let mut head = format!(
            "{} /{site}/{} HTTP/{version}\r\nHost: h.example\r\nX-Id: {}\r\n",
            self.method, self.id, self.id
        );
        match (self.is_old, self.wants_close) {
            (true, false) => head.push_str("Connection: keep-alive\r\n"),
            (false, true) => head.push_str("Connection: close\r\n"),
            _ => {}
        }
        let content = content(self.id, self.upload_len());
        let framed = match self.upload {
            Upload::None => Vec::new(),
            Upload::Length(len) => {
                head.push_str(&format!("Content-Length: {len}\r\n"));
                content
            }
            Upload::Chunked(_) => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                chunked(&content, random)
            }
        };
        if self.expects_continue {
            head.push_str("Expect: 100-continue\r\n");
        }
        head.push_str("\r\n");
        (head.into_bytes(), framed)
    }

    /// The hold that the backend's next answer begins.
    pub(crate) fn next_hold(&self) -> Option<HoldPlan> {
        self.hold.filter(|_| !self.is_hinted)
    }

    /// The backend's answer, and how many bytes of it are head.
    pub(crate) fn response(&self, random: &mut Random) -> (Vec<u8>, usize) {
        let hold = self.next_hold();
        let mut head = String::new();
        if self.has_interim {
            head.push_str("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        }
        head.push_str(&format!("HTTP/1.1 {} X\r\n", self.status));
        let mut content = content(self.id, self.content_len);
        match hold {
            Some(hold) if self.is_json => {
                content = self.json_instruct(hold, &content).into_bytes();
                head.push_str("Content-Type: application/grip-instruct\r\n");
            }
            Some(hold) => head.push_str(&self.grip_fields(hold)),
            None => {}
        }
        if hold.is_none() || !self.is_json {
            head.push_str(&format!("X-Id: {}\r\n", self.id));
        }
        if self.ends_backend || self.form == Form::UntilClose {
            head.push_str("Connection: close\r\n");
        }
        let is_empty = self.method == "HEAD" || matches!(self.status, 204 | 304);
        let framed = match self.form {
            Form::UntilClose => content,
            // 204 and 304 have no framing of their own.
            _ if is_empty && self.method != "HEAD" => Vec::new(),
            Form::Length => {
                head.push_str(&format!("Content-Length: {}\r\n", content.len()));
                content
            }
            Form::Chunked => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                chunked(&content, random)
            }
        };
        head.push_str("\r\n");
        let mut all = head.into_bytes();
        let head_len = all.len();
        if !is_empty {
            all.extend_from_slice(&framed);
        }
        (all, head_len)
    }

    fn channel_names(&self) -> Vec<String> {
        self.channels
            .iter()
            .map(|channel| format!("c{channel}"))
            .collect()
    }

    fn grip_fields(&self, hold: HoldPlan) -> String {
        let channels = self.channel_names().join(", ");
        let (mode, more) = match hold {
            HoldPlan::Stream { keep_alive_s: None } => ("stream", String::new()),
            HoldPlan::Stream {
                keep_alive_s: Some(s),
            } => (
                "stream",
                format!("Grip-Keep-Alive: \\n; format=cstring; timeout={s}\r\n"),
            ),
            HoldPlan::Response { timeout_s } => {
                ("response", format!("Grip-Timeout: {timeout_s}\r\n"))
            }
        };
        format!("Grip-Hold: {mode}\r\nGrip-Channel: {channels}\r\n{more}")
    }

    fn json_instruct(&self, hold: HoldPlan, content: &[u8]) -> String {
        let channels: Vec<String> = self
            .channel_names()
            .iter()
            .map(|name| format!("{{\"name\":\"{name}\"}}"))
            .collect();
        let (mode, more) = match hold {
            HoldPlan::Stream { keep_alive_s: None } => ("stream", String::new()),
            HoldPlan::Stream {
                keep_alive_s: Some(s),
            } => (
                "stream",
                format!(",\"keep-alive\":{{\"content\":\"\\n\",\"timeout\":{s}}}"),
            ),
            HoldPlan::Response { timeout_s } => ("response", format!(",\"timeout\":{timeout_s}")),
        };
        format!(
            "{{\"hold\":{{\"mode\":\"{mode}\",\"channels\":[{}]{more}}},\
             \"response\":{{\"headers\":{{\"X-Id\":\"{}\"}},\"body\":\"{}\"}}}}",
            channels.join(","),
            self.id,
            String::from_utf8_lossy(content)
        )
    }
}

/// Content that belongs to one request alone.
pub(crate) fn content(id: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| content_byte(id, at)).collect()
}

/// The byte at this place of a request's content.
pub(crate) fn content_byte(id: usize, at: usize) -> u8 {
    b'a' + u8::try_from((id * 31 + at * 7 + at / 26) % 26).unwrap()
}

/// Content in chunks of random sizes.
fn chunked(content: &[u8], random: &mut Random) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), content);
    while !rest.is_empty() {
        let count = random.between(1, rest.len());
        let (piece, behind) = rest.split_at(count);
        out.extend_from_slice(format!("{count:x}\r\n").as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
        rest = behind;
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
