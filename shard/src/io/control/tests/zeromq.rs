//! ZeroMQ end to end: peers of libzmq's, the ZeroMQ thread, the control thread, rings of shards.

use std::path::PathBuf;
use std::sync::Arc;

use config::Config;

use super::super::Clock;
use super::http::{Client, post};
use super::rig::{Rig, RigSettings, until};
use crate::core::hub::Mode;
use crate::io::broadcast::Broadcast;
use crate::io::reports::{Report, SubscriptionChange};
use crate::io::zeromq::{self, ZeroMqThread};

const ITEM: &str = r#"J{"channel":"c","http-stream":{"content":"x"}}"#;

struct World {
    folder: PathBuf,
    rig: Option<Rig>,
    thread: Option<ZeroMqThread>,
    context: zmq::Context,
}

impl World {
    fn new(name: &str, settings: RigSettings) -> Self {
        let name = format!("pincushion-{}-control-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let spec = |name: &str| format!("ipc://{}/{name}", folder.display());
        let mut config: Config = super::rig::config(&settings);
        config.zmq.pull = Some(spec("pull"));
        config.zmq.sub = vec![spec("sub")];
        config.zmq.command = Some(spec("command"));
        config.zmq.stats = None;
        config.handler.subscription_linger_s = 1;
        let started = zeromq::start(&config, Arc::default(), Clock::start());
        let (zeromq, thread) = started.unwrap().unwrap();
        Self {
            rig: Some(Rig::with(config, &settings, Some(zeromq))),
            folder,
            thread: Some(thread),
            context: zmq::Context::new(),
        }
    }

    fn rig(&self) -> &Rig {
        self.rig.as_ref().unwrap()
    }

    fn peer(&self, kind: zmq::SocketType, name: &str) -> zmq::Socket {
        let socket = self.context.socket(kind).unwrap();
        socket.set_rcvtimeo(5_000).unwrap();
        socket.set_linger(0).unwrap();
        let spec = format!("ipc://{}/{name}", self.folder.display());
        socket.connect(&spec).unwrap();
        socket
    }

    fn command(&self, request: &str) -> String {
        let socket = self.peer(zmq::REQ, "command");
        let request = format!("{}:{request}}}", request.len());
        socket.send(&request, 0).unwrap();
        String::from_utf8(socket.recv_bytes(0).unwrap()).unwrap()
    }

    /// The next items in a shard's ring, by content.
    fn next_items(&self, shard: usize) -> Vec<String> {
        let mut items = Vec::new();
        until("items are in the ring", || {
            if let Some(Broadcast::Items(some)) = self.rig().next_broadcast(shard) {
                items = some.iter().map(|item| content(item)).collect();
            }
            !items.is_empty()
        });
        items
    }
}

fn content(item: &proto::grip::Item) -> String {
    match &item.stream {
        Some(proto::grip::StreamForm::Send(content)) => {
            String::from_utf8_lossy(content.content()).into_owned()
        }
        other => format!("{other:?}"),
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.rig = None;
        self.thread.take().unwrap().join();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn change(mode: Mode, channel: &str, delta: i32) -> SubscriptionChange {
    SubscriptionChange {
        mode,
        channel: Arc::from(channel),
        delta,
    }
}

#[test]
fn pushed_items_reach_every_shard_in_order() {
    let settings = RigSettings {
        shards: 2,
        ..RigSettings::default()
    };
    let world = World::new("pull", settings);
    let push = world.peer(zmq::PUSH, "pull");
    let numbers: Vec<String> = (0..200).map(|number: usize| number.to_string()).collect();
    for number in &numbers {
        push.send(&ITEM.replace('x', number), 0).unwrap();
    }
    for shard in 0..2 {
        let mut got = Vec::new();
        while got.len() < numbers.len() {
            got.extend(world.next_items(shard));
        }
        assert_eq!(got, numbers);
    }
}

#[test]
fn a_flood_that_the_shards_do_not_take_is_held_back_and_http_is_answered() {
    let settings = RigSettings {
        ring: 2,
        ..RigSettings::default()
    };
    let world = World::new("flood", settings);
    let push = world.peer(zmq::PUSH, "pull");
    push.set_sndtimeo(1_000).unwrap();
    let item = ITEM.replace('x', &"x".repeat(20_000));
    let mut sent = 0;
    while push.send(&item, 0).is_ok() {
        sent += 1;
        assert!(sent < 20_000, "nobody is held back");
    }
    let metrics = Client::new(world.rig().metrics_port()).exchange("GET /metrics HTTP/1.0\r\n\r\n");
    let text = metrics.text();
    assert!(
        text.contains("\npincushion_zmq_pull_paused_total 1\n"),
        "{text}"
    );
    assert!(
        world
            .command("6:method,4:sing,")
            .contains("method-not-found")
    );
    let mut got = 0;
    while got < sent {
        got += world.next_items(0).len();
    }
    assert_eq!(got, sent);
}

#[test]
fn publishers_see_the_first_subscriber_of_all_shards_and_modes_and_the_end_of_the_last() {
    let world = World::new("sub", RigSettings::default());
    let publisher = world.peer(zmq::XPUB, "sub");
    let sees = |expected: &[u8]| assert_eq!(publisher.recv_bytes(0).unwrap(), expected);
    let report = |shard, mode, delta| {
        world.rig().report_all(Report {
            shard,
            subscriptions: vec![change(mode, "c", delta)],
            ..Report::default()
        });
    };
    report(0, Mode::Stream, 1);
    sees(b"\x01c");
    report(1, Mode::Stream, 2);
    report(1, Mode::Response, 1);
    report(0, Mode::Stream, -1);
    report(1, Mode::Stream, -2);
    world.rig().report(change(Mode::Stream, "mark", 1));
    sees(b"\x01mark");
    // The long-poll lingers for a second, and another one within it is no news.
    report(1, Mode::Response, -1);
    report(0, Mode::Response, 1);
    world.rig().report(change(Mode::Stream, "mark", -1));
    sees(b"\x00mark");
    report(0, Mode::Response, -1);
    sees(b"\x00c");
    report(0, Mode::Stream, 1);
    sees(b"\x01c");
}

#[test]
fn what_comes_to_a_subscription_is_published() {
    let world = World::new("envelope", RigSettings::default());
    let publisher = world.peer(zmq::XPUB, "sub");
    world.rig().report(change(Mode::Stream, "s1", 1));
    assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x01s1");
    publisher.send_multipart(["s1", ITEM], 0).unwrap();
    assert_eq!(world.next_items(0), ["x"]);
}

#[test]
fn commands_are_performed() {
    let world = World::new("command", RigSettings::default());
    assert!(world.command("6:method,7:recover,").contains("5:value,0:~"));
    until("the shards are told", || {
        matches!(world.rig().next_broadcast(0), Some(Broadcast::Recover))
    });
    let item = "7:channel,1:c,11:http-stream,14:7:content,1:y,}";
    let items = format!("{}:{item}}}", item.len());
    let args = format!("5:items,{}:{items}]", items.len());
    let request = format!("6:method,7:publish,4:args,{}:{args}}}", args.len());
    assert!(world.command(&request).contains("4:true!"));
    assert_eq!(world.next_items(0), ["y"]);
    // The answer comes once the items are in the ring, and HTTP goes on as before.
    Client::new(world.rig().port()).exchange(&post("/publish/", super::ITEM));
    assert_eq!(world.next_items(0), ["x"]);
}

#[test]
fn connections_are_asked_for_at_their_shards() {
    let world = World::new("check", RigSettings::default());
    let own = format!("pincushion_{}", std::process::id());
    let shard = std::thread::scope(|scope| {
        let answered = scope.spawn(|| {
            until("the shard is asked", || {
                match world.rig().next_broadcast(0) {
                    Some(Broadcast::Check(check)) => {
                        check.answer(0, |id| id.key == 1);
                        true
                    }
                    _ => false,
                }
            });
        });
        let ids = [
            format!("{own}:0-1-7"),
            format!("{own}:0-2-8"),
            "x".to_owned(),
        ];
        let ids: String = ids.iter().map(|id| format!("{}:{id},", id.len())).collect();
        let args = format!("3:ids,{}:{ids}]", ids.len());
        let answer = world.command(&format!(
            "6:method,9:conncheck,4:args,{}:{args}}}",
            args.len()
        ));
        answered.join().unwrap();
        answer
    });
    assert!(shard.contains(&format!("{own}:0-1-7")), "{shard}");
    assert!(
        !shard.contains("0-2-8") && !shard.contains("1:x,"),
        "{shard}"
    );
    let refresh = |args: &str| {
        world.command(&format!(
            "6:method,7:refresh,4:args,{}:{args}}}",
            args.len()
        ))
    };
    assert!(refresh("3:cid,4:nope,").contains("item-not-found"));
    assert!(refresh("7:channel,1:x,").contains("4:true!"));
}
