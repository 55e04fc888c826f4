//! What comes to the fetcher from outside, on a real Redis and over real HTTP.

mod consent; // somebody comes back from a consent page
mod fake; // a source that sends webhooks and knows consent pages
mod hints; // what a webhook asks of the next poll
mod limits; // too much, too slow, not now
mod logs; // nothing of a body reaches one
mod paused; // what an operator paused is not polled
mod placing; // whom a webhook means
mod stand; // a fetcher and whoever is connected
mod webhooks; // what becomes of one
