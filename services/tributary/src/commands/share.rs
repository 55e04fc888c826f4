//! A share of all users, by a hash of their names.

use std::str::FromStr;

use event::{PartitionCount, UserId};

/// One of so many shares of the users; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    number: u16,
    of: PartitionCount,
}

impl Share {
    /// Whether a user is in it.
    pub(crate) fn holds(self, user: &UserId) -> bool {
        self.of.of(user).index() + 1 == self.number
    }
}

impl FromStr for Share {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a share is written K/N, such as 1/64, with K from 1 to N and N at most 1024".to_owned();
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let (number, of): (u16, u16) = (number.parse().map_err(|_| wrong())?, of.parse().map_err(|_| wrong())?);
        let of = PartitionCount::try_new(of).map_err(|_| wrong())?;
        if (1..=of.get()).contains(&number) { Ok(Self { number, of }) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_is_in_exactly_one_share() {
        for of in [1, 3, 64] {
            let shares: Vec<Share> = (1..=of).map(|number| format!("{number}/{of}").parse().unwrap()).collect();
            for number in 0..500 {
                let user = UserId::try_new(&format!("user-{number}")).unwrap();
                assert_eq!(shares.iter().filter(|share| share.holds(&user)).count(), 1);
            }
        }
    }

    #[test]
    fn a_share_that_cannot_be_is_refused() {
        for text in ["0/4", "5/4", "1/0", "1/1025", "1", "a/b", "-1/4"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
