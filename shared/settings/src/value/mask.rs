//! Showing an address without what it may carry in confidence.

use super::HIDDEN;

/// The address with everything that can be a password replaced.
///
/// Works on text that is no valid address too, since errors show what was given: all between the
/// scheme and the *last* `@` goes (a password may hold `/` or `@` that should have been encoded),
/// and so does the query (`redis+unix:///s.sock?pass=…`). Where the two cannot be told apart, all
/// goes.
pub(super) fn url(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_lowercase() || b == b'+') => {
            (&text[..scheme.len() + 3], rest)
        }
        _ => ("", text),
    };
    let shown = match (rest.rfind('@'), rest.find('?')) {
        (Some(at), Some(query)) if query < at => HIDDEN.to_owned(),
        (Some(at), Some(query)) => format!("{HIDDEN}{}?{HIDDEN}", &rest[at..query]),
        (Some(at), None) => format!("{HIDDEN}{}", &rest[at..]),
        (None, Some(query)) => format!("{}?{HIDDEN}", &rest[..query]),
        (None, None) => rest.to_owned(),
    };
    format!("{scheme}{shown}")
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn an_address_without_secrets_is_shown_whole() {
        assert_eq!(url("redis://cache:6379/2"), "redis://cache:6379/2");
    }

    #[test]
    fn no_part_of_a_password_is_shown() {
        for text in [
            "redis://user:hunter2@cache:6379/",
            "redis://:hun@ter2@cache/",
            "redis://:hun/ter2@cache/",
            "rediss+cluster://u:hunter2@a:1,b:2/",
            "redis+unix:///run/redis.sock?db=1&pass=hunter2",
            "user:hunter2@cache",
            "redis://user:hunter2?@cache",
            "unix:///run/redis.sock?pass=hun@ter2",
            "user:hun://ter2@cache",
        ] {
            let shown = url(text);
            assert!(!shown.contains("hun") && !shown.contains("ter2"), "{shown}");
        }
        assert_eq!(url("redis://user:hunter2@cache:6379/"), "redis://…@cache:6379/");
    }
}
