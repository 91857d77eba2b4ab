//! HELO and EHLO: a fresh start, and what is announced (RFC 5321 section 4.1.1.1).
//! Knows the edits of the keywords, not what a keyword means.

use std::sync::Arc;

use super::command::Command;
use super::extension::{self, Offer};
use super::session::Session;
use super::state::{Answer, Place};
use crate::{Attributed, Edit, EditFault, Event, Helo, Question, Stage};

impl Session {
    /// What extensions are offered by.
    pub(super) fn offer(&self) -> Offer<'_> {
        let secured = self.facts.tls.is_some();
        let (settings, interest, date) = (&*self.settings, self.interest, self.date());
        Offer { settings, interest, secured, date }
    }

    /// What is announced before plug-ins edit it.
    pub(super) fn keywords(&self) -> String {
        let mut lines = extension::keywords(self.offer(), self.claims(), self.xclient);
        for (place, mechanism) in self.auth_mechanisms().enumerate() {
            lines.push_str(if place == 0 { "\nAUTH " } else { " " });
            lines.push_str(mechanism.name());
        }
        lines
    }

    pub(super) fn question_ehlo(&self, name: Box<str>, extended: bool, keywords: &str) -> Question {
        Question::Ehlo { name, extended, keywords: keywords.into() }
    }

    pub(super) fn proceed_hello(&mut self, name: Box<str>, extended: bool, edits: &[Attributed]) {
        let mut keywords = if extended { self.keywords() } else { String::new() };
        let edits = if extended { edits } else { &[] };
        match edit_keywords(&mut keywords, edits) {
            Ok(withheld) => self.withheld = withheld,
            Err((plugin, fault)) => {
                let reply = self.blame(plugin, fault);
                let question = self.question_after(&Command::Hello { name, extended });
                return self.conclude(question, Answer::plain(reply));
            }
        }
        // RFC 5321 section 4.1.4: like RSET, and the new name counts.
        self.forget_transaction();
        if self.facts.helo.is_some() {
            self.tally.idle_commands += 1;
        }
        self.place = Place::Greeted;
        let asked = self.interest.contains(Event::Ehlo, Stage::After);
        let question = asked.then(|| self.question_ehlo(name.clone(), extended, &keywords));
        Arc::make_mut(&mut self.facts).helo = Some(Helo { name, extended });
        // To HELO no keywords.
        self.conclude(question, Answer::plain(extension::reply(&self.settings, &keywords)));
    }
}

/// Carries out the edits of the keywords; those that are missing then. An error names whose edit can't be carried out.
fn edit_keywords(
    keywords: &mut String,
    given: &[Attributed],
) -> Result<Vec<Box<str>>, (Arc<str>, EditFault)> {
    let of_keywords = |known: &&Attributed| {
        matches!(known.edit, Edit::AddKeyword { .. } | Edit::RemoveKeyword(_))
    };
    let mut edits = given.iter().filter(of_keywords).peekable();
    if edits.peek().is_none() {
        return Ok(Vec::new());
    }
    let offered = keywords.clone();
    for Attributed { plugin, edit, .. } in edits {
        extension::edit(keywords, edit);
        if let Edit::AddKeyword { keyword, .. } = edit
            && !extension::fit(keywords)
        {
            return Err((plugin.clone(), EditFault::Keywords { keyword: keyword.clone() }));
        }
    }
    Ok(extension::missing(&offered, keywords))
}
