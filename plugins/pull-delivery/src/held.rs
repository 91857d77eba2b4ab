//! All nodes, ready to be asked for: which mail a request means, of those that a client may ask for.
//! Knows no client; a look-up takes as long as the name has labels, and as there are nodes below it.

use std::collections::{BTreeMap, HashMap};

use crate::node::Node;
use crate::scope::{Scope, folded};
use crate::section::Tell;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// `ETRN node` or `ETRN @node`.
    Domains(Scope),
    /// `ETRN #queue`.
    Queue(Box<str>),
}

/// The nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    nodes: Vec<Node>,
    /// By their names, which need not be a domain with mail, folded.
    names: HashMap<Box<str>, usize>,
    queues: HashMap<Box<str>, Vec<usize>>,
    /// By the keys of their domains.
    domains: BTreeMap<String, Vec<(Scope, usize)>>,
    /// By those who may fetch their mail when they have logged in.
    users: HashMap<Box<str>, Vec<usize>>,
    wants_host_names: bool,
}

/// The mail that a request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meant {
    /// No two of them overlap.
    pub(crate) scopes: Vec<Scope>,
    /// What the client is told of it.
    pub(crate) tell: Tell,
}

impl Held {
    /// Adds a node with its name and the names of its queues.
    pub(crate) fn add(&mut self, name: &str, queues: &[String], node: Node) {
        let number = self.nodes.len();
        self.names.insert(folded(name).into(), number);
        for queue in queues {
            self.queues.entry(queue.to_ascii_lowercase().into()).or_default().push(number);
        }
        for scope in &node.domains {
            self.domains.entry(scope.key()).or_default().push((scope.clone(), number));
        }
        for user in &node.entitled.users {
            self.users.entry(user.clone()).or_default().push(number);
        }
        self.wants_host_names |= !node.entitled.host_names.is_empty();
        self.nodes.push(node);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Whether a node has that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains_key(&*folded(name))
    }

    /// The node of a name.
    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.names.get(&*folded(name)).and_then(|number| self.nodes.get(*number))
    }

    /// Whether somebody is entitled by the name of their host.
    pub(crate) fn wants_host_names(&self) -> bool {
        self.wants_host_names
    }

    /// The mail that a request means; none when there is none that the client may ask for.
    ///
    /// - tells: what the client is told of a node's mail, if it may ask for it.
    pub(crate) fn find(
        &self,
        request: &Request,
        tells: impl Fn(&Node) -> Option<Tell>,
    ) -> Option<Meant> {
        let mut found = Vec::new();
        match request {
            Request::Queue(name) => {
                for number in self.queues.get(&*name.to_ascii_lowercase()).into_iter().flatten() {
                    self.whole(*number, &mut found);
                }
            }
            Request::Domains(asked) => {
                self.overlapping(asked, &mut found);
                // Where the name of a node is no domain of its mail, it stands for all of that.
                let named = self.names.get(asked.name()).filter(|_| !asked.is_below());
                let named = named.filter(|node| found.iter().all(|(_, number)| number != *node));
                if let Some(number) = named {
                    self.whole(*number, &mut found);
                }
            }
        }
        let mut meant: Option<Meant> = None;
        for (scope, number) in found {
            let Some(told) = self.nodes.get(number).and_then(&tells) else { continue };
            let meant = meant.get_or_insert_with(|| Meant { scopes: Vec::new(), tell: told });
            meant.tell = meant.tell.min(told);
            meant.scopes.push(scope);
        }
        meant.map(Meant::without_repetition)
    }

    /// Whether some mail is a user's.
    pub(crate) fn knows(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// Whether there are users at all.
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// The mail of a user who does not say which; none: there is none.
    pub(crate) fn of_user(&self, user: &str) -> Option<Meant> {
        let mut found = Vec::new();
        for number in self.users.get(user)? {
            if self.nodes.get(*number).is_some_and(|node| node.default) {
                self.whole(*number, &mut found);
            }
        }
        let scopes: Vec<_> = found.into_iter().map(|(scope, _)| scope).collect();
        let meant = Meant { scopes, tell: Tell::Count };
        (!meant.scopes.is_empty()).then(|| meant.without_repetition())
    }

    fn whole(&self, number: usize, found: &mut Vec<(Scope, usize)>) {
        let domains = self.nodes.get(number).into_iter().flat_map(|node| &node.domains);
        found.extend(domains.map(|scope| (scope.clone(), number)));
    }

    /// What nodes have of the domains that are asked for.
    fn overlapping(&self, asked: &Scope, found: &mut Vec<(Scope, usize)>) {
        let above = asked.keys_above().filter_map(|key| self.domains.get(&key));
        let key = asked.key();
        let below = asked.is_below().then(|| {
            let from_key = self.domains.range(key.clone()..);
            // The name itself is among those above.
            from_key
                .take_while(|(found, _)| found.starts_with(&key))
                .skip_while(|(found, _)| **found == key)
        });
        let all = above.chain(below.into_iter().flatten().map(|(_, here)| here)).flatten();
        found.extend(all.filter_map(|(scope, number)| Some((scope.and(asked)?, *number))));
    }
}

impl Meant {
    pub(crate) fn without_repetition(mut self) -> Self {
        // Behind what covers it comes what is covered.
        self.scopes.sort_by_cached_key(|scope| (scope.key(), !scope.is_below()));
        self.scopes.dedup_by(|next, kept| kept.covers(next));
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::node::Entitled;

    fn node(domains: &[&str], tell: Tell) -> Node {
        Node {
            domains: domains.iter().map(|domain| Scope::read(domain).unwrap()).collect(),
            entitled: Entitled::default(),
            tell,
            default: true,
            anybody: false,
        }
    }

    fn held() -> Held {
        let mut held = Held::default();
        let queues =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        held.add("branch.test", &queues(&["Branch"]), node(&["branch.test"], Tell::Count));
        held.add("gw.isp.test", &queues(&["all"]), node(&["a.test", "@b.test"], Tell::Pending));
        held.add("c.test", &[], node(&["@c.test"], Tell::Count));
        held.add("x.b.test", &queues(&["all"]), node(&["x.b.test"], Tell::Nothing));
        held
    }

    fn found(request: &Request) -> Option<(String, Tell)> {
        let meant = held().find(request, |node| Some(node.tell))?;
        let scopes: Vec<_> = meant.scopes.iter().map(Scope::to_string).collect();
        Some((scopes.join(" "), meant.tell))
    }

    #[test]
    fn requests_mean_what_nodes_have() {
        for (asked, wanted) in [
            ("branch.test", Some(("branch.test", Tell::Count))),
            ("BRANCH.test", Some(("branch.test", Tell::Count))),
            ("x.branch.test", None),
            ("@branch.test", Some(("branch.test", Tell::Count))),
            ("a.test", Some(("a.test", Tell::Pending))),
            ("gw.isp.test", Some(("a.test @b.test", Tell::Pending))),
            ("@gw.isp.test", None),
            ("c.test", Some(("c.test", Tell::Count))),
            ("@c.test", Some(("@c.test", Tell::Count))),
            ("b.test", Some(("b.test", Tell::Pending))),
            ("y.b.test", Some(("y.b.test", Tell::Pending))),
            ("x.b.test", Some(("x.b.test", Tell::Nothing))),
            ("@y.b.test", Some(("@y.b.test", Tell::Pending))),
            ("@b.test", Some(("@b.test", Tell::Nothing))),
            ("@test", Some(("a.test @b.test branch.test @c.test", Tell::Nothing))),
            ("test", None),
        ] {
            let request = Request::Domains(Scope::read(asked).unwrap());
            let wanted = wanted.map(|(scopes, tell)| (scopes.to_owned(), tell));
            assert_eq!(found(&request), wanted, "{asked}");
        }
        let queue = |name: &str| found(&Request::Queue(name.into()));
        assert_eq!(queue("branch"), Some(("branch.test".to_owned(), Tell::Count)));
        assert_eq!(queue("ALL"), Some(("a.test @b.test".to_owned(), Tell::Nothing)));
        assert_eq!(queue("none"), None);
    }

    #[test]
    fn what_a_client_may_not_ask_for_is_not_there() {
        let held = held();
        let request = Request::Domains(Scope::read("@test").unwrap());
        assert_eq!(held.find(&request, |_| None), None);
        let branch = Scope::of("branch.test", false);
        let some = |node: &Node| (node.domains[0] == branch).then_some(Tell::Count);
        let meant = held.find(&request, some).unwrap();
        assert_eq!(meant, Meant { scopes: vec![branch.clone()], tell: Tell::Count });
    }

    proptest! {
        /// Found by the index as by trying one node after the other, and nothing twice.
        #[test]
        fn the_index_finds_what_there_is(
            domains in prop::collection::vec("@?[ab](\\.[ab]){0,3}", 1..12),
            asked in "@?[ab](\\.[ab]){0,3}",
            names in prop::collection::vec("[ab](\\.[ab]){0,4}", 20),
        ) {
            let mut held = Held::default();
            let scopes: Vec<_> = domains.iter().map(|text| Scope::read(text).unwrap()).collect();
            for (number, scope) in scopes.iter().enumerate() {
                let name = format!("n{number}.test");
                held.add(&name, &[], node(&[&scope.to_string()], Tell::Count));
            }
            let asked = Scope::read(&asked).unwrap();
            let meant = held.find(&Request::Domains(asked.clone()), |node| Some(node.tell));
            let meant = meant.map_or_else(Vec::new, |meant| meant.scopes);
            for name in names.iter().map(|name| Scope::of(name, false)) {
                let wanted = asked.covers(&name) && scopes.iter().any(|scope| scope.covers(&name));
                let times = meant.iter().filter(|scope| scope.covers(&name)).count();
                prop_assert_eq!(times, usize::from(wanted), "{} in {:?}", name, meant);
            }
        }
    }
}
