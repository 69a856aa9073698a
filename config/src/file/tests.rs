use super::*;
use crate::{CoreSet, ForwardedProtocol, Key, StatsFormat};

fn parse(text: &str) -> Config {
    let path = Path::new("/etc/pc/pincushion.toml");
    Config::parse(text, path).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn error(text: &str) -> String {
    Config::parse(text, Path::new("dir/pincushion.toml"))
        .expect_err(text)
        .to_string()
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let expected = Config {
        base_dir: "/etc/pc".into(),
        ..Config::default()
    };
    assert_eq!(parse(""), expected);
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pincushion.toml")
}

#[test]
fn the_example_says_what_the_defaults_are() {
    let path = example();
    let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let base_dir = path.parent().unwrap().to_owned();
    assert_eq!(
        config,
        Config {
            base_dir,
            ..Config::default()
        }
    );
}

#[test]
fn the_example_has_every_key() {
    let text = std::fs::read_to_string(example()).unwrap();
    let document = DeTable::parse(&text).unwrap().into_inner();
    for (name, read_section) in sections::ALL {
        let (mut problems, mut offsets) = (Problems::new(&text), HashMap::new());
        let table = table_of(&document, name, &mut problems).expect(name);
        let mut section = Section::new(name, Some(table), &mut problems, &mut offsets);
        read_section(&mut section, &mut Config::default());
        for key in &section.known {
            assert!(table.contains_key(*key), "[{name}] {key}");
        }
    }
}

#[test]
fn the_settings_of_the_acceptance_suite_are_read() {
    let config = parse(
        "routes_file = \"/d/routes\"\nrun_dir = \"/d\"\n\
         [http]\nlisten = [\"127.0.0.1:1\"]\nhttps_listen = [\"127.0.0.1:2\"]\n\
         local_listen = [\"/d/client.sock\"]\ncert_dir = \"/c\"\n\
         [control]\nlisten = \"\"\nmetrics_listen = \"127.0.0.1:4\"\n\
         [zmq]\npull = \"tcp://127.0.0.1:5\"\nsub = [\"tcp://127.0.0.1:6\"]\n\
         [proxy]\nsig_iss = \"pushpin\"\nset_x_forwarded_protocol = \"true\"\n\
         x_forwarded_for = \"truncate:0,append\"\norig_headers_need_mark = \"X-A, X-B\"\n\
         [handler]\nmessage_rate = 20\nmessage_hwm = -1\nstats_format = \"json\"\n\
         prometheus_prefix = \"acc_\"\n",
    );
    assert_eq!(config.routes_file, Some("/d/routes".into()));
    assert!(config.routes.is_empty());
    assert_eq!(
        config.zmq.stats.as_deref(),
        Some("ipc:///d/pincushion-stats")
    );
    assert_eq!(config.control.listen, None);
    assert_eq!(
        config.proxy.set_x_forwarded_protocol,
        ForwardedProtocol::Both
    );
    assert_eq!(config.proxy.orig_headers_need_mark, ["X-A", "X-B"]);
    assert_eq!(
        config
            .handler
            .message_rate_per_s
            .map(std::num::NonZeroU32::get),
        Some(20)
    );
    assert_eq!(config.handler.message_hwm, None);
    assert_eq!(config.handler.stats_format, StatsFormat::Json);
}

#[test]
fn relative_names_belong_to_the_folder_of_the_file() {
    let text = "routes_file = \"routes\"\nrun_dir = \"run\"\n[http]\ncert_dir = \"certs\"\n\
                local_listen = [\"a.sock\"]\n[zmq]\nstats = \"ipc://{run_dir}/s\"\n";
    let config = parse(text);
    assert_eq!(config.routes_file, Some("/etc/pc/routes".into()));
    assert_eq!(config.http.cert_dir, Some("/etc/pc/certs".into()));
    assert_eq!(config.http.local_listen, [PathBuf::from("/etc/pc/a.sock")]);
    assert_eq!(config.zmq.stats.as_deref(), Some("ipc:///etc/pc/run/s"));
    let origin = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/key/x.toml");
    let keys = "[proxy]\nsig_key = \"file:testdata/secret.hex\"\nupstream_key = \"\"\n";
    let config = Config::parse(keys, &origin).unwrap();
    assert!(matches!(config.proxy.sig_key, Some(Key::Hmac(_))));
    assert_eq!(config.proxy.upstream_key, None);
}

#[test]
fn addresses_may_be_a_port_alone() {
    let text =
        "[http]\nlisten = [\"7999\", \"0.0.0.0:80\", \"[::]:81\"]\n[control]\nlisten = \"1\"";
    let config = parse(text);
    let listen: Vec<_> = config.http.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:7999", "0.0.0.0:80", "[::]:81"]);
    assert_eq!(config.control.listen, Some(([127, 0, 0, 1], 1).into()));
}

#[test]
fn cores_are_a_text_or_an_array() {
    for text in ["[0, 1]", "\"0-1\""] {
        let config = parse(&format!("[shards]\ncores = {text}"));
        assert_eq!(config.shards.cores, CoreSet::Listed(vec![0, 1]), "{text}");
    }
}

#[test]
fn a_limit_of_zero_or_less_is_none() {
    for number in ["0", "-1", "-9_000_000_000"] {
        let config = parse(&format!("[handler]\nmessage_rate = {number}"));
        assert_eq!(config.handler.message_rate_per_s, None, "{number}");
    }
}

#[test]
fn empty_texts_switch_off() {
    let text = "[zmq]\npull = \"\"\nsub = []\ncommand = \"\"\nstats = \"\"\n\
                [proxy]\nsig_key = \"\"\nsig_iss = \"\"\ncdn_loop = \"\"";
    let config = parse(text);
    assert_eq!(
        (config.zmq.pull, config.zmq.command, config.zmq.stats),
        (None, None, None)
    );
    assert!(config.zmq.sub.is_empty());
    assert_eq!((config.proxy.sig_key, config.proxy.sig_iss), (None, None));
}

#[test]
fn an_error_names_file_line_and_key() {
    let text = "\n[http]\n# size\nclient_buffer_size = \"big\"\n";
    let expected = "dir/pincushion.toml:4: [http] client_buffer_size: \
                    expected a whole number of bytes from 1024 to 1048576";
    assert_eq!(error(text), expected);
}

/// Each text gives an error that contains the other one.
fn assert_errors(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let found = error(text);
        assert!(
            found.starts_with("dir/pincushion.toml:"),
            "{text:?}: {found}"
        );
        assert!(found.contains(expected), "{text:?}: {found}");
    }
}

#[test]
fn unknown_keys_and_misplaced_values_are_told() {
    assert_errors(&[
        ("port = 1", ":1: port: unknown key"),
        ("\n[htp]\nx = 1", ":2: htp: unknown key"),
        ("[http]\nport = 1", ":2: [http] port: unknown key"),
        ("[proxy]\nworkers = 2", ":2: [proxy] workers: unknown key"),
        ("http = 1", ":1: [http]: expected a section"),
        ("a = ", ":1: "),
        ("a = 1\na = 2", ":2: duplicate key"),
        (
            "routes = \"* test\"",
            ":1: routes: expected an array of texts",
        ),
        (
            "routes = [\n\"* test\",\n1]",
            ":3: routes: expected an array of texts",
        ),
        (
            "routes_file = \"r\"\nroutes = [\"* test\"]",
            ":2: routes: give either",
        ),
        ("routes_file = 1", ":1: routes_file: expected a text"),
        ("run_dir = \"\"", ":1: run_dir: expected a path"),
    ]);
}

#[test]
fn mistakes_about_shards_and_clients_are_told() {
    assert_errors(&[
        (
            "[shards]\ncores = \"x\"",
            ":2: [shards] cores: expected \"all\"",
        ),
        (
            "[shards]\ncores = [-1]",
            ":2: [shards] cores: expected \"all\"",
        ),
        (
            "[shards]\ncores = true",
            ":2: [shards] cores: expected \"all\"",
        ),
        (
            "[shards]\nper_core = 0",
            "[shards] per_core: expected a whole number of shards from 1",
        ),
        (
            "[http]\nlisten = [\"localhost:80\"]",
            "[http] listen: expected PORT, IPV4:PORT",
        ),
        (
            "[http]\nlisten = [\"65536\"]",
            "[http] listen: expected PORT, IPV4:PORT",
        ),
        (
            "[http]\nlisten = [\"\"]",
            "[http] listen: expected PORT, IPV4:PORT",
        ),
        (
            "[http]\nlisten = \"80\"",
            "[http] listen: expected an array of texts",
        ),
        (
            "[http]\nlisten = []",
            "[http] listen: no address to serve clients on",
        ),
        (
            "[http]\nlocal_mode = \"999\"",
            "[http] local_mode: expected octal permissions",
        ),
        (
            "[http]\nlocal_mode = 660",
            "[http] local_mode: expected a text",
        ),
        ("[http]\nclient_buffer_size = 1023", "from 1024 to 1048576"),
        (
            "[http]\nclient_buffer_size = 1048577",
            "from 1024 to 1048576",
        ),
        (
            "[http]\nclient_buffer_size = 8192.0",
            "expected a whole number of bytes",
        ),
        (
            "[http]\nallow_compression = \"yes\"",
            "allow_compression: expected true or false",
        ),
        (
            "[http]\nslow_client = \"drop\"",
            "[http] slow_client: expected \"close\"",
        ),
        (
            "[http]\nhttps_listen = [\"1\"]",
            ":2: [http] https_listen: needs certificates",
        ),
    ]);
}

#[test]
fn mistakes_about_control_and_zeromq_are_told() {
    assert_errors(&[
        (
            "[control]\nlisten = \"host:1\"",
            "[control] listen: expected PORT",
        ),
        (
            "[zmq]\nipc_file_mode = \"999\"",
            "[zmq] ipc_file_mode: expected octal permissions",
        ),
        (
            "[zmq]\npull = \"127.0.0.1:1\"",
            "[zmq] pull: expected tcp://ADDRESS:PORT",
        ),
        (
            "[zmq]\nsub = [\"\"]",
            "[zmq] sub: expected tcp://ADDRESS:PORT",
        ),
    ]);
}

#[test]
fn mistakes_about_backends_are_told() {
    assert_errors(&[
        (
            "[proxy]\nset_x_forwarded_protocol = 1",
            "set_x_forwarded_protocol: expected \"proto-only",
        ),
        (
            "[proxy]\nx_forwarded_for = \"apend\"",
            "[proxy] x_forwarded_for: expected a comma list",
        ),
        (
            "[proxy]\ncdn_loop = \"a\\nb\"",
            "[proxy] cdn_loop: expected printable",
        ),
        (
            "[proxy]\norig_headers_need_mark = \"a b\"",
            "need_mark: expected names of fields",
        ),
        (
            "[proxy]\norig_headers_need_mark = [\"a:\"]",
            "need_mark: expected names of fields",
        ),
        (
            "[proxy]\nsig_key = \"file:none\"",
            "[proxy] sig_key: key file dir/none does not exist",
        ),
    ]);
}

#[test]
fn mistakes_about_holds_are_told() {
    assert_errors(&[
        (
            "[handler]\nmessage_rate = 4294967296",
            "of deliveries per second up to 4294967295",
        ),
        (
            "[handler]\nmessage_rate = \"x\"",
            "of deliveries per second up to 4294967295",
        ),
        (
            "[handler]\nstats_format = \"xml\"",
            "expected \"tnetstring\" or \"json\"",
        ),
        (
            "[handler]\nprometheus_prefix = \"1a\"",
            "prometheus_prefix: expected letters",
        ),
    ]);
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = "[proxy]\ndebug = 1\n[http]\nx = 1\n";
    let expected = "dir/pincushion.toml:2: [proxy] debug: expected true or false\n\
                    dir/pincushion.toml:4: [http] x: unknown key";
    assert_eq!(error(text), expected);
}

#[test]
fn a_secret_never_shows_in_an_error() {
    let found = error("[proxy]\nsig_key = \"base64:%secret%\"");
    assert!(!found.contains("%secret%"), "{found}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nowhere/pincushion.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("/nowhere/pincushion.toml: cannot be read: "),
        "{error}"
    );
}

#[test]
fn permissions_are_octal() {
    assert_eq!(octal_mode("660"), Some(0o660));
    assert_eq!(octal_mode("0o777"), Some(0o777));
    assert_eq!(octal_mode("0600"), Some(0o600));
    for text in ["", "1000", "8", "+7", "-7", "0x7"] {
        assert_eq!(octal_mode(text), None, "{text:?}");
    }
}
