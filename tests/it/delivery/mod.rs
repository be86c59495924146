//! Commands on their way between a real platform and agents that the test plays: what is sent when, what
//! becomes of it, and that a platform which was killed knows all of it afterwards.

mod broadcast;
mod ends;
mod journals;
mod scripted;
mod seed;
mod states;
mod waves;
