use super::*;

/// Keys made for these tests only.
fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/key/testdata")
}

fn key(text: &str, key_use: KeyUse) -> Result<Option<Key>, KeyError> {
    Key::parse(text, &data(), key_use)
}

#[test]
fn an_empty_text_is_no_key() {
    assert_eq!(key("", KeyUse::Sign).unwrap(), None);
}

#[test]
fn a_plain_text_is_a_secret() {
    let expected = Key::Hmac(Arc::from(&b"change me, ab=cd"[..]));
    assert_eq!(
        key("change me, ab=cd", KeyUse::Verify).unwrap(),
        Some(expected)
    );
}

#[test]
fn base64_is_decoded_with_and_without_padding() {
    for text in ["base64:AP+l", "base64:AP+lAA==", "base64:AP+lAA"] {
        let bytes = key(text, KeyUse::Sign).unwrap().unwrap().bytes().clone();
        assert!(bytes.starts_with(&[0x00, 0xff, 0xa5]), "{text}");
    }
}

#[test]
fn a_file_with_hexadecimal_digits_is_a_secret() {
    let expected = Key::Hmac(Arc::from(&[0x00, 0xff, 0xa5][..]));
    assert_eq!(
        key("file:secret.hex", KeyUse::Sign).unwrap(),
        Some(expected)
    );
}

#[test]
fn an_absolute_file_name_does_not_need_the_folder() {
    let text = format!("file:{}", data().join("secret.hex").display());
    assert!(
        Key::parse(&text, Path::new("/nowhere"), KeyUse::Sign)
            .unwrap()
            .is_some()
    );
}

#[test]
fn pem_keys_are_recognised_by_their_content() {
    let cases = [
        ("ec-private.pem", KeyUse::Sign, true),
        ("ec-public.pem", KeyUse::Verify, true),
        ("rsa-private.pem", KeyUse::Sign, false),
        ("rsa-pkcs1-private.pem", KeyUse::Sign, false),
        ("rsa-public.pem", KeyUse::Verify, false),
    ];
    for (file, key_use, is_ec) in cases {
        let found = key(&format!("file:{file}"), key_use).unwrap().unwrap();
        assert_eq!(matches!(found, Key::EcPem(_)), is_ec, "{file}");
        assert_eq!(matches!(found, Key::RsaPem(_)), !is_ec, "{file}");
        assert!(found.bytes().starts_with(b"-----BEGIN "), "{file}");
    }
}

#[test]
fn a_pem_text_may_stand_in_the_setting_itself() {
    let text = std::fs::read_to_string(data().join("ec-private.pem")).unwrap();
    assert!(matches!(key(&text, KeyUse::Sign), Ok(Some(Key::EcPem(_)))));
}

#[test]
fn keys_that_could_not_be_used_are_refused_with_the_reason() {
    let cases = [
        ("base64:%%%", KeyUse::Sign, "is not base64"),
        ("base64:", KeyUse::Sign, "the key is empty"),
        (
            "file:missing.pem",
            KeyUse::Sign,
            "missing.pem does not exist",
        ),
        (
            "file:not-hex.txt",
            KeyUse::Sign,
            "must hold PEM text or an HMAC secret",
        ),
        (
            "file:odd.hex",
            KeyUse::Sign,
            "must hold PEM text or an HMAC secret",
        ),
        ("file:.", KeyUse::Sign, "cannot be read"),
        ("file:broken.pem", KeyUse::Sign, "no key that can be read"),
        (
            "-----BEGIN PRIVATE KEY-----",
            KeyUse::Sign,
            "no key that can be read",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
            KeyUse::Verify,
            "no key",
        ),
        ("file:ec-sec1.pem", KeyUse::Sign, "openssl pkcs8 -topk8"),
        ("file:ec-sec1.pem", KeyUse::Verify, "openssl pkcs8 -topk8"),
        (
            "file:ec-encrypted.pem",
            KeyUse::Sign,
            "without a pass phrase",
        ),
        (
            "file:rsa-encrypted.pem",
            KeyUse::Sign,
            "without a pass phrase",
        ),
        (
            "file:ec-p384-private.pem",
            KeyUse::Sign,
            "not on the curve P-256",
        ),
        (
            "file:ed25519-private.pem",
            KeyUse::Sign,
            "neither EC nor RSA",
        ),
        (
            "file:ec-public.pem",
            KeyUse::Sign,
            "a private key is needed",
        ),
        (
            "file:rsa-private.pem",
            KeyUse::Verify,
            "a public key is needed",
        ),
    ];
    for (text, key_use, expected) in cases {
        let error = key(text, key_use).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_key_never_shows_in_debug_output() {
    let found = key("changeme", KeyUse::Sign).unwrap().unwrap();
    assert!(!format!("{found:?}").contains("changeme"));
}
