//! Commands and their answers (control.md section 5 of the behaviour reference): frames in, values
//! out, and back. No socket.
//!
//! A request is a tnetstring map without the leading `T`. Pushpin leaves one that it does not
//! understand without an answer, so that its caller waits for ever; here it is `bad-request`.

use std::borrow::Cow;

use proto::grip::{Item, parse_publish_args};
use proto::zhttp::tnetstring::{DEPTH_MAX_DEFAULT, Tnet, TnetLimits, decode, encode};

/// Who asked: what an answer must carry so that it finds its way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The frames before the empty one.
    pub(super) envelope: Vec<Vec<u8>>,
    /// What the caller calls its request.
    pub(super) id: Option<Vec<u8>>,
}

/// A command that the control thread has to perform.
#[derive(Debug)]
pub struct Asked {
    /// Who wants to know.
    pub caller: Caller,
    /// What to do.
    pub command: Command,
}

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Which of these connections are alive?
    ConnCheck(Vec<String>),
    /// The addresses of the ZeroMQ sockets.
    Uris,
    /// Forget last ids and let every held connection catch up.
    Recover,
    /// Let the backend of this WebSocket-over-HTTP connection be asked now.
    RefreshConnection(String),
    /// The same for those of a channel.
    RefreshChannel(String),
    /// Publish these.
    Publish(Vec<Item>),
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// These, of those that were asked for.
    Ids(Vec<String>),
    /// Name and address.
    Addresses(Vec<(&'static str, String)>),
    /// It cannot be done.
    Failed(Failure),
}

/// Why a command cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The request or its arguments are wrong.
    #[error("bad-request")]
    BadRequest(Option<String>),
    /// No such method.
    #[error("method-not-found")]
    MethodNotFound,
    /// No such connection.
    #[error("item-not-found")]
    ItemNotFound,
    /// The shards did not say in time whether the connections are alive.
    #[error("proxy-request-failed")]
    ProxyRequestFailed,
    /// The shards do not keep up; nothing was done.
    #[error("service-unavailable")]
    Overloaded,
}

/// Reads the one frame behind the empty one; the first answer is what the caller calls it.
///
/// # Errors
/// [`Failure`], what the caller is told.
pub(super) fn parse(content: &[u8]) -> (Option<Vec<u8>>, Result<Command, Failure>) {
    let limits = TnetLimits {
        len_max: content.len(),
        depth_max: DEPTH_MAX_DEFAULT,
    };
    let Ok(request) = decode(content, &limits) else {
        return (None, Err(Failure::BadRequest(None)));
    };
    let id = request.member(b"id");
    let command = match id {
        Some(id) if id.as_bytes().is_none() => Err(Failure::BadRequest(None)),
        _ => command(&request),
    };
    (id.and_then(Tnet::as_bytes).map(<[u8]>::to_vec), command)
}

fn command(request: &Tnet<'_>) -> Result<Command, Failure> {
    const BAD: Failure = Failure::BadRequest(None);
    let method = request.member(b"method").and_then(Tnet::as_bytes);
    let method = method.ok_or(BAD)?;
    if request
        .member(b"from")
        .is_some_and(|from| from.as_bytes().is_none())
    {
        return Err(BAD);
    }
    let none = Tnet::Map(Vec::new());
    let args = request.member(b"args").unwrap_or(&none);
    if args.as_map().is_none() {
        return Err(BAD);
    }
    match method {
        b"conncheck" => conncheck(args),
        b"get-zmq-uris" => Ok(Command::Uris),
        b"recover" => Ok(Command::Recover),
        b"refresh" => refresh(args),
        b"publish" => parse_publish_args(args)
            .map(Command::Publish)
            .map_err(|error| Failure::BadRequest(Some(error.to_string()))),
        _ => Err(Failure::MethodNotFound),
    }
}

fn conncheck(args: &Tnet<'_>) -> Result<Command, Failure> {
    let ids = args.member(b"ids").and_then(Tnet::as_list);
    let ids = ids.ok_or(Failure::BadRequest(None))?;
    ids.iter()
        .map(|id| id.as_text().map(Cow::into_owned))
        .collect::<Option<Vec<_>>>()
        .map(Command::ConnCheck)
        .ok_or(Failure::BadRequest(None))
}

/// With both arguments the connection counts.
fn refresh(args: &Tnet<'_>) -> Result<Command, Failure> {
    let (id, channel) = (args.member(b"cid"), args.member(b"channel"));
    let text = |value: &Tnet<'_>| value.as_text().map(Cow::into_owned);
    match (id, channel) {
        (Some(id), _) => text(id).map(Command::RefreshConnection),
        (None, Some(channel)) => text(channel).map(Command::RefreshChannel),
        (None, None) => None,
    }
    .ok_or(Failure::BadRequest(None))
}

/// The content frame of an answer.
pub(super) fn write(id: Option<&[u8]>, answer: &Answer) -> Vec<u8> {
    let text = |text: &str| Tnet::Bytes(text.as_bytes().to_vec().into());
    let mut members = Vec::with_capacity(4);
    let mut member = |name: &'static str, value| {
        members.push((Cow::Borrowed(name.as_bytes()), value));
    };
    if let Some(id) = id {
        member("id", Tnet::Bytes(id.into()));
    }
    member("success", Tnet::Bool(!matches!(answer, Answer::Failed(_))));
    match answer {
        Answer::Done => member("value", Tnet::Null),
        Answer::Ids(ids) => member("value", Tnet::List(ids.iter().map(|id| text(id)).collect())),
        Answer::Addresses(addresses) => {
            let addresses = addresses.iter();
            let addresses = addresses
                .map(|(name, address)| (Cow::Borrowed(name.as_bytes()), text(address)))
                .collect();
            member("value", Tnet::Map(addresses));
        }
        Answer::Failed(failure) => {
            member("condition", text(&failure.to_string()));
            if let Failure::BadRequest(Some(reason)) = failure {
                member("value", text(reason));
            }
        }
    }
    let mut out = Vec::new();
    encode(&mut out, &Tnet::Map(members));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(members: &[(&'static str, Tnet<'static>)]) -> Tnet<'static> {
        let members = members.iter().cloned();
        Tnet::Map(
            members
                .map(|(name, value)| (Cow::Borrowed(name.as_bytes()), value))
                .collect(),
        )
    }

    fn text(text: &'static str) -> Tnet<'static> {
        Tnet::Bytes(Cow::Borrowed(text.as_bytes()))
    }

    fn parsed(request: &Tnet<'_>) -> Result<Command, Failure> {
        let mut content = Vec::new();
        encode(&mut content, request);
        parse(&content).1
    }

    fn asked(method: &'static str, args: Tnet<'static>) -> Result<Command, Failure> {
        parsed(&map(&[("method", text(method)), ("args", args)]))
    }

    const BAD: Failure = Failure::BadRequest(None);

    #[test]
    fn an_id_is_known_whatever_else_is_wrong() {
        let mut content = Vec::new();
        encode(
            &mut content,
            &map(&[("id", text("7")), ("method", Tnet::Int(1))]),
        );
        let (id, command) = parse(&content);
        assert_eq!(id.as_deref(), Some(&b"7"[..]));
        assert_eq!(command.unwrap_err(), BAD);
    }

    #[test]
    fn requests_that_pushpin_does_not_answer_are_bad() {
        for content in [&b""[..], b"T", b"J{}", b"5:hello,", b"9:x", b"0:~"] {
            assert_eq!(parse(content).1.unwrap_err(), BAD, "{content:?}");
        }
        let method = ("method", text("recover"));
        for request in [
            map(&[]),
            map(&[("method", Tnet::Int(1))]),
            map(&[method.clone(), ("args", Tnet::List(Vec::new()))]),
            map(&[method.clone(), ("args", Tnet::Null)]),
            map(&[method.clone(), ("from", Tnet::Int(1))]),
            map(&[method, ("id", Tnet::Int(1))]),
        ] {
            assert_eq!(parsed(&request).unwrap_err(), BAD, "{request:?}");
        }
    }

    #[test]
    fn unknown_methods_are_told_apart_from_bad_ones() {
        let failure = asked("report", map(&[])).unwrap_err();
        assert_eq!(failure, Failure::MethodNotFound);
    }

    #[test]
    fn arguments_are_optional_where_a_method_needs_none() {
        let command = parsed(&map(&[("method", text("recover"))]));
        assert!(matches!(command, Ok(Command::Recover)));
        let command = parsed(&map(&[("method", text("get-zmq-uris"))]));
        assert!(matches!(command, Ok(Command::Uris)));
    }

    #[test]
    fn conncheck_wants_a_list_of_strings() {
        let ids = Tnet::List(vec![text("a"), text("b")]);
        match asked("conncheck", map(&[("ids", ids)])).unwrap() {
            Command::ConnCheck(ids) => assert_eq!(ids, ["a", "b"]),
            other => panic!("{other:?}"),
        }
        for args in [
            map(&[]),
            map(&[("ids", text("a"))]),
            map(&[("ids", Tnet::List(vec![Tnet::Int(1)]))]),
        ] {
            assert_eq!(
                asked("conncheck", args.clone()).unwrap_err(),
                BAD,
                "{args:?}"
            );
        }
    }

    #[test]
    fn of_two_arguments_refresh_takes_the_connection() {
        let both = map(&[("channel", text("c")), ("cid", text("i"))]);
        let command = asked("refresh", both).unwrap();
        assert!(matches!(command, Command::RefreshConnection(id) if id == "i"));
        let command = asked("refresh", map(&[("channel", text("c"))])).unwrap();
        assert!(matches!(command, Command::RefreshChannel(channel) if channel == "c"));
        assert_eq!(asked("refresh", map(&[])).unwrap_err(), BAD);
        let wrong = map(&[("cid", Tnet::Int(1)), ("channel", text("c"))]);
        assert_eq!(asked("refresh", wrong).unwrap_err(), BAD);
    }

    #[test]
    fn a_bad_publish_says_what_is_wrong() {
        let publish = |items| asked("publish", map(&[("items", items)])).unwrap_err();
        let reason = |failure| match failure {
            Failure::BadRequest(Some(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            reason(asked("publish", map(&[])).unwrap_err()),
            "Invalid format: object does not contain 'items'"
        );
        assert_eq!(
            reason(publish(Tnet::Int(5))),
            "Invalid format: object contains 'items' with wrong type"
        );
        assert_eq!(
            reason(publish(Tnet::List(vec![map(&[("channel", text("x"))])]))),
            "Invalid format: no formats specified"
        );
    }

    #[test]
    fn answers_carry_what_the_reference_says() {
        let read = |bytes: &[u8]| {
            let limits = TnetLimits {
                len_max: 1_000,
                depth_max: 4,
            };
            format!(
                "{:?}",
                decode(bytes, &limits).unwrap().as_map().map(Vec::len)
            )
        };
        assert_eq!(
            write(None, &Answer::Done),
            b"28:7:success,4:true!5:value,0:~}"
        );
        assert_eq!(
            write(Some(b"1"), &Answer::Failed(Failure::MethodNotFound)),
            b"59:2:id,1:1,7:success,5:false!9:condition,16:method-not-found,}"
        );
        let told = Failure::BadRequest(Some("x".to_owned()));
        assert_eq!(read(&write(Some(b"1"), &Answer::Failed(told))), "Some(4)");
        assert_eq!(read(&write(None, &Answer::Ids(Vec::new()))), "Some(2)");
    }
}
