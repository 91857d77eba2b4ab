//! Addresses as a client may and may not write them: every corner of RFC 5321 section 4.1.2, without leniency.

use stagepost_smtp::Address;

/// Forms that are to be taken, and kept to the letter.
const SOUND: [&str; 87] = [
    r##"a@b"##,
    r##"a@b.test"##,
    r##"A@B.TEST"##,
    r##"first.last@b.test"##,
    r##"a+tag@b.test"##,
    r##"a-b@b.test"##,
    r##"a_b@b.test"##,
    r##"1@b.test"##,
    r##"1.2.3@b.test"##,
    r##"-a@b.test"##,
    r##"a-@b.test"##,
    r##"--@b.test"##,
    r##"_@b.test"##,
    r##"+@b.test"##,
    r##"!@b.test"##,
    r##"#@b.test"##,
    r##"$@b.test"##,
    r##"%@b.test"##,
    r##"&@b.test"##,
    r##"'@b.test"##,
    r##"*@b.test"##,
    r##"/@b.test"##,
    r##"=@b.test"##,
    r##"?@b.test"##,
    r##"^@b.test"##,
    r##"`@b.test"##,
    r##"{@b.test"##,
    r##"}@b.test"##,
    r##"~@b.test"##,
    r##"a!b@c.test"##,
    r##"a%b@c.test"##,
    r##"a=b@c.test"##,
    r##"user=host.test@c.test"##,
    r##"!#$%&'*+-/=?^_`{|}~@b.test"##,
    r##"a@1.test"##,
    r##"a@1a.test"##,
    r##"a@b-c.test"##,
    r##"a@b--c.test"##,
    r##"a@xn--bcher-kva.test"##,
    r##"a@b.c.d.e.f.g.test"##,
    r##"a@123"##,
    r##"a@1.2.3.4"##,
    r##"a@test"##,
    r##"a@b0"##,
    r##"a@0.0"##,
    r##""a"@b.test"##,
    r##"""@b.test"##,
    r##"" "@b.test"##,
    r##""  a  "@b.test"##,
    r##""a b"@b.test"##,
    r##""a.b"@b.test"##,
    r##"".a"@b.test"##,
    r##""a."@b.test"##,
    r##""a..b"@b.test"##,
    r##""."@b.test"##,
    r##""a@b"@c.test"##,
    r##""@"@b.test"##,
    r##""a,b"@c.test"##,
    r##""a;b"@c.test"##,
    r##""a:b"@c.test"##,
    r##""<a>"@b.test"##,
    r##""(a)"@b.test"##,
    r##""[a]"@b.test"##,
    r##""a\\b"@c.test"##,
    r##""a\"b"@c.test"##,
    r##""\a"@b.test"##,
    r##""\ "@b.test"##,
    r##""\@"@b.test"##,
    r##""\\"@b.test"##,
    r##""\""@b.test"##,
    r##""'"@b.test"##,
    r##"a@[127.0.0.1]"##,
    r##"a@[0.0.0.0]"##,
    r##"a@[255.255.255.255]"##,
    r##"a@[IPv6:::]"##,
    r##"a@[IPv6:::1]"##,
    r##"a@[ipv6:::1]"##,
    r##"a@[IPV6:2001:DB8::1]"##,
    r##"a@[IPv6:2001:db8:0:0:0:0:0:1]"##,
    r##"a@[IPv6:::ffff:192.0.2.1]"##,
    r##"a@[IPv6:64:ff9b::192.0.2.33]"##,
    r##""a"@[192.0.2.1]"##,
    r##"postmaster"##,
    r##"Postmaster"##,
    r##"POSTMASTER"##,
    r##"postmaster@b.test"##,
    r##""postmaster"@b.test"##,
];

/// Forms that are not: no comment, no white space, no obsolete form, no tag of literals that nobody knows.
const UNSOUND: [&str; 113] = [
    r##""##,
    r##"@"##,
    r##"a"##,
    r##""a""##,
    r##"@b.test"##,
    r##"a@"##,
    r##"a@@b.test"##,
    r##"a@b@c.test"##,
    r##"a@b.test@"##,
    r##"@a@b.test"##,
    r##".a@b.test"##,
    r##"a.@b.test"##,
    r##"a..b@c.test"##,
    r##".@b.test"##,
    r##"..@b.test"##,
    r##"a b@c.test"##,
    r##" a@b.test"##,
    r##"a @b.test"##,
    r##"a@ b.test"##,
    r##"a@b .test"##,
    r##"a@b.test "##,
    r##"a,b@c.test"##,
    r##"a;b@c.test"##,
    r##"a:b@c.test"##,
    r##"a(b)@c.test"##,
    r##"(a)b@c.test"##,
    r##"a@b.test(c)"##,
    r##"a@(c)b.test"##,
    r##"a<b@c.test"##,
    r##"a>b@c.test"##,
    r##"<a@b.test>"##,
    r##"a[b@c.test"##,
    r##"a]b@c.test"##,
    r##"a\\b@c.test"##,
    r##"a\@b@c.test"##,
    r##"a"b@c.test"##,
    r##"a"b"@c.test"##,
    r##""a"b@c.test"##,
    r##""a""b"@c.test"##,
    r##""a".b@c.test"##,
    r##"a."b"@c.test"##,
    r##""a"."b"@c.test"##,
    r##""a@b.test"##,
    r##"a"@b.test"##,
    r##""@b.test"##,
    r##""""@b.test"##,
    r##""\"@b.test"##,
    r##""a\"@b.test"##,
    r##""a"@"##,
    r##""a"b"##,
    r##""a"@@b.test"##,
    r##"a@.b.test"##,
    r##"a@b..test"##,
    r##"a@b.test."##,
    r##"a@."##,
    r##"a@.."##,
    r##"a@-b.test"##,
    r##"a@b-.test"##,
    r##"a@b.-test"##,
    r##"a@b.test-"##,
    r##"a@-"##,
    r##"a@b_c.test"##,
    r##"a@_b.test"##,
    r##"a@b!c.test"##,
    r##"a@b/c.test"##,
    r##"a@b:25"##,
    r##"a@b,c.test"##,
    r##"a@b;c.test"##,
    r##"a@b=c.test"##,
    r##"a@b+c.test"##,
    r##"a@*.test"##,
    r##"a@"b".test"##,
    r##"a@b.te st"##,
    r##"a@'b'.test"##,
    r##"a@[]"##,
    r##"a@["##,
    r##"a@]"##,
    r##"a@[127.0.0.1"##,
    r##"a@127.0.0.1]"##,
    r##"a@[127.0.0.1]x"##,
    r##"a@x[127.0.0.1]"##,
    r##"a@[127.0.0]"##,
    r##"a@[127.0.0.1.2]"##,
    r##"a@[127.0.0.256]"##,
    r##"a@[127.0.0.-1]"##,
    r##"a@[127.0.0.1 ]"##,
    r##"a@[ 127.0.0.1]"##,
    r##"a@[127.0.0.0x1]"##,
    r##"a@[::1]"##,
    r##"a@[IPv6:]"##,
    r##"a@[IPv6::]"##,
    r##"a@[IPv6:::1"##,
    r##"a@[IPv6:1]"##,
    r##"a@[IPv6:1::2::3]"##,
    r##"a@[IPv6:1:2:3:4:5:6:7:8:9]"##,
    r##"a@[IPv6:12345::]"##,
    r##"a@[IPv6:g::]"##,
    r##"a@[IPv6: ::1]"##,
    r##"a@[IPv6:::1%eth0]"##,
    r##"a@[IPv6:127.0.0.1]"##,
    r##"a@[IPv4:127.0.0.1]"##,
    r##"a@[IPv5:::1]"##,
    r##"a@[x-tag:text]"##,
    r##"a@[tag:]"##,
    r##"a@[b.test]"##,
    r##"a@[127.0.0.1].test"##,
    r##"postmaster@"##,
    r##""postmaster""##,
    r##"postmasters"##,
    r##"@a:b@c.test"##,
    r##"a@b.test,c@d.test"##,
    r##"A <a@b.test>"##,
    r##"mailto:a@b.test"##,
];

#[test]
fn sound_forms_are_kept_to_the_letter() {
    for text in SOUND {
        let address = Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let joint = if address.domain().is_empty() { "" } else { "@" };
        assert_eq!(format!("{}{joint}{}", address.local(), address.domain()), text);
        assert_eq!(Address::parse_international(text).as_ref(), Ok(&address), "{text}");
    }
}

#[test]
fn unsound_forms_are_refused() {
    for text in UNSOUND {
        assert!(Address::parse(text).is_err(), "{text}");
        assert!(Address::parse_international(text).is_err(), "{text}");
    }
}

#[test]
fn every_control_octet_is_refused_wherever_it_stands() {
    for control in (0..32).chain([127]).map(char::from) {
        for text in [
            "?a@b.test",
            "a?b@c.test",
            "a@b?.test",
            "a@b.test?",
            "\"a?b\"@c.test",
            "\"\\?\"@c.test",
        ] {
            let text = text.replace('?', &control.to_string());
            assert!(Address::parse(&text).is_err(), "{text:?}");
        }
    }
}

#[test]
fn lengths_are_those_of_the_standard() {
    // What clients may send is less, where the limits say so.
    let local = |octets| Address::parse(&format!("{}@b.test", "x".repeat(octets))).is_ok();
    assert!(local(255) && !local(256));
    let quoted =
        |octets: usize| Address::parse(&format!("\"{}\"@b.test", "x".repeat(octets))).is_ok();
    assert!(quoted(253) && !quoted(254));
    let label = |octets| Address::parse(&format!("a@{}.test", "x".repeat(octets))).is_ok();
    assert!(label(63) && !label(64));
    // 127 labels of one letter with their dots, and one of as many as are left.
    let domain =
        |octets| Address::parse(&format!("a@{}{}", "x.".repeat(126), "y".repeat(octets))).is_ok();
    assert!(domain(3) && !domain(4));
}
