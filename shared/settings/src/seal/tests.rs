//! Tests of sealing.

use super::*;
use proptest::prelude::*;

const AAD: &str = "alice/toggl/api_token";

fn sealer() -> Sealer {
    Sealer::from_keys(Sealer::generate_key().expose_secret()).unwrap()
}

fn with_id(id: &str) -> String {
    format!("{id}:{}", Sealer::generate_key().expose_secret())
}

#[test]
fn what_is_sealed_opens_again() {
    let sealer = sealer();
    let sealed = sealer.seal(&"hunter2".into(), AAD);
    assert!(sealed.starts_with("v1.1."), "{sealed}");
    assert!(!sealed.contains("hunter2"));
    assert_eq!(sealer.open(&sealed, AAD).unwrap().expose_secret(), "hunter2");
}

#[test]
fn the_same_secret_is_never_sealed_to_the_same_text() {
    let sealer = sealer();
    assert_ne!(sealer.seal(&"hunter2".into(), AAD), sealer.seal(&"hunter2".into(), AAD));
}

#[test]
fn a_sealed_text_opens_only_in_its_own_place() {
    let sealer = sealer();
    let sealed = sealer.seal(&"hunter2".into(), AAD);
    assert_eq!(sealer.open(&sealed, "mallory/toggl/api_token").err(), Some(SealError::Tampered));
    assert_eq!(sealer.open(&sealed, "").err(), Some(SealError::Tampered));
}

#[test]
fn any_changed_character_is_noticed() {
    let sealer = sealer();
    let sealed = sealer.seal(&"hunter2".into(), AAD);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(sealer.open(&changed, AAD).is_err(), "position {at}");
    }
    assert!(sealer.open(&sealed[..sealed.len() - 1], AAD).is_err());
}

#[test]
fn an_old_key_opens_and_the_first_seals() {
    let (old, new) = (with_id("old"), with_id("new"));
    let before = Sealer::from_keys(&old).unwrap();
    let during = Sealer::from_keys(&format!("{new},{old}")).unwrap();
    let after = Sealer::from_keys(&new).unwrap();

    let sealed = before.seal(&"hunter2".into(), AAD);
    assert!(!during.is_current(&sealed));
    let again = during.seal(&during.open(&sealed, AAD).unwrap(), AAD);
    assert!(again.starts_with("v1.new.") && after.is_current(&again));
    assert_eq!(after.open(&again, AAD).unwrap().expose_secret(), "hunter2");
    assert_eq!(after.open(&sealed, AAD).err(), Some(SealError::UnknownKey { id: "old".into() }));
}

#[test]
fn another_key_under_the_same_id_does_not_open() {
    let sealed = sealer().seal(&"hunter2".into(), AAD);
    assert_eq!(sealer().open(&sealed, AAD).err(), Some(SealError::Tampered));
}

#[test]
fn what_is_no_key_is_refused() {
    let key = Sealer::generate_key();
    let key = key.expose_secret();
    let error = |text: &str| Sealer::from_keys(text).err();
    assert_eq!(error("hunter2"), Some(SealError::Key { number: 1 }));
    assert_eq!(error(&format!("a:{key},b:hunter2")), Some(SealError::Key { number: 2 }));
    assert_eq!(error(&format!("a.b:{key}")), Some(SealError::Key { number: 1 }));
    assert_eq!(error(&format!("{key},")), Some(SealError::Key { number: 2 }));
    assert_eq!(error(&format!("a:{key},a:{key}")), Some(SealError::SameId));
    assert_eq!(error(&format!("{key},{key}")), Some(SealError::SameId));
}

#[test]
fn a_key_is_read_in_either_alphabet_with_or_without_padding_or_as_hexadecimal() {
    let bytes = [0xfb_u8; KEY_BYTES];
    let standard = BASE64.encode(bytes);
    let reader = Sealer::from_keys(&standard).unwrap();
    let sealed = reader.seal(&"hunter2".into(), AAD);
    let spellings =
        [BASE64_URL_SAFE_NO_PAD.encode(bytes), standard.trim_end_matches('=').to_owned(), "fb".repeat(KEY_BYTES)];
    for text in spellings {
        assert!(Sealer::from_keys(&text).unwrap().open(&sealed, AAD).is_ok(), "{text}");
    }
}

#[test]
fn debug_shows_ids_and_no_key() {
    let key = Sealer::generate_key();
    let sealer = Sealer::from_keys(&format!("k7:{}", key.expose_secret())).unwrap();
    assert_eq!(format!("{sealer:?}"), r#"Sealer { keys: ["k7"] }"#);
}

proptest! {
    #[test]
    fn every_text_survives_sealing(plain in ".*", aad in ".*") {
        let sealer = sealer();
        let sealed = sealer.seal(&plain.as_str().into(), &aad);
        let opened = sealer.open(&sealed, &aad).unwrap();
        prop_assert_eq!(opened.expose_secret(), plain.as_str());
    }

    #[test]
    fn no_text_makes_open_panic(text in ".*") {
        prop_assert!(sealer().open(&text, AAD).is_err());
    }
}
