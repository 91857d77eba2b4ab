//! All nodes, ready to be asked for: which mail a request means, of those that a client may ask for.
//! Knows no client but by what it is entitled to; nodes of others are not looked at, however many there are.

use std::collections::{HashMap, HashSet};

use crate::domains::Domains;
use crate::entitlement::{Entitlements, Granted};
use crate::node::{Client, Node};
use crate::scope::{Scope, folded};
use crate::section::Tell;

/// So much is looked through for one request at most.
const FOUND_MAX: usize = 10_000;

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
    /// By their queues, in order.
    queues: HashMap<Box<str>, Vec<usize>>,
    domains: Domains,
    entitlements: Entitlements,
    /// Those that everybody may have sent: known to everybody anyway.
    anybody: Anybody,
}

/// The nodes that are for everybody, found by themselves.
#[derive(Clone, Debug, Default)]
struct Anybody {
    numbers: HashSet<usize>,
    queues: HashMap<Box<str>, Vec<usize>>,
    domains: Domains,
}

/// The mail that a request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meant {
    /// No two of them overlap.
    pub(crate) scopes: Vec<Scope>,
    /// What the client is told of it.
    pub(crate) tell: Tell,
}

/// A request means more than is looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// The nodes that somebody may ask for.
#[derive(Clone, Debug)]
pub(crate) struct Allowed<'h> {
    granted: Granted<'h>,
    /// None: no others.
    anybody: Option<&'h Anybody>,
}

impl Held {
    /// Adds a node with its name and the names of its queues.
    pub(crate) fn add(&mut self, name: &str, queues: &[String], node: Node) {
        let number = self.nodes.len();
        self.names.insert(folded(name).into(), number);
        for queue in queues {
            let queue: Box<str> = queue.to_ascii_lowercase().into();
            if node.anybody {
                add_once(self.anybody.queues.entry(queue.clone()).or_default(), number);
            }
            add_once(self.queues.entry(queue).or_default(), number);
        }
        for scope in &node.domains {
            self.domains.add(scope, number);
            if node.anybody {
                self.anybody.domains.add(scope, number);
            }
        }
        if node.anybody {
            self.anybody.numbers.insert(number);
        }
        self.entitlements.add(number, &node.entitled);
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
        self.entitlements.has_host_names()
    }

    /// What a client may ask for.
    pub(crate) fn allowed(&self, client: Client<'_>) -> Allowed<'_> {
        Allowed { granted: self.entitlements.of(client), anybody: Some(&self.anybody) }
    }

    /// What a user may ask for who is to be entitled as one.
    pub(crate) fn allowed_to_user(&self, user: &str) -> Allowed<'_> {
        Allowed { granted: self.entitlements.of_user(user), anybody: None }
    }

    /// The mail that a request means; none when there is none that may be asked for.
    ///
    /// # Errors
    /// There is too much of it.
    pub(crate) fn find(
        &self,
        request: &Request,
        allowed: &Allowed<'_>,
    ) -> Result<Option<Meant>, TooMuch> {
        let found = match request {
            Request::Queue(name) => self.in_queue(&name.to_ascii_lowercase(), allowed)?,
            Request::Domains(asked) if asked.is_below() => self.below(asked, allowed)?,
            Request::Domains(asked) => self.at(asked, allowed)?,
        };
        let tells = |number: usize| match self.nodes.get(number) {
            Some(node) if allowed.granted.has(number) => node.tell,
            _ => Tell::Nothing,
        };
        let tell = found.iter().map(|(_, number)| tells(*number)).min();
        let scopes = found.into_iter().map(|(scope, _)| scope).collect();
        Ok(tell.map(|tell| Meant { scopes, tell }.without_repetition()))
    }

    /// Whether some mail is a user's.
    pub(crate) fn knows(&self, user: &str) -> bool {
        !self.entitlements.of_user(user).is_empty()
    }

    /// Whether there are users at all.
    pub(crate) fn has_users(&self) -> bool {
        self.entitlements.has_users()
    }

    /// The mail of a user who does not say which; none: there is none.
    ///
    /// # Errors
    /// There is too much of it.
    pub(crate) fn of_user(&self, user: &str) -> Result<Option<Meant>, TooMuch> {
        let granted = self.entitlements.of_user(user);
        let by_default = |number: &usize| self.nodes.get(*number).is_some_and(|node| node.default);
        let found = self.whole(granted.numbers().filter(by_default))?;
        let scopes: Vec<_> = found.into_iter().map(|(scope, _)| scope).collect();
        let meant = Meant { scopes, tell: Tell::Count };
        Ok((!meant.scopes.is_empty()).then(|| meant.without_repetition()))
    }

    /// All that these nodes have.
    fn whole(&self, numbers: impl Iterator<Item = usize>) -> Result<Vec<(Scope, usize)>, TooMuch> {
        let of_node = |number: usize| {
            let domains = self.nodes.get(number).into_iter().flat_map(|node| &node.domains);
            domains.map(move |scope| (scope.clone(), number))
        };
        gathered(numbers.flat_map(of_node))
    }

    /// `ETRN node`. Looks at as many keys as the name has labels.
    fn at(&self, asked: &Scope, allowed: &Allowed<'_>) -> Result<Vec<(Scope, usize)>, TooMuch> {
        if allowed.is_nothing() {
            return Ok(Vec::new());
        }
        let overlapping = self.domains.overlapping(asked);
        let mut found = gathered(overlapping.filter(|(_, number)| allowed.has(*number)))?;
        // Where the name of a node is no domain of its mail, it stands for all of that.
        let named = self.names.get(asked.name()).copied().filter(|number| allowed.has(*number));
        let named = named.filter(|node| found.iter().all(|(_, number)| number != node));
        found.extend(self.whole(named.into_iter())?);
        Ok(found)
    }

    /// `ETRN @node`. Looks at what the client is entitled to, whatever others have below the node.
    fn below(&self, asked: &Scope, allowed: &Allowed<'_>) -> Result<Vec<(Scope, usize)>, TooMuch> {
        let of_node = |number: usize| {
            let domains = self.nodes.get(number).into_iter().flat_map(|node| &node.domains);
            domains.filter_map(move |scope| Some((scope.and(asked)?, number)))
        };
        let granted = allowed.granted.numbers().flat_map(of_node);
        let anybody = allowed.anybody.into_iter().flat_map(|all| all.domains.overlapping(asked));
        gathered(granted.chain(anybody))
    }

    /// `ETRN #queue`. Looks at the nodes of the queue or at those that the client is entitled to, whichever are less.
    fn in_queue(&self, name: &str, allowed: &Allowed<'_>) -> Result<Vec<(Scope, usize)>, TooMuch> {
        let granted = &allowed.granted;
        let in_queue = self.queues.get(name).map(Vec::as_slice).unwrap_or_default();
        let anybody = allowed.anybody.and_then(|all| all.queues.get(name)).into_iter().flatten();
        if granted.count() <= in_queue.len() {
            let numbers = granted.numbers().filter(|one| in_queue.binary_search(one).is_ok());
            self.whole(numbers.chain(anybody.copied()))
        } else {
            let numbers = in_queue.iter().filter(|one| granted.has(**one));
            self.whole(numbers.chain(anybody).copied())
        }
    }
}

impl Allowed<'_> {
    fn has(&self, number: usize) -> bool {
        self.granted.has(number) || self.anybody.is_some_and(|all| all.numbers.contains(&number))
    }

    fn is_nothing(&self) -> bool {
        self.granted.is_empty() && self.anybody.is_none_or(|all| all.numbers.is_empty())
    }
}

fn add_once(list: &mut Vec<usize>, number: usize) {
    if list.last() != Some(&number) {
        list.push(number);
    }
}

/// What is found, as long as it is not too much.
fn gathered(found: impl Iterator<Item = (Scope, usize)>) -> Result<Vec<(Scope, usize)>, TooMuch> {
    let all: Vec<_> = found.take(FOUND_MAX + 1).collect();
    if all.len() > FOUND_MAX { Err(TooMuch) } else { Ok(all) }
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

    fn node(domains: &[&str], tell: Tell, user: &str) -> Node {
        Node {
            domains: domains.iter().map(|domain| Scope::read(domain).unwrap()).collect(),
            entitled: Entitled { users: vec![user.into()], ..Entitled::default() },
            tell,
            default: true,
            anybody: false,
        }
    }

    fn client(user: &str) -> Client<'_> {
        let address = "192.0.2.1".parse().unwrap();
        Client { address, names: &[], certificate: None, user: Some(user) }
    }

    fn queues(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn held() -> Held {
        let mut held = Held::default();
        held.add("branch.test", &queues(&["Branch"]), node(&["branch.test"], Tell::Count, "u"));
        let gateway = node(&["a.test", "@b.test"], Tell::Pending, "u");
        held.add("gw.isp.test", &queues(&["all", "ALL"]), gateway);
        held.add("c.test", &[], node(&["@c.test"], Tell::Count, "u"));
        held.add("x.b.test", &queues(&["all"]), node(&["x.b.test"], Tell::Nothing, "u"));
        held.add("d.test", &queues(&["all"]), node(&["d.test", "@x.d.test"], Tell::Count, "v"));
        held
    }

    fn found(held: &Held, request: &Request, user: &str) -> Option<(String, Tell)> {
        let meant = held.find(request, &held.allowed(client(user))).unwrap()?;
        let scopes: Vec<_> = meant.scopes.iter().map(Scope::to_string).collect();
        Some((scopes.join(" "), meant.tell))
    }

    #[test]
    fn requests_mean_what_nodes_have() {
        let held = held();
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
            ("d.test", None),
        ] {
            let request = Request::Domains(Scope::read(asked).unwrap());
            let wanted = wanted.map(|(scopes, tell)| (scopes.to_owned(), tell));
            assert_eq!(found(&held, &request, "u"), wanted, "{asked}");
        }
        let queue = |name: &str| found(&held, &Request::Queue(name.into()), "u");
        assert_eq!(queue("branch"), Some(("branch.test".to_owned(), Tell::Count)));
        assert_eq!(queue("ALL"), Some(("a.test @b.test".to_owned(), Tell::Nothing)));
        assert_eq!(queue("none"), None);
    }

    #[test]
    fn what_a_client_may_not_ask_for_is_not_there() {
        let held = held();
        let all = ["@test", "branch.test", "gw.isp.test"].map(|name| Scope::read(name).unwrap());
        let mut requests: Vec<_> = all.into_iter().map(Request::Domains).collect();
        requests.push(Request::Queue("branch".into()));
        for request in &requests {
            assert_eq!(found(&held, request, "nobody"), None, "{request:?}");
        }
        let wanted = |text: &str| Some((text.to_owned(), Tell::Count));
        assert_eq!(found(&held, &requests[0], "v"), wanted("d.test @x.d.test"));
        assert_eq!(found(&held, &Request::Queue("all".into()), "v"), wanted("d.test @x.d.test"));
    }

    #[test]
    fn what_is_for_everybody_is_told_to_nobody_else_but_those_entitled() {
        let mut held = held();
        let open = node(&["@open.test"], Tell::Count, "w");
        held.add("open.test", &queues(&["all"]), Node { anybody: true, ..open });
        for (user, tell) in [("nobody", Tell::Nothing), ("w", Tell::Count)] {
            let wanted = |text: &str| Some((text.to_owned(), tell));
            for (asked, wanted) in [
                ("@test", wanted("@open.test")),
                ("a.open.test", wanted("a.open.test")),
                ("branch.test", None),
            ] {
                let request = Request::Domains(Scope::read(asked).unwrap());
                assert_eq!(found(&held, &request, user), wanted, "{user} {asked}");
            }
            let queue = Request::Queue("all".into());
            assert_eq!(found(&held, &queue, user), wanted("@open.test"), "{user}");
        }
        // Logged in for ATRN, which is nothing for everybody.
        let request = Request::Domains(Scope::read("open.test").unwrap());
        assert_eq!(held.find(&request, &held.allowed_to_user("u")), Ok(None));
    }

    #[test]
    fn too_much_is_not_gone_through() {
        let mut held = Held::default();
        let names: Vec<_> = (0..200).map(|number| format!("d{number}.test")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        for number in 0..51 {
            let name = format!("n{number}.test");
            held.add(&name, &queues(&["q"]), node(&names, Tell::Count, "u"));
        }
        for request in [Request::Queue("q".into()), Request::Domains(Scope::of("test", true))] {
            assert_eq!(held.find(&request, &held.allowed(client("u"))), Err(TooMuch));
            assert_eq!(held.find(&request, &held.allowed(client("v"))), Ok(None));
        }
        assert_eq!(held.of_user("u"), Err(TooMuch));
    }

    proptest! {
        /// Found by the index as by trying one node after the other, of those that are the client's, and nothing twice.
        #[test]
        fn the_index_finds_what_there_is(
            domains in prop::collection::vec(("@?[ab](\\.[ab]){0,3}", 0..3_usize, 0..3_usize), 1..12),
            asked in prop_oneof![3 => "@?[ab](\\.[ab]){0,3}", 1 => "#q[012]"],
            user in 0..3_usize,
            names in prop::collection::vec("[ab](\\.[ab]){0,4}", 20),
        ) {
            let mut held = Held::default();
            let scope = |text: &str| Scope::read(text).unwrap();
            for (number, (domain, user, queue)) in domains.iter().enumerate() {
                let made = node(&[domain], Tell::Count, &format!("u{user}"));
                // One user's are for everybody.
                let made = Node { anybody: *user == 0, ..made };
                held.add(&format!("n{number}.test"), &[format!("q{queue}")], made);
            }
            let request = match asked.strip_prefix('#') {
                Some(queue) => Request::Queue(queue.into()),
                None => Request::Domains(scope(&asked)),
            };
            let user_name = format!("u{user}");
            let meant = held.find(&request, &held.allowed(client(&user_name))).unwrap();
            let meant = meant.map_or_else(Vec::new, |meant| meant.scopes);
            for name in names.iter().map(|name| Scope::of(name, false)) {
                let is_meant = |(domain, of, queue): &(String, usize, usize)| {
                    let allowed = *of == 0 || *of == user;
                    let asked_for = match &request {
                        Request::Queue(asked) => **asked == *format!("q{queue}"),
                        Request::Domains(asked) => asked.covers(&name),
                    };
                    allowed && asked_for && scope(domain).covers(&name)
                };
                let wanted = domains.iter().any(is_meant);
                let times = meant.iter().filter(|scope| scope.covers(&name)).count();
                prop_assert_eq!(times, usize::from(wanted), "{} in {:?}", name, meant);
            }
        }
    }
}
