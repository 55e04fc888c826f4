//! A seed that a failing test prints, so that the failure can be had again.

use rand::SeedableRng;
use rand::rngs::StdRng;

const VARIABLE: &str = "TEST_SEED";

/// The seed of one test; hold it until the test ends.
///
/// When it is dropped by a panic it prints the seed and how to use it again.
#[derive(Debug)]
#[must_use = "a seed that is dropped at once cannot tell how a later failure came about"]
pub struct Seed(u64);

/// Takes the seed from `TEST_SEED` (decimal), or a random one.
///
/// # Panics
/// When `TEST_SEED` is set and is no number of 64 bits: a run that ignored it would repeat nothing.
pub fn seed() -> Seed {
    Seed(from(std::env::var(VARIABLE).ok().as_deref()))
}

fn from(given: Option<&str>) -> u64 {
    given.map_or_else(rand::random, |text| {
        text.trim().parse().unwrap_or_else(|_| panic!("{VARIABLE} is {text:?}; give a number from 0 to {}", u64::MAX))
    })
}

impl Seed {
    /// The number itself, for a test that derives seeds of its own.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0
    }

    /// A generator that starts from this seed; every call starts it again.
    #[must_use]
    pub fn rng(&self) -> StdRng {
        StdRng::seed_from_u64(self.0)
    }

    fn hint(&self) -> String {
        format!("this failure had {VARIABLE}={}; set it to have the failure again", self.0)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.hint());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_given_seed_is_taken_as_it_is() {
        assert_eq!(from(Some("4121\n")), 4121);
        assert_eq!(from(Some("18446744073709551615")), u64::MAX);
    }

    #[test]
    #[should_panic(expected = "TEST_SEED is \"soon\"")]
    fn a_seed_that_is_no_number_fails_the_test() {
        from(Some("soon"));
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let numbers = |seed: &Seed| {
            let mut rng = seed.rng();
            [rng.next_u64(), rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(numbers(&Seed(7)), numbers(&Seed(7)));
        assert_ne!(numbers(&Seed(7)), numbers(&Seed(8)));
    }

    #[test]
    fn the_hint_names_variable_and_seed() {
        assert!(Seed(4121).hint().contains("TEST_SEED=4121"));
    }
}
