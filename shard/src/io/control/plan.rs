//! What a request wants, decided from its head alone.

use proto::http::{Field, field_values, list_members};
use proto::http1::{Framing, RequestHead};

use super::answer::Manner;
use super::refusal::Refusal;

/// Which of the servers was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// The control port.
    Control,
    /// The port with nothing but metrics.
    Metrics,
}

/// The language of success answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// `text/plain`.
    Text,
    /// `application/json`.
    Json,
}

/// What is to be done once the content is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Say who we are.
    Greet,
    /// Publish the items in the content.
    Publish(Language),
    /// Let held connections catch up.
    Recover(Language),
    /// Show the metrics.
    Metrics,
    /// Say that we live.
    Health,
    /// Say whether we serve.
    Readiness,
    /// Say no.
    Refuse(Refusal),
}

/// A request whose head was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What to do.
    pub(crate) task: Task,
    /// How the answer looks.
    pub(crate) manner: Manner,
    /// Where the content ends.
    pub(crate) framing: Framing,
    /// The client waits for the interim answer.
    pub(crate) expects_continue: bool,
}

impl Plan {
    /// Decides what the request wants.
    ///
    /// # Errors
    /// [`Refusal`] when its content could not be read past.
    pub(crate) fn new(
        head: &RequestHead<'_, '_>,
        service: Service,
        body_len_max: usize,
    ) -> Result<Self, Refusal> {
        let may_lack_length = matches!(head.method, "HEAD" | "GET" | "DELETE" | "OPTIONS");
        match head.framing {
            Framing::None if !may_lack_length => return Err(Refusal::LengthRequired),
            Framing::Length(len) if usize::try_from(len).is_ok_and(|len| len <= body_len_max) => {}
            Framing::Length(_) => return Err(Refusal::BodyTooLarge),
            Framing::None | Framing::Chunked | Framing::UntilClose => {}
        }
        let task = match service {
            Service::Control => task_of(head).unwrap_or_else(Task::Refuse),
            Service::Metrics => Task::Metrics,
        };
        let manner = Manner {
            version: head.version,
            persistent: head.persistent,
            head_only: head.method == "HEAD",
        };
        let expects_continue = head.expect_continue;
        Ok(Self {
            task,
            manner,
            framing: head.framing,
            expects_continue,
        })
    }
}

/// What the control port is asked for.
fn task_of(head: &RequestHead<'_, '_>) -> Result<Task, Refusal> {
    let path = match head.target.strip_suffix('/') {
        Some(path) if !path.is_empty() => path,
        _ => head.target,
    };
    // These three have one form only, and those who ask are machines: no choice of language.
    let plain = match path {
        "/metrics" => Some(Task::Metrics),
        "/healthz" => Some(Task::Health),
        "/readyz" => Some(Task::Readiness),
        _ => None,
    };
    if let Some(task) = plain {
        return allowed(head, "GET, HEAD", matches!(head.method, "GET" | "HEAD")).map(|()| task);
    }
    // Looked at for every path, the unknown ones too.
    let language = language(head.fields)?;
    let is_post = head.method == "POST";
    match path {
        "/" => Ok(Task::Greet),
        "/publish" => allowed(head, "POST", is_post).map(|()| Task::Publish(language)),
        "/recover" => allowed(head, "POST", is_post).map(|()| Task::Recover(language)),
        _ => Err(Refusal::NotFound),
    }
}

fn allowed(
    head: &RequestHead<'_, '_>,
    allow: &'static str,
    is_allowed: bool,
) -> Result<(), Refusal> {
    if is_allowed {
        return Ok(());
    }
    Err(Refusal::MethodNotAllowed {
        method: head.method.into(),
        allow,
    })
}

/// The language that the last matching member of `Accept` asks for. Parameters are ignored,
/// letters are compared with case, as Pushpin does.
fn language(fields: &[Field<'_>]) -> Result<Language, Refusal> {
    let mut found = Some(Language::Text);
    let mut is_first = true;
    for value in field_values(fields, "accept") {
        if std::mem::take(&mut is_first) {
            found = None;
        }
        for member in list_members(value) {
            let range = member
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or_default();
            match range.trim_ascii_end() {
                b"text/plain" | b"text/*" | b"*/*" | b"*" => found = Some(Language::Text),
                b"application/json" | b"application/*" => found = Some(Language::Json),
                _ => {}
            }
        }
    }
    found.ok_or(Refusal::NotAcceptable)
}

#[cfg(test)]
mod tests;
