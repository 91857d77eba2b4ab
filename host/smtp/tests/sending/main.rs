//! The sending session from outside: what it puts on the wire, whatever a message or an address holds. No server, however it reads
//! line ends, finds more in it than one message.

mod envelope;
mod message;
mod next_hop;
