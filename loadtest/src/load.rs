//! A load test: a seeded or recorded stream, played at the real processes, with the destination as the judge.
//!
//! A [`Scenario`] says who there is, what happens to them and what must hold; [`generate`] makes a [`Stream`]
//! of it; [`run`] plays a stream at the real processes and says in an [`Outcome`] what came of it.

mod arrivals; // when something happens
mod bounds; // what must hold
mod compare; // two runs side by side
mod count; // what one telling adds to which day
mod drive; // tells the stream on time
mod generate; // a scenario's stream
mod lateness; // latencies without coordinated omission
mod leases; // who owns what, and for how long nobody does
mod meter; // what was used
mod outcome; // what came of a run
mod page; // a run as one page of HTML
mod peers; // the simulated sources
mod plot; // a plot as SVG
mod probe; // when a telling is in the ledger
mod progress; // how far a run is
mod record; // a live stream, written down
mod run; // a run from start to verdict
mod sampler; // how things stand, every half second
mod scenario; // what is to be run
mod source; // which sources there are
mod stage; // peers, people and processes
mod stream; // what happens, in order, and its file
mod tap; // who hears what Exist holds
mod threads; // who does not wait for whom
mod trouble; // what goes wrong meanwhile
mod truth; // what must come of a stream

pub use compare::compare;
pub use generate::generate;
pub use outcome::{Check, Outcome};
pub use page::page;
pub use record::{Recording, record};
pub use run::{Options, run};
pub use scenario::Scenario;
pub use stream::{Header, Stream};
