use super::*;

fn broken(change: impl FnOnce(&mut Config)) -> Vec<String> {
    let mut config = Config::default();
    change(&mut config);
    check(&config).iter().map(ToString::to_string).collect()
}

#[test]
fn the_defaults_break_no_rule() {
    assert_eq!(check(&Config::default()), []);
}

#[test]
fn there_must_be_an_address_for_clients() {
    let found = broken(|config| config.http.listen.clear());
    assert_eq!(found, ["[http] listen: no address to serve clients on"]);
}

#[test]
fn a_unix_socket_is_address_enough() {
    let found = broken(|config| {
        config.http.listen.clear();
        config.http.local_listen.push("/run/x".into());
    });
    assert!(found.is_empty());
}

#[test]
fn tls_needs_certificates() {
    let found = broken(|config| config.http.https_listen.push(([0, 0, 0, 0], 443).into()));
    assert_eq!(
        found,
        ["[http] https_listen: needs certificates: set cert_dir"]
    );
}

#[test]
fn the_path_of_a_unix_socket_is_limited() {
    let at = |len| broken(|config| config.http.local_listen.push("x".repeat(len).into()));
    assert!(at(LOCAL_PATH_LEN_MAX).is_empty());
    assert!(at(LOCAL_PATH_LEN_MAX + 1)[0].contains("longer than 107 bytes"));
}

#[test]
fn a_response_head_must_fit_the_buffer() {
    let found = broken(|config| config.proxy.buffer_size = 8192);
    assert_eq!(
        found,
        ["[proxy] response_head_max: must not be greater than buffer_size"]
    );
}

#[test]
fn an_address_is_used_once() {
    let found = broken(|config| config.control.metrics_listen = config.control.listen);
    let expected = "[control] metrics_listen: 127.0.0.1:5561 is already used by [control] listen";
    assert_eq!(found, [expected]);
}

#[test]
fn port_zero_may_be_used_often() {
    let found = broken(|config| {
        config.control.listen = Some(([127, 0, 0, 1], 0).into());
        config.control.metrics_listen = config.control.listen;
    });
    assert!(found.is_empty());
}
