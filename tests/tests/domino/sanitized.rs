//! Add-ins under AddressSanitizer and UndefinedBehaviorSanitizer in the real server: what they are lent and what they do with it.

/// What needs the C compiler's libasan.
mod libasan {
    use stagepost_tests::add_in::Making;
    use stagepost_tests::peer;
    use stagepost_tests::server::Server;

    use crate::rig::{Rig, greeted, wait_for};

    const FLAGS: &[&str] = &[
        "-O1",
        "-g",
        "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=undefined",
    ];

    #[test]
    fn sessions_with_every_add_in_leave_no_report() {
        let rig = Rig::new();
        let names = ["wayward", "nothing", "published", "probe", "notes", "lists", "table", "busy"];
        for name in names {
            rig.make(&format!("{name}.c"), name, Making { flags: FLAGS, ..Making::default() });
        }
        let list =
            "[plugin.config.server_configuration.\"*\"]\nSMTPRlyExcpts = [\"[192.0.2.*]\"]\n";
        rig.configure("", "", &format!("addins = {names:?}\n{list}"));
        let library =
            peer::libasan().expect("libasan is missing: `cargo verify` says how to get it");
        let mut command = rig.site.command(&["run", "--config", "stagepost.toml"]);
        // Plug-ins stay loaded and keep what they have until the process ends: that is no leak.
        command.env("LD_PRELOAD", library).env("ASAN_OPTIONS", "detect_leaks=0");
        let server = Server::start(command);
        rig.set("probe_greeting=220 hello\nprobe_only=RCPT\nprobe_reply=250 well\nprobe_message_reply=250 fine\n");
        for subject in ["numbers", "header", "envelope", "body", "hold"] {
            let mut client = greeted(&server);
            let message =
                format!("From: a@client.test\r\nX-Twice: 1\r\nSubject: {subject}\r\n\r\ntext\r\n");
            let reply = client.deliver("a@client.test", "b@example.test", &message);
            assert_eq!(reply.code, 250, "{subject}: {reply}");
            client.say("QUIT", 221);
        }
        wait_for(&server, "disconnect after");
        let log = server.stop();
        let reports = log.matching(|line| {
            ["Sanitizer", "runtime error"].iter().any(|word| line.as_str().contains(word))
        });
        assert!(reports.is_empty(), "{log}");
    }
}
