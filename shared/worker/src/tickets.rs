//! Tickets: turns begin no faster than what they lead to may happen.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

/// Tickets of a process for things that are limited, such as requests to a peer. Clones share them.
///
/// Who is due without a ticket left stays due, and costs nothing: begun all the same, each would read what there is
/// to do and be put off, again and again.
#[derive(Clone)]
pub struct Tickets {
    left: Arc<AtomicU32>,
    most: u32,
}

/// Lets one turn begin, and pays for one limited thing. It is given back if that did not happen.
pub struct Ticket {
    tickets: Tickets,
    spent: AtomicBool,
}

impl Tickets {
    /// All that there can be at once.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { left: Arc::new(AtomicU32::new(most)), most }
    }

    /// How many are left.
    #[must_use]
    pub fn left(&self) -> usize {
        usize::try_from(self.left.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Takes one, if any is left.
    #[must_use]
    pub fn take(&self) -> Option<Ticket> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.ok().map(|_| Ticket { tickets: self.clone(), spent: AtomicBool::new(false) })
    }

    /// Issues one more, if not all are there.
    pub fn issue(&self) {
        let one_more = |left| (left < self.most).then_some(left + 1);
        let _unless_full = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
    }
}

impl Ticket {
    /// Pays with it; `false` if that was done before.
    #[must_use]
    pub fn spend(&self) -> bool {
        !self.spent.swap(true, Ordering::Relaxed)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.spend() {
            self.tickets.issue();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_pays_once_and_comes_back_unless_it_paid() {
        let tickets = Tickets::new(2);
        let (paying, idle) = (tickets.take().unwrap(), tickets.take().unwrap());
        assert!(tickets.take().is_none());
        assert!(paying.spend() && !paying.spend());
        drop((paying, idle));
        assert_eq!(tickets.left(), 1);
        tickets.issue();
        tickets.issue();
        assert_eq!(tickets.left(), 2);
    }
}
