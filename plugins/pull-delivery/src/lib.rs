//! pull-delivery: mail that waits for sites that are not always on-line, and how they get it.
//! Takes the configuration and the handlers' calls; the rules stand in their own files.

mod atrn;
mod counters;
mod etrn;
mod held;
mod lines;
mod look_up;
mod node;
mod rules;
mod runs;
mod scope;
mod section;
mod visitor;

use std::sync::{Arc, PoisonError, RwLock};

use stagepost_sdk::{
    Answer, AsyncPlugin, Atrn, Config, Edits, Ehlo, Etrn, Fault, Host, Level, Outcome, Pending,
    Plugin, StartError, export_plugin,
};

use counters::Counters;
use lines::Lines;
use rules::Rules;
use runs::Runs;

/// The plug-in.
pub(crate) struct PullDelivery {
    host: Host,
    /// Those in force; a session keeps none, so that a reload is in force for every command to come.
    rules: RwLock<Arc<Rules>>,
    runs: Runs,
    lines: Lines,
    counters: Counters,
}

impl PullDelivery {
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Plugin for PullDelivery {
    fn start(host: Host) -> Result<Self, StartError> {
        let rules = RwLock::new(Arc::new(Rules::read(&host.config())?));
        let counters = Counters::new(&host)?;
        // Reported where it happens: who asked has had an answer by then, and the mail waits on.
        let runs = Runs::new(move |scope| {
            if let Err(refusal) = host.queue().flush_wait(&scope.to_string()) {
                host.log(Level::Error, format_args!("the run for {scope} failed: {refusal}"));
            }
        });
        Ok(Self { host, rules, runs, lines: Lines::default(), counters })
    }

    fn before_config(&self, section: &Config) -> Result<(), Fault> {
        Rules::read(section)?;
        Ok(())
    }

    fn after_config(&self, section: &Config) -> Result<(), Fault> {
        // Read again rather than kept: what is refused in between, of any plug-in, must leave nothing.
        let rules = Arc::new(Rules::read(section)?);
        let old = {
            let mut in_force = self.rules.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *in_force, rules)
        };
        drop(old);
        Ok(())
    }

    /// What is announced can be answered.
    fn before_ehlo(&self, event: &Ehlo<'_>, edits: &mut Edits<'_>) -> Outcome {
        let rules = self.rules();
        for (keyword, there) in [("ETRN", !rules.held.is_empty()), ("ATRN", rules.held.has_users())]
        {
            if event.extended && !there {
                edits.keyword_remove(keyword)?;
            }
        }
        Ok(Answer::Continue)
    }
}

impl AsyncPlugin for PullDelivery {
    async fn before_etrn(&self, event: &Etrn<'_>, _: &mut Edits<'_>, call: &Pending) -> Outcome {
        self.answer_etrn(event, call).await
    }

    async fn before_atrn(
        &self,
        event: &Atrn<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        self.answer_atrn(event, edits, call).await
    }
}

export_plugin! {
    type = PullDelivery,
    name = "pull-delivery",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [before_config, after_config, before_ehlo],
    async_stages = [before_etrn, before_atrn],
    edits = [verdict, keyword, queue],
}
