//! The client against servers of its own: answers modelled on Exist's documented shapes.

mod fence; // a body that must not leave does not
mod outcomes; // every way a call can end, and what may have been applied
mod reads; // profile, attributes, values
mod samples; // recorded answers, where somebody keeps them
mod secrets; // no token in any text
mod server; // a server that answers as told and remembers what it was asked
mod tokens; // codes and refresh tokens
mod writes; // batches and their answers
