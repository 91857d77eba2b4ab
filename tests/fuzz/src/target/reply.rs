//! Replies of a next hop: however they are cut they are the same, and nothing of them can harm a log or a client.

use stagepost_smtp::{Cause, Enhanced, Outcome, Reply};

use crate::Target;
use crate::next_hop::Hop;
use crate::replies::codes;

pub(crate) const TARGET: Target = Target { name: "reply", run, shape: None };

fn run(input: &[u8]) {
    // What comes behind the first whole reply was sent without being asked for.
    let input = &input[..first_reply(input)];
    let hear = |cuts: &mut dyn Iterator<Item = usize>| {
        let mut hop = Hop::at_dot();
        let mut from = 0;
        for to in cuts.chain([input.len()]) {
            hop.hear(&input[from..to]);
            from = to;
        }
        hop.results
    };
    let whole = hear(&mut std::iter::empty());
    assert_eq!(hear(&mut (1..input.len())), whole, "octet by octet");
    assert_eq!(hear(&mut (1..input.len()).step_by(3)), whole, "in threes");
    let Some(outcomes) = whole.first() else { return };
    for outcome in outcomes {
        judge(outcome, input);
    }
}

/// The octets up to the end of the first line that ends a reply, or is none.
fn first_reply(input: &[u8]) -> usize {
    let mut end = 0;
    for line in input.split_inclusive(|&octet| octet == b'\n') {
        end += line.len();
        if line.get(3) != Some(&b'-') {
            break;
        }
    }
    end
}

fn judge(outcome: &Outcome, input: &[u8]) {
    let shown = match outcome {
        Outcome::Delivered(reply) => {
            assert_eq!(input[0], b'2');
            judge_reply(reply, input);
            reply.text().replace('\n', " ")
        }
        Outcome::Failed(cause) | Outcome::Deferred(cause) => {
            if let Cause::Replied { reply, .. } = cause {
                judge_reply(reply, input);
            }
            cause.to_string()
        }
    };
    assert!(shown.len() < 2 * Reply::TEXT_OCTETS_MAX);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\t'), "{shown:?}");
    let Enhanced { class, .. } = outcome.status();
    let wanted = match outcome {
        Outcome::Delivered(_) => 2,
        Outcome::Deferred(_) => 4,
        Outcome::Failed(_) => 5,
    };
    assert_eq!(class, wanted);
}

fn judge_reply(reply: &Reply, input: &[u8]) {
    let code = std::str::from_utf8(&input[..3]).expect("three digits");
    assert_eq!(reply.code().to_string(), code);
    // It can be told to somebody else, as one reply.
    for enhanced in [false, true] {
        let mut out = Vec::new();
        reply.write(enhanced, &mut out);
        assert_eq!(codes(&out), [reply.code()]);
    }
}
