//! ATRN: a client that has logged in is sent its mail over its own connection (RFC 2645).
//! Puts the rules in their order; the server sends the mail.

use stagepost_sdk::{Answer, Atrn, Edits, Fault, Level, Outcome, Pending};

use crate::PullDelivery;
use crate::held::{Meant, Request, TooMuch};
use crate::lines::{Busy, Line};
use crate::rules::Rules;
use crate::scope::Scope;
use crate::section::Tell;
use crate::visitor::Visitor;

/// The most destinations that one request may mean.
const SCOPES_MAX: usize = 1000;

/// What a request came to.
enum Came {
    /// Not all of what was named is the client's. Whether it is anybody's is not told.
    NotAllowed,
    /// Nothing waits.
    NoMail,
    /// So many deliveries.
    Started(u64, Meant, Line),
    NotNow(&'static str),
}

impl PullDelivery {
    /// Answers ATRN.
    pub(crate) async fn answer_atrn(
        &self,
        event: &Atrn<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        let (session, rules) = (event.session, self.rules());
        let Some(user) = session.identity().filter(|user| rules.held.knows(user)) else {
            return Ok(Answer::Continue);
        };
        self.counters.atrn_requests.increment();
        let came = self.find_mail(event, user, call, &rules).await?;
        let asked = event.domains.replace('\n', ",");
        match came {
            Came::NotAllowed => {
                self.counters.atrn_refused.increment();
                session.log(Level::Info, format_args!("ATRN {asked}: not allowed for {user}"));
                // The core says 450, to everybody and for every domain in the same words.
                Ok(Answer::Continue)
            }
            Came::NoMail => Ok(Answer::defer(453, "4.2.1", "You have no mail")),
            Came::NotNow(why) => {
                self.counters.put_off.increment();
                session.log(Level::Warn, format_args!("ATRN {asked}: {why}"));
                Ok(Answer::defer(451, "4.3.2", "Unable to process ATRN request now"))
            }
            Came::Started(count, meant, line) => {
                session.log(Level::Info, format_args!("ATRN {asked}: {count} deliveries"));
                let destinations: Vec<_> = meant.scopes.iter().map(Scope::to_string).collect();
                let destinations: Vec<_> = destinations.iter().map(String::as_str).collect();
                edits.reverse(&destinations)?;
                session.slot(|visitor: &mut Visitor| visitor.line = Some(line))?;
                Ok(Answer::handled(250, "2.0.0", "Ok, now reversing the connection"))
            }
        }
    }

    async fn find_mail(
        &self,
        event: &Atrn<'_>,
        user: &str,
        call: &Pending,
        rules: &Rules,
    ) -> Result<Came, Fault> {
        let meant = match meant(rules, user, event.domains) {
            Ok(Some(meant)) if meant.scopes.len() <= SCOPES_MAX => meant,
            Ok(Some(_)) | Err(TooMuch) => {
                return Ok(Came::NotNow("more destinations than one request may mean"));
            }
            Ok(None) => return Ok(Came::NotAllowed),
        };
        let queue = self.host.queue();
        let mut count = 0;
        for scope in &meant.scopes {
            match queue.count(call, &scope.to_string()).await {
                Ok(waiting) => count += waiting.queued,
                Err(refusal) => {
                    let why = "mail that waits can't be counted";
                    self.host.log(Level::Error, format_args!("{why}: {refusal}"));
                    return Ok(Came::NotNow(why));
                }
            }
        }
        if count == 0 {
            return Ok(Came::NoMail);
        }
        let limits = &rules.limits;
        Ok(match self.lines.take(user, limits.lines_per_user_max, limits.lines_max) {
            Ok(line) => Came::Started(count, meant, line),
            Err(Busy::User) => Came::NotNow("the user fetches mail already"),
            Err(Busy::All) => Came::NotNow("as many connections reversed as there may be"),
        })
    }
}

/// The mail that is meant; none when some of it is not the user's (RFC 2645 section 5.2.1).
fn meant(rules: &Rules, user: &str, domains: &str) -> Result<Option<Meant>, TooMuch> {
    if domains.is_empty() {
        return rules.held.of_user(user);
    }
    let allowed = rules.held.allowed_to_user(user);
    let mut all = Meant { scopes: Vec::new(), tell: Tell::Count };
    for domain in domains.lines() {
        let request = Request::Domains(Scope::of(domain, false));
        let Some(meant) = rules.held.find(&request, &allowed)? else { return Ok(None) };
        all.scopes.extend(meant.scopes);
        if all.scopes.len() > SCOPES_MAX * 10 {
            return Err(TooMuch);
        }
    }
    Ok(Some(all.without_repetition()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::tests::made;

    #[test]
    fn all_that_is_named_must_be_the_users() {
        let rules = made(json!({ "node": [
            { "name": "a.test", "users": ["ann"], "domains": ["a.test", "@sub.a.test"] },
            { "name": "b.test", "users": ["ann", "bob"], "default": false },
            { "name": "c.test", "users": ["bob"] },
        ]}))
        .unwrap();
        let found = |user: &str, domains: &str| {
            let meant = meant(&rules, user, &domains.replace(',', "\n")).unwrap()?;
            Some(meant.scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" "))
        };
        for (user, domains, wanted) in [
            ("ann", "", Some("a.test @sub.a.test")),
            ("bob", "", Some("c.test")),
            ("eve", "", None),
            ("ann", "A.test", Some("a.test")),
            ("ann", "b.test,a.test,A.TEST", Some("a.test b.test")),
            ("ann", "x.sub.a.test", Some("x.sub.a.test")),
            ("ann", "a.test,c.test", None),
            ("ann", "none.test", None),
            ("eve", "a.test", None),
        ] {
            assert_eq!(found(user, domains).as_deref(), wanted, "{user} {domains}");
        }
    }
}
