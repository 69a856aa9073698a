//! The thread with peers of libzmq's, and the control thread's end held by the test.

use std::path::Path;

use proto::grip::Item;

use super::*;

const WAIT_MS: i32 = 5_000;

const ITEM: &str = r#"J{"channel":"c","http-stream":{"content":"x"}}"#;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pincushion-{}-{name}", std::process::id()));
        Self(path)
    }

    fn spec(&self, name: &str) -> String {
        format!("ipc://{}/{name}", self.0.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The thread with nothing switched on but what a test asks for.
struct Rig {
    folder: Folder,
    demand: Arc<StatsDemand>,
    zeromq: Option<(ZeroMq, ZeroMqThread)>,
    context: zmq::Context,
}

fn all_off() -> Config {
    let mut config = Config::default();
    config.zmq.pull = None;
    config.zmq.sub = Vec::new();
    config.zmq.command = None;
    config.zmq.stats = None;
    config
}

fn begin(config: &Config) -> Result<Option<(ZeroMq, ZeroMqThread)>, ZeroMqError> {
    start(config, Arc::default(), Clock::start())
}

impl Rig {
    fn new(name: &str, ask: impl FnOnce(&Folder, &mut config::Zmq)) -> Self {
        let folder = Folder::new(name);
        let mut config = all_off();
        ask(&folder, &mut config.zmq);
        let demand = Arc::new(StatsDemand::default());
        let zeromq = start(&config, Arc::clone(&demand), Clock::start()).unwrap();
        Self {
            folder,
            demand,
            zeromq,
            context: zmq::Context::new(),
        }
    }

    fn link(&self) -> &Link {
        &self.zeromq.as_ref().unwrap().0.link
    }

    fn stats(&mut self) -> &mut StatsSender {
        let zeromq = &mut self.zeromq.as_mut().unwrap().0;
        zeromq.stats.as_mut().unwrap()
    }

    fn peer(&self, kind: zmq::SocketType, name: &str) -> zmq::Socket {
        let socket = self.context.socket(kind).unwrap();
        socket.set_rcvtimeo(WAIT_MS).unwrap();
        socket.set_sndtimeo(WAIT_MS).unwrap();
        socket.set_linger(0).unwrap();
        socket.connect(&self.folder.spec(name)).unwrap();
        socket
    }

    /// The next items, as soon as there are some.
    fn items(&self) -> Vec<Item> {
        let mut items = None;
        until("items come", || {
            items = self.link().next_items();
            items.is_some()
        });
        items.unwrap()
    }

    fn want(&self, channel: &str, is_wanted: bool) {
        let channel = Arc::from(channel);
        let change = Change { channel, is_wanted };
        self.link().tell(vec![change]).unwrap();
    }

    fn want_when_there_is_room(&self, channel: &str, is_wanted: bool) {
        let channel = Arc::from(channel);
        let mut changes = vec![Change { channel, is_wanted }];
        until("there is room", || {
            let back = self.link().tell(std::mem::take(&mut changes)).err();
            changes = back.unwrap_or_default();
            changes.is_empty()
        });
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some((zeromq, thread)) = self.zeromq.take() {
            drop(zeromq);
            thread.join();
        }
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::start();
    while !is_so() {
        assert!(clock.now_ms() < 10_000, "not within time: {what}");
        std::thread::yield_now();
    }
}

/// A request of these members, the method first.
fn request(members: &str) -> String {
    let members = format!("6:method,{members}");
    format!("{}:{members}}}", members.len())
}

#[test]
fn a_listener_raises_the_demand_and_gets_packets_through_a_folder_that_was_missing() {
    let mut rig = Rig::new("stats", |folder, zmq| {
        zmq.stats = Some(folder.spec("deep/stats"));
    });
    let listener = rig.peer(zmq::SUB, "deep/stats");
    listener.set_subscribe(b"conn ").unwrap();
    let demand = Arc::clone(&rig.demand);
    until("the listener is seen", || demand.connections());
    rig.stats().send(b"sub Tx".to_vec());
    rig.stats().send(b"conn Tx".to_vec());
    rig.stats().wake();
    assert_eq!(listener.recv_bytes(0).unwrap(), b"conn Tx");
    listener.set_unsubscribe(b"conn ").unwrap();
    until("the listener has left", || !demand.connections());
}

#[test]
fn an_endpoint_that_is_taken_stops_the_start_with_its_key_and_name() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = format!("tcp://{}", listener.local_addr().unwrap());
    for key in ["stats", "pull", "sub", "command"] {
        let mut config = all_off();
        match key {
            "stats" => config.zmq.stats = Some(spec.clone()),
            "pull" => config.zmq.pull = Some(spec.clone()),
            "sub" => config.zmq.sub = vec![spec.clone()],
            _ => config.zmq.command = Some(spec.clone()),
        }
        let text = begin(&config).unwrap_err().to_string();
        let expected = format!("[zmq] {key}: cannot bind {spec}");
        assert!(
            text.starts_with(&expected) && text.contains("in use"),
            "{text}"
        );
    }
}

#[test]
fn without_an_endpoint_there_is_no_thread() {
    assert!(begin(&all_off()).unwrap().is_none());
}

#[test]
fn packets_that_do_not_fit_are_counted() {
    let (mut sender, receiver) =
        queue::queue(Arc::default(), crate::io::wake::Wake::new().unwrap());
    for _ in 0..STATS_QUEUED_MAX + 3 {
        sender.send(Vec::new());
    }
    assert_eq!(sender.dropped(), 3);
    assert!(receiver.try_recv().is_ok());
}

#[test]
fn files_of_endpoints_get_the_permissions_of_the_settings() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::new("mode", |folder, zmq| {
        zmq.pull = Some(folder.spec("pull"));
        zmq.ipc_file_mode = Some(0o640);
    });
    let file = std::fs::metadata(Path::new(&rig.folder.0).join("pull")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o640);
}

#[test]
fn pushed_items_come_in_order_and_garbage_is_counted() {
    let rig = Rig::new("pull", |folder, zmq| zmq.pull = Some(folder.spec("pull")));
    let push = rig.peer(zmq::PUSH, "pull");
    for garbage in [
        "",
        "J",
        "J[1]",
        "{}",
        "9:x",
        r#"{"channel":"c"}"#,
        r#"J{"items":[]}"#,
    ] {
        push.send(garbage, 0).unwrap();
    }
    push.send_multipart(["c", ITEM, "x"], 0).unwrap();
    for number in 0..1_000 {
        let id = format!(r#"J{{"id":"{number}","channel":"c","http-stream":{{"content":"x"}}}}"#);
        push.send(&id, 0).unwrap();
    }
    let mut ids = Vec::new();
    while ids.len() < 1_000 {
        ids.extend(rig.items().into_iter().filter_map(|item| item.id));
    }
    let expected: Vec<Box<str>> = (0..1_000).map(|n: usize| n.to_string().into()).collect();
    assert_eq!(ids, expected);
    let pull = &rig.link().counters().pull;
    until("all are counted", || {
        (pull.received.get(), pull.malformed.get()) == (1_000, 8)
    });
}

#[test]
fn the_channel_frame_of_a_publisher_wins() {
    let rig = Rig::new("sub", |folder, zmq| zmq.sub = vec![folder.spec("sub")]);
    rig.want("s1", true);
    let publisher = rig.peer(zmq::XPUB, "sub");
    assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x01s1");
    publisher.send_multipart(["s1", ITEM], 0).unwrap();
    // Subscriptions match by prefix: what comes for a longer name is an item for that name.
    publisher.send_multipart(["s1xyz", ITEM], 0).unwrap();
    publisher.send_multipart(["other", ITEM], 0).unwrap();
    publisher.send_multipart(["s1", "junk"], 0).unwrap();
    publisher.send("s1", 0).unwrap();
    let mut channels = Vec::new();
    while channels.len() < 2 {
        channels.extend(rig.items().into_iter().map(|item| item.channel.to_string()));
    }
    assert_eq!(channels, ["s1", "s1xyz"]);
    let sub = &rig.link().counters().sub;
    until("garbage is counted", || sub.malformed.get() == 2);
    until("items are counted", || sub.received.get() == 2);
}

#[test]
fn every_endpoint_of_the_list_is_bound_and_told() {
    let rig = Rig::new("subs", |folder, zmq| {
        zmq.sub = vec![folder.spec("one"), folder.spec("two")];
    });
    let publishers = ["one", "two"].map(|name| rig.peer(zmq::XPUB, name));
    for name in ["a", "b"] {
        rig.want(name, true);
        for publisher in &publishers {
            assert_eq!(
                publisher.recv_bytes(0).unwrap(),
                format!("\u{1}{name}").as_bytes()
            );
        }
    }
    // Counted behind being told.
    let subscriptions = &rig.link().counters().subscriptions;
    until("both are counted", || subscriptions.get() == 2);
    rig.want("a", false);
    for publisher in &publishers {
        assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x00a");
    }
    // Who comes later is told what is wanted now.
    let late = rig.peer(zmq::XPUB, "one");
    assert_eq!(late.recv_bytes(0).unwrap(), b"\x01b");
}

#[test]
fn a_late_publisher_is_told_exactly_what_is_wanted_whatever_came_and_went() {
    let rig = Rig::new("late", |folder, zmq| zmq.sub = vec![folder.spec("sub")]);
    let early = rig.peer(zmq::XPUB, "sub");
    // Names that begin like each other, in an order that has nothing to do with them.
    let name = |number: usize| "ab/c".repeat(number % 7) + &(number * 7_919 % 1_000).to_string();
    let mut wanted = std::collections::BTreeSet::new();
    for number in 0..5_000 {
        let name = name(number * 31);
        let is_wanted = wanted.insert(name.clone()) || !wanted.remove(&name);
        rig.want_when_there_is_room(&name, is_wanted);
    }
    // Once a publisher that was there before sees the last change, all are made.
    rig.want_when_there_is_room("mark", true);
    wanted.insert("mark".to_owned());
    until("all is told", || {
        early.recv_bytes(0).unwrap() == b"\x01mark"
    });
    let publisher = rig.peer(zmq::XPUB, "sub");
    let mut told = std::collections::BTreeSet::new();
    while told.len() < wanted.len() {
        let message = publisher.recv_bytes(0).unwrap();
        assert_eq!(message[0], 1);
        told.insert(String::from_utf8(message[1..].to_vec()).unwrap());
    }
    assert_eq!(told, wanted);
}

#[test]
fn every_endpoint_of_the_list_is_connected_to() {
    let folder = Folder::new("connect");
    std::fs::create_dir_all(&folder.0).unwrap();
    let context = zmq::Context::new();
    let publishers = ["one", "two"].map(|name| {
        let socket = context.socket(zmq::XPUB).unwrap();
        socket.set_rcvtimeo(WAIT_MS).unwrap();
        socket.bind(&folder.spec(name)).unwrap();
        socket
    });
    let rig = Rig::new("connected", |_, zmq| {
        zmq.sub = vec![folder.spec("one"), folder.spec("two")];
        zmq.sub_connect = true;
    });
    rig.want("c", true);
    for publisher in &publishers {
        assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x01c");
        publisher.send_multipart(["c", ITEM], 0).unwrap();
        assert_eq!(rig.items().len(), 1);
    }
}

#[test]
fn while_nothing_is_taken_publishers_are_held_back_and_then_nothing_is_lost() {
    let rig = Rig::new("hold", |folder, zmq| zmq.pull = Some(folder.spec("pull")));
    let push = rig.peer(zmq::PUSH, "pull");
    let item = ITEM.replace('x', &"x".repeat(20_000));
    let mut sent = 0;
    push.set_sndtimeo(1_000).unwrap();
    while push.send(&item, 0).is_ok() {
        sent += 1;
        assert!(sent < 20_000, "nobody is held back");
    }
    let pull = &rig.link().counters().pull;
    until("reading pauses", || pull.paused.get() == 1);
    assert!(pull.received.get() < u64::try_from(sent).unwrap());
    let mut taken = 0;
    while taken < sent {
        taken += rig.items().len();
    }
    assert_eq!(taken, sent);
}

#[test]
fn whoever_waits_for_items_is_woken_by_them() {
    let rig = Rig::new("wake", |folder, zmq| zmq.pull = Some(folder.spec("pull")));
    let push = rig.peer(zmq::PUSH, "pull");
    let wake = rig.link().items_fd().unwrap();
    for _ in 0..3 {
        assert!(rig.link().items_prepare_sleep());
        push.send(ITEM, 0).unwrap();
        let mut items = [zmq::PollItem::from_fd(
            std::os::fd::AsRawFd::as_raw_fd(&wake),
            zmq::POLLIN,
        )];
        assert_eq!(zmq::poll(&mut items, i64::from(WAIT_MS)).unwrap(), 1);
        rig.link().items_awake();
        assert_eq!(rig.items().len(), 1);
    }
}

#[test]
fn a_message_over_the_limit_costs_its_sender_the_connection() {
    let folder = Folder::new("long");
    let mut config = all_off();
    config.zmq.pull = Some(folder.spec("pull"));
    config.control.max_body_size = 100_000;
    let (zeromq, thread) = begin(&config).unwrap().unwrap();
    let context = zmq::Context::new();
    let push = |text: &str| {
        let socket = context.socket(zmq::PUSH).unwrap();
        socket.connect(&folder.spec("pull")).unwrap();
        socket.send(text, 0).unwrap();
        socket
    };
    let _too_long = push(&ITEM.replace('x', &"x".repeat(200_000)));
    let _fits = push(ITEM);
    until("the short one comes", || zeromq.link.next_items().is_some());
    let pull = &zeromq.link.counters().pull;
    until("it is counted", || pull.received.get() == 1);
    drop(zeromq);
    thread.join();
}

#[test]
fn commands_that_need_nobody_else_are_answered_at_once() {
    let rig = Rig::new("command", |folder, zmq| {
        zmq.command = Some(folder.spec("command"));
        zmq.sub = vec![folder.spec("one"), folder.spec("two")];
    });
    let caller = rig.peer(zmq::REQ, "command");
    let ask = |request: &str| {
        caller.send(request, 0).unwrap();
        String::from_utf8(caller.recv_bytes(0).unwrap()).unwrap()
    };
    let answer = ask(&request("12:get-zmq-uris,"));
    for part in [
        "7:success,4:true!",
        &rig.folder.spec("command"),
        "11:publish-sub,",
        &rig.folder.spec("one"),
    ] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    assert!(!answer.contains("publish-pull") && !answer.contains("2:id,"));
    assert!(ask(&request("4:sing,")).contains("16:method-not-found,"));
    assert!(ask("rubbish").contains("11:bad-request,"));
    let counters = rig.link().counters();
    until("all are counted", || {
        (counters.commands.get(), counters.commands_refused.get()) == (3, 2)
    });
}

#[test]
fn a_dealer_may_ask_ahead_and_is_answered_by_id() {
    let rig = Rig::new("dealer", |folder, zmq| {
        zmq.command = Some(folder.spec("command"));
    });
    let caller = rig.peer(zmq::DEALER, "command");
    for id in ["1", "2"] {
        let request = request(&format!("7:recover,2:id,1:{id},"));
        caller.send_multipart(["", &request], 0).unwrap();
    }
    // Without the empty frame nobody knows who asks.
    caller.send(&request("7:recover,"), 0).unwrap();
    let mut asked = Vec::new();
    until("both commands come", || {
        asked.extend(rig.link().next_command());
        asked.len() == 2
    });
    for asked in asked.into_iter().rev() {
        assert!(matches!(asked.command, Command::Recover));
        rig.link().answer(asked.caller, Answer::Done);
    }
    for id in ["2", "1"] {
        let frames = caller.recv_multipart(0).unwrap();
        let answer = String::from_utf8(frames[1].clone()).unwrap();
        assert!(
            frames[0].is_empty() && answer.contains(&format!("2:id,1:{id},")),
            "{answer}"
        );
    }
}

#[test]
fn a_flood_of_garbage_holds_up_neither_commands_nor_items() {
    let rig = Rig::new("flood", |folder, zmq| {
        zmq.pull = Some(folder.spec("pull"));
        zmq.command = Some(folder.spec("command"));
    });
    let (push, caller) = (rig.peer(zmq::PUSH, "pull"), rig.peer(zmq::REQ, "command"));
    for _ in 0..100_000 {
        push.send("garbage", 0).unwrap();
    }
    caller.send(&request("7:unknown,"), 0).unwrap();
    caller.recv_bytes(0).unwrap();
    push.send(ITEM, 0).unwrap();
    assert_eq!(rig.items().len(), 1);
    let pull = &rig.link().counters().pull;
    until("all are counted", || pull.malformed.get() == 100_000);
}

#[test]
fn when_the_control_thread_has_gone_the_thread_ends() {
    let folder = Folder::new("end");
    let mut config = all_off();
    config.zmq.pull = Some(folder.spec("pull"));
    let (zeromq, thread) = begin(&config).unwrap().unwrap();
    drop(zeromq);
    thread.join();
    // Its sockets are closed in libzmq's own time.
    until("the endpoint is free", || begin(&config).is_ok());
}
