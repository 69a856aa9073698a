#![expect(clippy::cast_possible_truncation, reason = "test sizes are small")]

use std::path::PathBuf;
use std::process::Command;

use rustls::RootCertStore;

use super::*;

/// A folder with certificates of an authority of its own; gone with the value.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("pincushion-tls-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    /// A self-signed certificate for `host` in `<stem>.crt` and `<stem>.key`.
    fn add(&self, stem: &str, host: &str) {
        let at = |ending: &str| self.path.join(format!("{stem}.{ending}"));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=test"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", &format!("subjectAltName=DNS:{host}")])
            .arg("-keyout")
            .arg(at("key"))
            .arg("-out")
            .arg(at("crt"))
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }

    /// A connector that trusts `<stem>.crt`.
    fn connector(&self, stem: &str) -> TlsConnector {
        let pem = std::fs::read(self.path.join(format!("{stem}.crt"))).unwrap();
        let mut roots = RootCertStore::empty();
        for cert in rustls_pemfile::certs(&mut pem.as_slice()) {
            roots.add(cert.unwrap()).unwrap();
        }
        TlsConnector::with_roots(roots).unwrap()
    }

    fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::new(&self.path, 8443)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

/// Carries everything `from` has to write to `to`, in pieces of chance length.
fn carry(
    from: &mut TlsSession,
    to: &mut TlsSession,
    plain: &mut Vec<u8>,
    dice: &mut Dice,
) -> Result<usize, TlsError> {
    let mut cipher = Vec::new();
    from.take_output(&mut cipher);
    let mut rest = cipher.as_slice();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(1 + dice.below(rest.len()));
        to.receive(piece, plain)?;
        rest = after;
    }
    Ok(cipher.len())
}

/// Lets the two talk until neither has anything to say; what each got.
fn talk(
    client: &mut TlsSession,
    server: &mut TlsSession,
    seed: u64,
) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
    let mut dice = Dice(seed);
    let (mut at_client, mut at_server) = (Vec::new(), Vec::new());
    loop {
        let sent = carry(client, server, &mut at_server, &mut dice);
        // An alert reaches the client whatever went wrong.
        let answered = carry(server, client, &mut at_client, &mut dice);
        if sent? + answered? == 0 {
            return Ok((at_client, at_server));
        }
    }
}

#[test]
fn both_ends_understand_each_other_however_the_bytes_are_cut() {
    let folder = Folder::new("cut");
    folder.add("default", "localhost");
    let (acceptor, connector) = (folder.acceptor(), folder.connector("default"));
    for seed in 0..50 {
        let mut client = connector.connect("localhost", false).unwrap();
        let mut server = acceptor.accept();
        client.send(b"GET / HTTP/1.1\r\n\r\n");
        let (_, request) = talk(&mut client, &mut server, seed).unwrap();
        assert_eq!(request, b"GET / HTTP/1.1\r\n\r\n", "seed {seed}");
        assert!(!client.is_handshaking() && !server.is_handshaking());
        let long: Vec<u8> = (0..100_000_u32).map(|i| i as u8).collect();
        server.send(&long);
        let (response, _) = talk(&mut client, &mut server, seed).unwrap();
        assert!(response == long, "seed {seed}");
    }
}

#[test]
fn bytes_that_come_one_by_one_do() {
    let folder = Folder::new("single");
    folder.add("default", "localhost");
    let mut client = folder
        .connector("default")
        .connect("localhost", false)
        .unwrap();
    let mut server = folder.acceptor().accept();
    let (mut cipher, mut plain) = (Vec::new(), Vec::new());
    client.take_output(&mut cipher);
    for byte in &cipher {
        let progress = server.receive(&[*byte], &mut plain).unwrap();
        assert!(progress.is_handshaking);
    }
    let progress = server.receive(&[], &mut plain).unwrap();
    assert!(progress.has_output && plain.is_empty());
}

#[test]
fn a_proper_end_is_told_from_a_cut() {
    let folder = Folder::new("end");
    folder.add("default", "localhost");
    let mut client = folder
        .connector("default")
        .connect("localhost", false)
        .unwrap();
    let mut server = folder.acceptor().accept();
    talk(&mut client, &mut server, 1).unwrap();
    client.send(b"last words");
    client.close_notify();
    let (mut cipher, mut plain) = (Vec::new(), Vec::new());
    client.take_output(&mut cipher);
    let (all_but_end, end) = cipher.split_at(cipher.len() - 1);
    assert!(!server.receive(all_but_end, &mut plain).unwrap().peer_closed);
    assert!(server.receive(end, &mut plain).unwrap().peer_closed);
    assert_eq!(plain, b"last words");
}

/// The stem of the certificate that a client asking for `host` gets.
fn chosen(folder: &Folder, host: &str, stems: &[&str]) -> Option<String> {
    let mut plain = Vec::new();
    let accepted = stems.iter().find(|stem| {
        let mut client = folder.connector(stem).connect(host, false).unwrap();
        let mut server = folder.acceptor().accept();
        talk(&mut client, &mut server, 7).is_ok() && {
            client.send(b"x");
            carry(&mut client, &mut server, &mut plain, &mut Dice(1)).is_ok()
        }
    });
    accepted.map(|stem| (*stem).to_owned())
}

#[test]
fn the_certificate_is_chosen_by_the_name_the_client_asks_for() {
    let folder = Folder::new("sni");
    // All are valid for every name below, so that only the choice decides.
    let stems = [
        "a.example.test",
        "_.example.test",
        "default_8443",
        "default",
    ];
    for stem in stems {
        folder.add(
            stem,
            "a.example.test,DNS:b.example.test,DNS:c.b.example.test,DNS:localhost",
        );
    }
    let table = [
        ("a.example.test", "a.example.test"),
        ("A.Example.TEST", "a.example.test"),
        ("b.example.test", "_.example.test"),
        ("c.b.example.test", "default_8443"),
        ("localhost", "default_8443"),
    ];
    for (host, expected) in table {
        assert_eq!(
            chosen(&folder, host, &stems).as_deref(),
            Some(expected),
            "{host}"
        );
    }
    std::fs::remove_file(folder.path.join("default_8443.crt")).unwrap();
    assert_eq!(
        chosen(&folder, "localhost", &["default"]).as_deref(),
        Some("default")
    );
}

#[test]
fn a_name_without_certificate_ends_with_an_alert() {
    let folder = Folder::new("none");
    let connector = TlsConnector::with_roots(RootCertStore::empty()).unwrap();
    let mut client = connector.connect("nobody.test", true).unwrap();
    let mut server = folder.acceptor().accept();
    let (mut cipher, mut plain) = (Vec::new(), Vec::new());
    client.take_output(&mut cipher);
    let error = server.receive(&cipher, &mut plain).unwrap_err();
    assert_eq!(error.to_string(), "no certificate for nobody.test");
    let mut alert = Vec::new();
    server.take_output(&mut alert);
    assert_eq!(alert.first(), Some(&0x15), "no alert record");
    assert!(matches!(
        client.receive(&alert, &mut plain),
        Err(TlsError::Protocol(_))
    ));
    assert!(matches!(
        server.receive(b"more", &mut plain),
        Err(TlsError::Over)
    ));
}

#[test]
fn plain_http_on_a_tls_port_is_refused() {
    let folder = Folder::new("plain");
    folder.add("default", "localhost");
    let mut server = folder.acceptor().accept();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut plain = Vec::new();
    assert!(server.receive(request, &mut plain).is_err());
    assert!(plain.is_empty());
}

#[test]
fn an_untrusted_certificate_is_refused_unless_insecure() {
    let folder = Folder::new("untrusted");
    folder.add("default", "localhost");
    let stranger = TlsConnector::with_roots(RootCertStore::empty()).unwrap();
    for (insecure, is_fine) in [(false, false), (true, true)] {
        let mut client = stranger.connect("localhost", insecure).unwrap();
        let mut server = folder.acceptor().accept();
        assert_eq!(
            talk(&mut client, &mut server, 3).is_ok(),
            is_fine,
            "insecure {insecure}"
        );
    }
    let mut other_name = folder
        .connector("default")
        .connect("other.test", false)
        .unwrap();
    assert!(talk(&mut other_name, &mut folder.acceptor().accept(), 3).is_err());
}

#[test]
fn addresses_are_server_names_and_nonsense_is_not() {
    let connector = TlsConnector::with_roots(RootCertStore::empty()).unwrap();
    for name in ["127.0.0.1", "::1", "localhost", "backend.test"] {
        assert!(connector.connect(name, false).is_ok(), "{name}");
    }
    for name in ["", "two words", "a/b"] {
        assert!(matches!(
            connector.connect(name, false),
            Err(TlsError::BadServerName(_))
        ));
    }
}

#[test]
fn a_replaced_certificate_is_taken_and_a_spoiled_one_is_not() {
    let folder = Folder::new("replace");
    folder.add("default", "localhost");
    folder.add("next", "localhost");
    let (acceptor, old) = (folder.acceptor(), folder.connector("default"));
    let new = folder.connector("next");
    let trusted_by = |connector: &TlsConnector| {
        let mut client = connector.connect("localhost", false).unwrap();
        talk(&mut client, &mut acceptor.accept(), 5).is_ok()
    };
    assert!(trusted_by(&old));
    let at = |name: &str| folder.path.join(name);
    // Only the certificate has been replaced so far: it does not fit the key.
    std::fs::copy(at("next.crt"), at("default.crt")).unwrap();
    assert!(trusted_by(&old));
    std::fs::copy(at("next.key"), at("default.key")).unwrap();
    assert!(trusted_by(&new));
    assert!(!trusted_by(&old));
}
