//! Filters of registrations.

use std::collections::BTreeMap;

use stagepost_abi::*;

use crate::fake::{Fake, Value};
use crate::probe::em_entry;

#[test]
fn a_filter_narrows_every_registration() {
    let networks = |list| BTreeMap::from([("networks", Value::Text(list))]);
    let (fake, status) =
        Fake { config: networks("192.0.2.1,2001:db8::/32"), ..Fake::default() }.load(em_entry);
    assert_eq!(status, NOERROR);
    let narrowed: Vec<String> =
        fake.logged().into_iter().filter(|line| line.starts_with("narrow")).collect();
    let wanted: Vec<String> = (1..=fake.registrations.lock().unwrap().len())
        .map(|number| {
            format!(
                "narrow {number} networks \"192.0.2.1 2001:db8::/32 \" listeners \"mx \" \
                 senders \"<> .example.org \" recipients \"\" tls 1"
            )
        })
        .collect();
    assert!(wanted.len() > 2);
    assert_eq!(narrowed, wanted);
    fake.stop();
}

#[test]
fn a_filter_that_the_host_refuses_refuses_the_plug_in() {
    let config = BTreeMap::from([("networks", Value::Text("word"))]);
    let (fake, status) = Fake { config, ..Fake::default() }.load(em_entry);
    assert_eq!(status, ERR_MISC_INVALID_ARGS);
    let said = fake.logged().pop().unwrap();
    assert!(said.contains("the host refuses this plug-in's filter: status 0x0495"), "{said}");
    fake.stop();
}

#[test]
fn a_host_without_filters_serves_plug_ins_without_one() {
    let host = || Fake { without: vec![EM_FILTER_ID], ..Fake::default() };
    let (fake, status) = host().load(em_entry);
    assert_eq!(status, NOERROR);
    fake.stop();
    let config = BTreeMap::from([("networks", Value::Text("192.0.2.1"))]);
    let (fake, status) = Fake { config, ..host() }.load(em_entry);
    assert_eq!(status, ERR_NOT_FOUND);
    fake.stop();
}
