//! A sending session and a next hop that says anything at any time.

use std::time::Duration;

use crate::Target;
use crate::next_hop::Hop;
use crate::octets::Octets;

pub(crate) const TARGET: Target = Target { name: "sending", run, shape: None };

/// What the next hop says, mostly.
const REPLIES: &[&str] = &[
    "250 ok\r\n",
    "220 a ESMTP\r\n",
    "354 go\r\n",
    "250-a\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n",
    "250-a\r\n250 SIZE 3\r\n",
    "421 bye\r\n",
    "450 4.2.0 later\r\n",
    "550 5.1.1 no\r\n",
    "552 too many\r\n",
    "250-",
    "\r\n",
    "\n",
    "500 what?\r\n",
    "220 go ahead\r\n",
    "334 \r\n",
    "250 ok\r\n250 ok\r\n",
    "250 ok\r\n250 ok\r\n354 go\r\n",
    "354 go\r\n250 queued\r\n",
    "999 x\r\n",
    "250-a\r\n251 b\r\n",
    "250-a\r\n250-CHUNKING\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
    "250 ok\r\n250 ok\r\n250 queued\r\n",
];

fn run(input: &[u8]) {
    let mut octets = Octets::new(input);
    let flags = octets.draw();
    let mut message = octets.part();
    let message = message.rest();
    let mut hop = Hop::new(message, usize::from(octets.draw()));
    if flags & 1 != 0 {
        hop.breaks_at = Some(octets.draw().into());
    }
    let recipients = 1 + octets.below(5);
    hop.start(recipients, flags & 2 != 0);
    while !octets.is_empty() && !hop.closed {
        match octets.below(32) {
            0..=23 => {
                let reply = octets.one_of(REPLIES).as_bytes();
                let cut = octets.below(reply.len() + 1);
                hop.hear(&reply[..cut]);
                if !hop.closed {
                    hop.hear(&reply[cut..]);
                }
            }
            24 | 25 => {
                let length = octets.below(24);
                hop.hear(octets.take(length));
            }
            26 | 27 => hop.start(recipients, false),
            28 => hop.wait(Duration::from_secs(octets.draw().into())),
            29 => hop.quit(),
            30 => {
                hop.hang_up();
            }
            _ => hop.hear(&vec![b'2'; 40 * octets.below(100)]),
        }
    }
    hop.finish();
}
