//! The little of an answer that may be repeated in an error or to a person.

use serde::Deserialize;

/// Most characters of an answer that any text repeats.
pub const MESSAGE_MAX: usize = 200;

/// What stands where a secret was.
const REDACTED: &str = "[REDACTED]";

/// The two layouts of an error at top level.
#[derive(Deserialize)]
struct Said {
    detail: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// What an unsuccessful answer says, without the secrets that the request carried.
pub(crate) fn of(body: &[u8], secrets: &[&str]) -> String {
    let text = String::from_utf8_lossy(body);
    if text.trim().is_empty() {
        return "no text".to_owned();
    }
    if let Ok(said) = serde_json::from_str::<Said>(&text) {
        let said = [said.detail, said.error, said.error_description].into_iter().flatten();
        let said = said.collect::<Vec<_>>().join(": ");
        if !said.is_empty() {
            return short(&said, secrets);
        }
    }
    if text.trim_start().starts_with('<') {
        return "an HTML page".to_owned();
    }
    short(&text, secrets)
}

/// A text on one line, without these secrets, at most [`MESSAGE_MAX`] characters.
pub(crate) fn short(text: &str, secrets: &[&str]) -> String {
    // Secrets go first: cutting first could leave half of one.
    let hide = |text: String, secret: &&str| text.replace(secret, REDACTED);
    let text = secrets.iter().filter(|secret| !secret.is_empty()).fold(text.to_owned(), hide);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MESSAGE_MAX) {
        None => line,
        Some(_) => line.chars().take(MESSAGE_MAX - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_gives_one_short_line() {
        assert_eq!(of(br#"{"detail":"Invalid token"}"#, &[]), "Invalid token");
        assert_eq!(of(br#"{"error":"not_found"}"#, &[]), "not_found");
        assert_eq!(of(b"<html>\n<title>504</title>", &[]), "an HTML page");
        assert_eq!(of(b" \n", &[]), "no text");
        assert_eq!(of(b"{\"x\":\n 1}", &[]), "{\"x\": 1}");
        assert_eq!(of(&[0xff, b'a'], &[]), "\u{fffd}a");
    }

    #[test]
    fn a_secret_is_hidden_even_where_the_text_is_cut() {
        let body = format!("{}s3cret-token", "é".repeat(MESSAGE_MAX - 5));
        let text = of(body.as_bytes(), &["s3cret-token", ""]);
        assert_eq!(text.chars().count(), MESSAGE_MAX);
        assert!(!text.contains("s3c"), "{text}");
    }
}
