//! Handshakes with servers whose certificates are good, or are not.
//! Knows no socket.

use super::*;
use crate::tls::authority::{Authority, Shown};

/// What comes of a handshake with `mx.test`, which shows this, for who believes the authority.
async fn connect(
    authority: &Authority,
    shown: &Shown,
    identity: Identity,
) -> Result<Option<CertificateFault>, String> {
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, authority.pem()).unwrap();
    let text = format!(
        "hostname = \"us.test\"\nlisten = [{{ name = \"mx\", address = \"127.0.0.1:0\" }}]\n\
         [delivery]\ntls_roots = \"{}\"\n",
        roots.display()
    );
    let tls = OutboundTls::load(&crate::config::from_text(&text).unwrap(), false).unwrap();
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let acceptor = shown.acceptor();
    let served = tokio::spawn(async move { acceptor.accept(theirs).await.is_ok() });
    let connected = tls.connect("mx.test", &identity, ours).await;
    assert_eq!(served.await.unwrap(), connected.is_ok());
    connected.map(|secured| secured.doubt).map_err(|error| error.to_string())
}

#[tokio::test]
async fn who_is_there_is_found_out_where_it_is_only_wished_for() {
    use CertificateFault::{Date, Name, Trust};
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (shown, doubt) in [
        (authority.server(&["mx.test"], 2100), None),
        (authority.server(&["other.test"], 2100), Some(Name)),
        (authority.server(&["mx.test"], 2010), Some(Date)),
        (stranger.server(&["mx.test"], 2100), Some(Trust)),
        (Shown::alone(&["mx.test"], 2100), Some(Trust)),
    ] {
        let wished = connect(&authority, &shown, Identity::Wished).await;
        assert_eq!(wished, Ok(doubt));
        assert_eq!(connect(&authority, &shown, Identity::Anybody).await, Ok(None));
        let named = connect(&authority, &shown, Identity::Named).await;
        assert_eq!(named.is_err(), doubt.is_some(), "{named:?}");
    }
}
