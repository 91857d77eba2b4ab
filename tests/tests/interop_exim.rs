//! Exim and the real server, both ways: it is the mail server that sends messages in chunks (CHUNKING, RFC 3030) on its own.
//! A module holds the tests of the program of its name; `cargo verify` skips those that can't be had.

mod exim4 {
    use std::fs;
    use std::sync::Arc;

    use stagepost_tests::exim::Exim;
    use stagepost_tests::server::Site;

    /// Text with what wants care: dots, long lines, and enough for more than one chunk.
    fn message() -> String {
        let line = "x".repeat(900) + "\n";
        format!("Subject: chunks\n\n.\n..dot\nHello.\n{}.\n", line.repeat(200))
    }

    fn body(message: &str) -> &str {
        message.split_once("\n\n").expect("a body").1
    }

    /// It hands messages to our server, in chunks.
    #[test]
    fn sends_messages_in_chunks() {
        let site = Site::new("");
        let server = site.start();
        let exim = Exim::new(&format!(
            "primary_hostname = relay.client.test\n\
             begin routers\nall:\n driver = manualroute\n route_list = * 127.0.0.1::{}\n self = send\n transport = smtp\n\
             begin transports\nsmtp:\n driver = smtp\n hosts_try_chunking = *\n\
             begin retry\n* * F,1h,5m\n",
            server.address().port()
        ));
        let texts = ["Subject: small\n\n.\nHello.\n".to_owned(), message()];
        for text in &texts {
            exim.send("a@client.test", &["b@example.test", "c@example.test"], text);
        }
        // Its log has a K for what went in chunks.
        let log = exim.log();
        let chunked = log.lines().filter(|line| line.contains("=> b@example.test"));
        assert_eq!(chunked.filter(|line| line.contains("] K ")).count(), 2, "{log}");
        server.log().wait_for_count("the deliveries", 4, |line| line.message() == "delivered");
        for user in ["b", "c"] {
            let mail =
                site.mail(user).into_iter().map(|mail| String::from_utf8_lossy(&mail).into_owned());
            let mut mail: Vec<_> = mail.collect();
            mail.sort_by_key(String::len);
            let bodies: Vec<_> = mail.iter().map(|mail| body(mail)).collect();
            assert_eq!(bodies, [body(&texts[0]), body(&texts[1])]);
        }
        server.stop();
    }

    /// It takes messages from our server, in chunks.
    #[test]
    fn takes_messages_in_chunks() {
        let exim = Arc::new(Exim::new(
            "primary_hostname = hop.test\nqueue_only = true\nacl_smtp_rcpt = accept\n\
             begin acl\nbegin routers\nbegin transports\n",
        ));
        let hop = exim.serve();
        let site = Site::new(&format!(
            "[[route]]\ndomain = \"there.test\"\nnext_hop = \"{}\"\n",
            hop.address()
        ));
        let server = site.start();
        let body = "Hello.\r\n.\r\n..dot\r\n";
        let stuffed = format!("Subject: chunks\r\n\r\n{}", body.replace("\r\n.", "\r\n.."));
        let reply = server.greeted().deliver("a@client.test", "b@there.test", &stuffed);
        assert_eq!(reply.code, 250, "{reply}");
        server.log().wait_for("the delivery", |line| line.message() == "delivered");
        server.stop();
        let log = exim.log();
        assert!(log.contains(" <= a@client.test ") && log.contains(" K S="), "{log}");
        let input = fs::read_dir(exim.path().join("spool/input")).expect("its queue");
        let files = input.map(|entry| entry.expect("an entry").path());
        let data: Vec<_> = files.filter(|file| file.to_string_lossy().ends_with("-D")).collect();
        let [data] = &data[..] else { panic!("{data:?}") };
        let kept = fs::read_to_string(data).expect("a message");
        let (_, kept) = kept.split_once('\n').expect("its name first");
        assert_eq!(kept, body.replace("\r\n", "\n"));
    }
}
